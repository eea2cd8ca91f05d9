/*
 * The functions of liblustreapi that this package calls, so that it builds
 * where no Lustre is installed. They have had one ABI from Lustre 2.12 on.
 *
 * Structures are opaque here: Go decodes them from bytes. With
 * LLAPI_REAL_HEADERS this file is compiled behind <lustre/lustreapi.h>, and
 * the compiler compares every prototype with the real one (lustreheaders.go).
 */
#ifndef LLAPI_LIBLUSTREAPI_H
#define LLAPI_LIBLUSTREAPI_H

#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>

#ifdef LLAPI_REAL_HEADERS
#include <linux/types.h>
#include <lustre/lustreapi.h>
#else
#include <stdint.h>
typedef unsigned int __u32;
typedef unsigned long long __u64;
/* The real enums have no negative values, so gcc gives them this type. */
enum llapi_message_level { LLAPI_MSG_OFF = 0, LLAPI_MSG_MAX = 7 };
enum changelog_send_flag { CHANGELOG_FLAG_FOLLOW = 1 };
enum changelog_send_extra_flag { CHANGELOG_EXTRA_FLAG_UIDGID = 1 };
typedef void (*llapi_log_callback_t)(enum llapi_message_level level, int err,
				     const char *fmt, va_list ap);
/* Its pattern argument was an int until 2.16 and is an enum since. */
struct lu_fid;
int llapi_hsm_import(const char *dst, int archive, const struct stat *st,
		     unsigned long long stripe_size, int stripe_offset,
		     int stripe_count, int stripe_pattern, char *pool_name,
		     struct lu_fid *newfid);
#endif

struct hsm_copytool_private;
struct hsm_copyaction_private;
struct hsm_action_list;
struct hsm_action_item;
struct hsm_extent;
struct hsm_user_state;
struct hsm_current_action;
struct hsm_user_request;
struct changelog_rec;
struct lu_fid;

/* Copytool. */
int llapi_hsm_copytool_register(struct hsm_copytool_private **priv,
				const char *mnt, int archive_count,
				int *archives, int rfd_flags);
int llapi_hsm_copytool_unregister(struct hsm_copytool_private **priv);
int llapi_hsm_copytool_get_fd(struct hsm_copytool_private *ct);
int llapi_hsm_copytool_recv(struct hsm_copytool_private *ct,
			    struct hsm_action_list **hal, int *msgsize);
int llapi_hsm_action_begin(struct hsm_copyaction_private **phcp,
			   const struct hsm_copytool_private *ct,
			   const struct hsm_action_item *hai,
			   int restore_mdt_index, int restore_open_flags,
			   bool is_error);
int llapi_hsm_action_progress(struct hsm_copyaction_private *hcp,
			      const struct hsm_extent *he, __u64 total,
			      int hp_flags);
int llapi_hsm_action_end(struct hsm_copyaction_private **phcp,
			 const struct hsm_extent *he, int hp_flags,
			 int errval);
int llapi_hsm_action_get_dfid(const struct hsm_copyaction_private *hcp,
			      struct lu_fid *fid);
int llapi_hsm_action_get_fd(const struct hsm_copyaction_private *hcp);

/* State and requests. */
int llapi_hsm_state_get_fd(int fd, struct hsm_user_state *hus);
int llapi_hsm_state_set_fd(int fd, __u64 setmask, __u64 clearmask,
			   __u32 archive_id);
int llapi_hsm_current_action(const char *path, struct hsm_current_action *hca);
int llapi_hsm_request(const char *path, const struct hsm_user_request *request);
int llapi_hsm_data_version_set(int fd, __u64 data_version);
int llapi_get_data_version(int fd, __u64 *data_version, __u64 flags);

/* FIDs, paths, mounts. */
int llapi_path2fid(const char *path, struct lu_fid *fid);
int llapi_fd2fid(int fd, struct lu_fid *fid);
int llapi_path2parent(const char *path, unsigned int linkno,
		      struct lu_fid *parent_fid, char *name, size_t name_size);
int llapi_fid2path(const char *device, const char *fidstr, char *path,
		   int pathlen, long long *recno, int *linkno);
int llapi_fid2path_at(int mnt_fd, const struct lu_fid *fid, char *path,
		      int pathlen, long long *recno, int *linkno);
int llapi_get_mdt_index_by_fid(int fd, const struct lu_fid *fid,
			       int *mdt_index);
int llapi_search_mounts(const char *pathname, int index, char *mntdir,
			char *fsname);
int llapi_search_rootpath(char *pathname, const char *fsname);

/* Changelog. */
int llapi_changelog_start(void **priv, enum changelog_send_flag flags,
			  const char *mdtname, long long startrec);
int llapi_changelog_set_xflags(void *priv,
			       enum changelog_send_extra_flag extra_flags);
int llapi_changelog_recv(void *priv, struct changelog_rec **rech);
int llapi_changelog_free(struct changelog_rec **rech);
int llapi_changelog_fini(void **priv);
int llapi_changelog_clear(const char *mdtname, const char *idstr,
			  long long endrec);

/* The library itself. */
int llapi_get_version_string(char *version, unsigned int version_size);
llapi_log_callback_t llapi_error_callback_set(llapi_log_callback_t cb);
llapi_log_callback_t llapi_info_callback_set(llapi_log_callback_t cb);
void llapi_msg_set_level(int level);
void llapi_set_command_name(const char *cmd);

#endif
