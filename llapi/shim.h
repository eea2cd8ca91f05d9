/*
 * What Go calls: one trampoline per function of liblustreapi, since cgo
 * cannot call through a pointer. Each returns what the library returns, a
 * negative errno or a result, except where a comment says otherwise.
 */
#ifndef LLAPI_SHIM_H
#define LLAPI_SHIM_H

#include "liblustreapi.h"

/*
 * Opens the library and looks every function up. NULL, or a message that the
 * caller frees. Not thread-safe, and harmless to repeat after a failure.
 */
char *shim_load(const char *name);
/* Whether the loaded library (or a preloaded one) has a symbol. */
int shim_has(const char *symbol);

int shim_register(struct hsm_copytool_private **ct, const char *mnt, int count,
		  int *archives, int flags);
int shim_unregister(struct hsm_copytool_private *ct);
int shim_get_fd(struct hsm_copytool_private *ct);
int shim_recv(struct hsm_copytool_private *ct, void **hal, int *size);
int shim_begin(struct hsm_copyaction_private **hcp,
	       struct hsm_copytool_private *ct, const void *hai, int mdt_index,
	       int open_flags, int is_error);
int shim_progress(struct hsm_copyaction_private *hcp, __u64 offset,
		  __u64 length, __u64 total, int flags);
int shim_end(struct hsm_copyaction_private *hcp, __u64 offset, __u64 length,
	     int flags, int errval);
int shim_action_dfid(struct hsm_copyaction_private *hcp, void *fid);
int shim_action_fd(struct hsm_copyaction_private *hcp);

int shim_state_get_fd(int fd, void *hus);
int shim_state_set_fd(int fd, __u64 set, __u64 clear, __u32 archive);
int shim_current_action(const char *path, void *hca);
int shim_request(const char *path, const void *request);
int shim_data_version(int fd, __u64 *version, __u64 flags);
int shim_data_version_set(int fd, __u64 version);

/* What of struct stat an import uses; times in seconds and nanoseconds. */
struct shim_stat {
	unsigned int uid, gid, mode;
	long long size, atime, mtime;
	long atime_ns, mtime_ns;
};
int shim_import(const char *dst, int archive, const struct shim_stat *st,
		unsigned long long stripe_size, int stripe_count, char *pool,
		void *fid);

int shim_path2fid(const char *path, void *fid);
int shim_fd2fid(int fd, void *fid);
int shim_path2parent(const char *path, unsigned int linkno, void *parent,
		     char *name, size_t size);
int shim_fid2path(const char *mnt, const char *fid, char *path, int size,
		  int *linkno);
int shim_fid2path_at(int mnt_fd, const void *fid, char *path, int size,
		     int *linkno);
int shim_mdt_index(int fd, const void *fid);
int shim_search_mounts(const char *path, int index, char *mnt, char *fsname);
int shim_search_rootpath(char *mnt, const char *fsname);

int shim_changelog_start(void **priv, int flags, const char *mdt,
			 long long start);
int shim_changelog_set_xflags(void *priv, int flags);
int shim_changelog_recv(void *priv, void **rec);
void shim_changelog_free(void *rec);
int shim_changelog_fini(void *priv);
int shim_changelog_clear(const char *mdt, const char *user, long long end);

/* A negative errno where the library returns -1 and sets errno. */
int shim_version(char *version, unsigned int size);
void shim_log_to_go(int on);
void shim_msg_level(int level);
void shim_command_name(const char *name);

#endif
