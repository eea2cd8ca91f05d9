/*
 * Lustre's structures and ioctl numbers as its user space sees them, and what
 * the files of this library share.
 */
#ifndef STANDIN_LIBLUSTREAPI_H
#define STANDIN_LIBLUSTREAPI_H

#define _GNU_SOURCE
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* For what the files share: it is not for those who load the library. */
#define INTERNAL __attribute__((visibility("hidden")))

/* ---- structures ---- */

struct lu_fid {
	uint64_t seq;
	uint32_t oid, ver;
} __attribute__((packed));

struct hsm_extent {
	uint64_t offset, length;
} __attribute__((packed));

struct hsm_action_item {
	uint32_t len, action;
	struct lu_fid fid, dfid;
	struct hsm_extent extent;
	uint64_t cookie, gid;
} __attribute__((packed));

struct hsm_action_list {
	uint32_t version, count;
	uint64_t compound_id, flags;
	uint32_t archive_id, padding;
} __attribute__((packed));

struct hsm_copy {
	uint64_t data_version;
	uint16_t flags, errval;
	uint32_t padding;
	struct hsm_action_item hai;
};

struct hsm_progress {
	struct lu_fid fid;
	uint64_t cookie;
	struct hsm_extent extent;
	uint16_t flags, errval;
	uint32_t padding;
};

struct hsm_user_state {
	uint32_t states, archive_id, progress_state, progress_action;
	struct hsm_extent progress_location;
};

struct hsm_state_set {
	uint32_t valid, archive_id;
	uint64_t setmask, clearmask;
};

struct hsm_current_action {
	uint32_t state, action;
	struct hsm_extent location;
};

struct hsm_user_request {
	uint32_t action, archive_id;
	uint64_t flags;
	uint32_t itemcount, data_len;
};

struct hsm_user_import {
	uint64_t size, atime, mtime;
	uint32_t atime_ns, mtime_ns, uid, gid, mode, archive_id;
};

struct kuc_hdr {
	uint16_t magic;
	uint8_t transport, flags;
	uint16_t msgtype, msglen;
};

struct kernelcomm {
	uint32_t wfd, rfd, uid, group, data_count, flags;
	uint32_t data[];
};

struct fid2path {
	struct lu_fid fid;
	uint64_t recno;
	uint32_t linkno, pathlen;
	char path[];
};

struct getparent {
	struct lu_fid fid;
	uint32_t linkno, name_size;
	char name[];
};

struct data_version {
	uint64_t version;
	uint32_t layout_version, flags;
};

struct futimes_3 {
	uint64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
};

struct lov_user_md {
	uint32_t magic, pattern;
	uint8_t object[16];
	uint32_t stripe_size;
	uint16_t stripe_count, stripe_offset;
	char pool[16]; /* V3 only */
} __attribute__((packed));

struct changelog_rec {
	uint16_t namelen, flags;
	uint32_t type;
	uint64_t index, prev, time;
	struct lu_fid tfid, pfid;
} __attribute__((packed));

_Static_assert(sizeof(struct lu_fid) == 16, "lu_fid");
_Static_assert(sizeof(struct hsm_action_item) == 72, "hsm_action_item");
_Static_assert(sizeof(struct hsm_action_list) == 32, "hsm_action_list");
_Static_assert(sizeof(struct hsm_copy) == 88, "hsm_copy");
_Static_assert(sizeof(struct hsm_progress) == 48, "hsm_progress");
_Static_assert(sizeof(struct hsm_user_state) == 32, "hsm_user_state");
_Static_assert(sizeof(struct hsm_state_set) == 24, "hsm_state_set");
_Static_assert(sizeof(struct hsm_current_action) == 24, "hsm_current_action");
_Static_assert(sizeof(struct hsm_user_request) == 24, "hsm_user_request");
_Static_assert(sizeof(struct hsm_user_import) == 48, "hsm_user_import");
_Static_assert(sizeof(struct kuc_hdr) == 8, "kuc_hdr");
_Static_assert(sizeof(struct kernelcomm) == 24, "lustre_kernelcomm");
_Static_assert(sizeof(struct fid2path) == 32, "getinfo_fid2path");
_Static_assert(sizeof(struct getparent) == 24, "getparent");
_Static_assert(sizeof(struct data_version) == 16, "ioc_data_version");
_Static_assert(sizeof(struct futimes_3) == 48, "ll_futimes_3");
_Static_assert(sizeof(struct changelog_rec) == 64, "changelog_rec");

/* ---- numbers ---- */

enum {
	HSM_ARCHIVE = 20,
	HSM_RESTORE = 21,
	HSM_REMOVE = 22,
};

/* The sizes in some of these are not those of the structures. */
#define IOC_FID2PATH 0xc0086696UL
#define IOC_FUTIMES_3 0xc03066b0UL
#define IOC_HSM_STATE_GET 0x802066d3UL
#define IOC_HSM_STATE_SET 0x401866d4UL
#define IOC_HSM_CT_START 0x401866d5UL
#define IOC_HSM_COPY_START 0x400866d6UL
#define IOC_HSM_COPY_END 0x400866d7UL
#define IOC_HSM_PROGRESS 0x401866d8UL
#define IOC_HSM_REQUEST 0x401866d9UL
#define IOC_DATA_VERSION 0x801066daUL
#define IOC_HSM_ACTION 0x801866dcUL
#define IOC_HSM_IMPORT 0xc03066f5UL
#define IOC_FID2MDTIDX 0xc01066f8UL
#define IOC_GETPARENT 0xc01866f9UL
#define IOC_HSM_DATA_VERSION 0x401066feUL

#define DELAY_CREATE 0x2100 /* O_LOV_DELAY_CREATE */
#define FID_TEXT 48	    /* room for a FID in brackets */

/* ---- what the files share ---- */

/* lib.c: message levels, and a message with or without an error's text. */
enum { MSG_ERROR = 2, MSG_WARN = 3, MSG_MASK = 7, MSG_NO_ERRNO = 0x10 };
void llapi_error(int level, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* An ioctl as the library's functions return it: 0 or more, or -errno. */
INTERNAL int do_ioctl(int fd, unsigned long number, void *arg);

/* mount.c: opens the root of the mount that path, or a file system's name,
 * stands for. */
INTERNAL int open_root(const char *path_or_fsname);

/* fid.c */
INTERNAL void fid_text(char buf[FID_TEXT], const struct lu_fid *fid);
int llapi_fd2fid(int fd, struct lu_fid *fid);
int llapi_fid2path_at(int mnt_fd, const struct lu_fid *fid, char *path,
			  int size, long long *recno, int *linkno);

/* file.c: like llapi_create_volatile_idx, with the descriptor of the file it
 * stands in for in its name unless that is negative. */
INTERNAL int create_volatile(const char *dir, int mdt, int flags,
			     int source_fd);

int llapi_search_mounts(const char *path, int index, char *mnt,
			    char *fsname);
int llapi_search_rootpath(char *mnt, const char *fsname);

/* copytool.c: the magic is checked by the copytool's functions, not by the
 * actions'. */
struct hsm_copytool_private {
	int magic;
	char *mnt;
	char *buf; /* of the last message */
	int mnt_fd, fid_fd;
	struct kernelcomm *kuc;
};

#endif
