#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

/*
 * The library's functions. The second column says whether a library without
 * it is refused; the others came with some release, and a caller asks Has.
 */
#define FUNCTIONS(F)                         \
	F(llapi_hsm_copytool_register, 1)    \
	F(llapi_hsm_copytool_unregister, 1)  \
	F(llapi_hsm_copytool_get_fd, 1)      \
	F(llapi_hsm_copytool_recv, 1)        \
	F(llapi_hsm_action_begin, 1)         \
	F(llapi_hsm_action_progress, 1)      \
	F(llapi_hsm_action_end, 1)           \
	F(llapi_hsm_action_get_dfid, 1)      \
	F(llapi_hsm_action_get_fd, 1)        \
	F(llapi_hsm_state_get_fd, 1)         \
	F(llapi_hsm_state_set_fd, 1)         \
	F(llapi_hsm_current_action, 1)       \
	F(llapi_hsm_request, 1)              \
	F(llapi_hsm_import, 1)               \
	F(llapi_hsm_data_version_set, 0)     \
	F(llapi_get_data_version, 1)         \
	F(llapi_path2fid, 1)                 \
	F(llapi_fd2fid, 1)                   \
	F(llapi_path2parent, 1)              \
	F(llapi_fid2path, 1)                 \
	F(llapi_fid2path_at, 0)              \
	F(llapi_get_mdt_index_by_fid, 1)     \
	F(llapi_search_mounts, 1)            \
	F(llapi_search_rootpath, 1)          \
	F(llapi_changelog_start, 1)          \
	F(llapi_changelog_set_xflags, 0)     \
	F(llapi_changelog_recv, 1)           \
	F(llapi_changelog_free, 1)           \
	F(llapi_changelog_fini, 1)           \
	F(llapi_changelog_clear, 1)          \
	F(llapi_get_version_string, 0)       \
	F(llapi_error_callback_set, 1)       \
	F(llapi_info_callback_set, 1)        \
	F(llapi_msg_set_level, 1)            \
	F(llapi_set_command_name, 0)

#define POINTER(name, required) __typeof__(&name) name;
static struct {
	FUNCTIONS(POINTER)
} api;

static void *library;

/*
 * The global scope comes first: a preloaded layer (coordinatool's movers work
 * that way) is seen there, and not through the handle of the library itself.
 */
static void *lookup(const char *symbol)
{
	void *p = dlsym(RTLD_DEFAULT, symbol);

	if (p == NULL && library != NULL)
		p = dlsym(library, symbol);
	return p;
}

static char *message(const char *what, const char *detail)
{
	char *text = NULL;

	if (asprintf(&text, "%s%s", what, detail) < 0)
		return NULL;
	return text;
}

char *shim_load(const char *name)
{
	/* Global, so that a preloaded layer finds the real functions behind it. */
	if (library == NULL)
		library = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
	if (library == NULL)
		return message("", dlerror());

#define LOOKUP(name, required)                               \
	api.name = (__typeof__(api.name))lookup(#name);      \
	if (required && api.name == NULL) {                  \
		dlclose(library);                            \
		library = NULL;                              \
		return message("it has no function ", #name); \
	}
	FUNCTIONS(LOOKUP)
	return NULL;
}

int shim_has(const char *symbol)
{
	return lookup(symbol) != NULL;
}

int shim_register(struct hsm_copytool_private **ct, const char *mnt, int count,
		  int *archives, int flags)
{
	return api.llapi_hsm_copytool_register(ct, mnt, count, archives, flags);
}

int shim_unregister(struct hsm_copytool_private *ct)
{
	return api.llapi_hsm_copytool_unregister(&ct);
}

int shim_get_fd(struct hsm_copytool_private *ct)
{
	return api.llapi_hsm_copytool_get_fd(ct);
}

int shim_recv(struct hsm_copytool_private *ct, void **hal, int *size)
{
	struct hsm_action_list *list = NULL;
	int rc = api.llapi_hsm_copytool_recv(ct, &list, size);

	*hal = list;
	return rc;
}

int shim_begin(struct hsm_copyaction_private **hcp,
	       struct hsm_copytool_private *ct, const void *hai, int mdt_index,
	       int open_flags, int is_error)
{
	int rc;

	errno = 0;
	rc = api.llapi_hsm_action_begin(hcp, ct, hai, mdt_index, open_flags,
					is_error != 0);
	/* When 2.17 cannot create the file to restore into, it returns the -1
	 * of open or fchown itself. What it cleans up afterwards succeeds, so
	 * errno still says why. */
	return rc == -1 && errno != 0 ? -errno : rc;
}

/* struct hsm_extent; its layout is asserted in lustreheaders.go. */
struct extent {
	__u64 offset, length;
};

int shim_progress(struct hsm_copyaction_private *hcp, __u64 offset,
		  __u64 length, __u64 total, int flags)
{
	struct extent he = { offset, length };

	return api.llapi_hsm_action_progress(hcp, (struct hsm_extent *)&he,
					     total, flags);
}

int shim_end(struct hsm_copyaction_private *hcp, __u64 offset, __u64 length,
	     int flags, int errval)
{
	struct extent he = { offset, length };

	return api.llapi_hsm_action_end(&hcp, (struct hsm_extent *)&he, flags,
					errval);
}

int shim_action_dfid(struct hsm_copyaction_private *hcp, void *fid)
{
	return api.llapi_hsm_action_get_dfid(hcp, fid);
}

int shim_action_fd(struct hsm_copyaction_private *hcp)
{
	return api.llapi_hsm_action_get_fd(hcp);
}

int shim_state_get_fd(int fd, void *hus)
{
	return api.llapi_hsm_state_get_fd(fd, hus);
}

int shim_state_set_fd(int fd, __u64 set, __u64 clear, __u32 archive)
{
	return api.llapi_hsm_state_set_fd(fd, set, clear, archive);
}

int shim_current_action(const char *path, void *hca)
{
	return api.llapi_hsm_current_action(path, hca);
}

int shim_request(const char *path, const void *request)
{
	return api.llapi_hsm_request(path, request);
}

int shim_data_version(int fd, __u64 *version, __u64 flags)
{
	return api.llapi_get_data_version(fd, version, flags);
}

int shim_data_version_set(int fd, __u64 version)
{
	if (api.llapi_hsm_data_version_set == NULL)
		return -ENOSYS;
	return api.llapi_hsm_data_version_set(fd, version);
}

int shim_import(const char *dst, int archive, const struct shim_stat *st,
		unsigned long long stripe_size, int stripe_count, char *pool,
		void *fid)
{
	struct stat full;

	memset(&full, 0, sizeof(full));
	full.st_uid = st->uid;
	full.st_gid = st->gid;
	full.st_mode = st->mode;
	full.st_size = st->size;
	full.st_atim.tv_sec = st->atime;
	full.st_atim.tv_nsec = st->atime_ns;
	full.st_mtim.tv_sec = st->mtime;
	full.st_mtim.tv_nsec = st->mtime_ns;
	return api.llapi_hsm_import(dst, archive, &full, stripe_size, -1,
				    stripe_count, 0, pool, fid);
}

int shim_path2fid(const char *path, void *fid)
{
	return api.llapi_path2fid(path, fid);
}

int shim_fd2fid(int fd, void *fid)
{
	return api.llapi_fd2fid(fd, fid);
}

int shim_path2parent(const char *path, unsigned int linkno, void *parent,
		     char *name, size_t size)
{
	return api.llapi_path2parent(path, linkno, parent, name, size);
}

/* Up to 2.14 the record number is read and written without a look at NULL. */
int shim_fid2path(const char *mnt, const char *fid, char *path, int size,
		  int *linkno)
{
	long long recno = -1;

	return api.llapi_fid2path(mnt, fid, path, size, &recno, linkno);
}

int shim_fid2path_at(int mnt_fd, const void *fid, char *path, int size,
		     int *linkno)
{
	long long recno = -1;

	if (api.llapi_fid2path_at == NULL)
		return -ENOSYS;
	return api.llapi_fid2path_at(mnt_fd, fid, path, size, &recno, linkno);
}

int shim_mdt_index(int fd, const void *fid)
{
	int index = -1;

	/* Older releases do not take NULL for the index. */
	return api.llapi_get_mdt_index_by_fid(fd, fid, &index);
}

int shim_search_mounts(const char *path, int index, char *mnt, char *fsname)
{
	return api.llapi_search_mounts(path, index, mnt, fsname);
}

int shim_search_rootpath(char *mnt, const char *fsname)
{
	return api.llapi_search_rootpath(mnt, fsname);
}

int shim_changelog_start(void **priv, int flags, const char *mdt,
			 long long start)
{
	return api.llapi_changelog_start(priv, (enum changelog_send_flag)flags,
					 mdt, start);
}

int shim_changelog_set_xflags(void *priv, int flags)
{
	if (api.llapi_changelog_set_xflags == NULL)
		return -ENOSYS;
	return api.llapi_changelog_set_xflags(
		priv, (enum changelog_send_extra_flag)flags);
}

int shim_changelog_recv(void *priv, void **rec)
{
	struct changelog_rec *r = NULL;
	int rc = api.llapi_changelog_recv(priv, &r);

	*rec = r;
	return rc;
}

void shim_changelog_free(void *rec)
{
	struct changelog_rec *r = rec;

	api.llapi_changelog_free(&r);
}

int shim_changelog_fini(void *priv)
{
	return api.llapi_changelog_fini(&priv);
}

int shim_changelog_clear(const char *mdt, const char *user, long long end)
{
	return api.llapi_changelog_clear(mdt, user, end);
}

int shim_version(char *version, unsigned int size)
{
	if (api.llapi_get_version_string == NULL)
		return -ENOSYS;
	return api.llapi_get_version_string(version, size) < 0 ? -errno : 0;
}

/* In log.go. */
extern void llapiLogMessage(int level, int err, char *text);

/*
 * Go cannot walk a va_list, so the text is made here. It may come from any
 * thread that is inside the library.
 */
static void log_message(enum llapi_message_level level, int err,
			const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	llapiLogMessage((int)level, err, text);
}

void shim_log_to_go(int on)
{
	api.llapi_error_callback_set(on ? log_message : NULL);
	api.llapi_info_callback_set(on ? log_message : NULL);
}

void shim_msg_level(int level)
{
	api.llapi_msg_set_level(level);
}

/* The library keeps the pointer, so each name stays for good. */
void shim_command_name(const char *name)
{
	if (api.llapi_set_command_name != NULL)
		api.llapi_set_command_name(strdup(name));
}
