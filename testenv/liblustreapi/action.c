/* An action from begin to end. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACTION_MAGIC = 0x19880429 };

struct hsm_copyaction_private {
	int magic;
	int source_fd; /* archive, remove: the Lustre file */
	int data_fd;   /* restore: the volatile file */
	const struct hsm_copytool_private *ct;
	struct hsm_copy copy;
	struct stat original; /* restore: whose owner and times it keeps */
};

static void action_free(struct hsm_copyaction_private *hcp)
{
	if (hcp->source_fd >= 0)
		close(hcp->source_fd);
	if (hcp->data_fd >= 0)
		close(hcp->data_fd);
	free(hcp);
}

/* Neither following links, nor waiting for a lease, nor touching atime. */
static int open_fid(const struct hsm_copytool_private *ct,
		    const struct lu_fid *fid)
{
	char name[FID_TEXT];
	int fd;

	fid_text(name, fid);
	fd = openat(ct->fid_fd, name,
		    O_RDONLY | O_NOATIME | O_NOFOLLOW | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The file's directory, by any of its names, or else the mount's root. */
static void parent_dir(const struct hsm_copytool_private *ct,
		       const struct lu_fid *fid, char *dir, size_t size)
{
	char path[PATH_MAX], text[FID_TEXT], *slash;
	int rc = llapi_fid2path_at(ct->mnt_fd, fid, path, sizeof(path), NULL,
				   NULL);

	if (rc == 0) {
		slash = strrchr(path, '/');
		if (slash == NULL)
			path[0] = '\0';
		else
			*slash = '\0';
		rc = snprintf(dir, size, "%s/%s", ct->mnt, path) >= (int)size ?
			     -ENAMETOOLONG :
			     0;
	}
	if (rc < 0) {
		fid_text(text, fid);
		llapi_error(MSG_ERROR, rc,
			    "cannot get parent path to restore [%s] using '%s'",
			    text, ct->mnt);
		snprintf(dir, size, "%s", ct->mnt);
	}
}

/* A new file to restore into, with the owner of the one it will be. */
static int open_restore(struct hsm_copyaction_private *hcp, int mdt, int flags)
{
	struct hsm_action_item *hai = &hcp->copy.hai;
	char dir[PATH_MAX];
	int source, fd;

	source = open_fid(hcp->ct, &hai->dfid);
	if (source < 0)
		return source;
	if (fstat(source, &hcp->original) < 0) {
		fd = -errno;
	} else {
		parent_dir(hcp->ct, &hai->fid, dir, sizeof(dir));
		fd = create_volatile(dir, mdt, flags, source);
		if (fd < 0)
			fd = -1; /* so does Lustre's: the reason is in errno */
	}
	close(source);
	if (fd < 0)
		return fd;
	hcp->data_fd = fd;
	if (fchown(fd, hcp->original.st_uid, hcp->original.st_gid) < 0)
		return -1; /* as above */
	/* From here on the action's data are this file's. */
	return llapi_fd2fid(fd, &hai->dfid);
}

static int open_files(struct hsm_copyaction_private *hcp, int mdt, int flags)
{
	struct hsm_action_item *hai = &hcp->copy.hai;

	switch (hai->action) {
	case HSM_ARCHIVE:
		hcp->source_fd = open_fid(hcp->ct, &hai->dfid);
		return hcp->source_fd < 0 ? hcp->source_fd : 0;
	case HSM_RESTORE:
		return open_restore(hcp, mdt, flags);
	case HSM_REMOVE:
		/* A file that is gone is the usual case. */
		hcp->source_fd = open_fid(hcp->ct, &hai->fid);
		return hcp->source_fd == -ENOENT || hcp->source_fd >= 0 ?
			       0 :
			       hcp->source_fd;
	}
	return 0;
}

int llapi_hsm_action_begin(struct hsm_copyaction_private **phcp,
			       const struct hsm_copytool_private *ct,
			       const struct hsm_action_item *hai,
			       int restore_mdt_index, int restore_open_flags,
			       bool is_error)
{
	struct hsm_copyaction_private *hcp = calloc(1, sizeof(*hcp));
	int rc = 0;

	if (hcp == NULL)
		return -ENOMEM;
	hcp->source_fd = hcp->data_fd = -1;
	hcp->ct = ct;
	hcp->copy.hai = *hai;
	hcp->copy.hai.len = sizeof(*hai);
	if (!is_error) {
		rc = open_files(hcp, restore_mdt_index, restore_open_flags);
		/* A removal needs no start: it is over in one step. */
		if (rc == 0 && hai->action != HSM_REMOVE)
			rc = do_ioctl(ct->mnt_fd, IOC_HSM_COPY_START,
				      &hcp->copy);
	}
	if (rc < 0) {
		action_free(hcp);
		return rc;
	}
	hcp->magic = ACTION_MAGIC;
	*phcp = hcp;
	return 0;
}

/* Of a restore this names the volatile file, and so binds the record to it. */
int llapi_hsm_action_progress(struct hsm_copyaction_private *hcp,
				  const struct hsm_extent *he, uint64_t total,
				  int hp_flags)
{
	struct hsm_progress hp;
	int rc;

	(void)total; /* only the event FIFO shows it */
	if (hcp == NULL || he == NULL || hcp->magic != ACTION_MAGIC)
		return -EINVAL;
	memset(&hp, 0, sizeof(hp));
	hp.fid = hcp->copy.hai.dfid;
	hp.cookie = hcp->copy.hai.cookie;
	hp.extent = *he;
	hp.flags = (uint16_t)hp_flags;
	rc = do_ioctl(hcp->ct->mnt_fd, IOC_HSM_PROGRESS, &hp);
	return rc < 0 ? rc : 0;
}

/* The data are safe and look as old as those they replace. */
static int finish_restore(struct hsm_copyaction_private *hcp)
{
	const struct stat *st = &hcp->original;
	struct futimes_3 times = {
		st->st_atim.tv_sec, st->st_atim.tv_nsec, st->st_mtim.tv_sec,
		st->st_mtim.tv_nsec, st->st_ctim.tv_sec, st->st_ctim.tv_nsec,
	};

	if (fsync(hcp->data_fd) < 0)
		return -errno;
	return do_ioctl(hcp->data_fd, IOC_FUTIMES_3, &times);
}

int llapi_hsm_action_end(struct hsm_copyaction_private **phcp,
			     const struct hsm_extent *he, int hp_flags,
			     int errval)
{
	struct hsm_copyaction_private *hcp;
	struct hsm_action_item *hai;
	int rc;

	if (phcp == NULL || *phcp == NULL || he == NULL ||
	    (*phcp)->magic != ACTION_MAGIC)
		return -EINVAL;
	hcp = *phcp;
	hai = &hcp->copy.hai;
	if (hai->action == HSM_RESTORE && errval == 0) {
		rc = finish_restore(hcp);
		errval = rc < 0 ? rc : 0;
	}
	if (hai->action == HSM_ARCHIVE || hai->action == HSM_RESTORE)
		hai->fid = hai->dfid;
	hcp->copy.flags = (uint16_t)hp_flags;
	hcp->copy.errval = (uint16_t)abs(errval);
	hai->extent = *he;
	rc = do_ioctl(hcp->ct->mnt_fd, IOC_HSM_COPY_END, &hcp->copy);
	hcp->magic = 0;
	action_free(hcp);
	*phcp = NULL;
	return rc < 0 ? rc : 0;
}

static bool has_data(const struct hsm_copyaction_private *hcp)
{
	return hcp->magic == ACTION_MAGIC &&
	       (hcp->copy.hai.action == HSM_ARCHIVE ||
		hcp->copy.hai.action == HSM_RESTORE);
}

int llapi_hsm_action_get_dfid(const struct hsm_copyaction_private *hcp,
				  struct lu_fid *fid)
{
	if (!has_data(hcp))
		return -EINVAL;
	*fid = hcp->copy.hai.dfid;
	return 0;
}

int llapi_hsm_action_get_fd(const struct hsm_copyaction_private *hcp)
{
	int fd;

	if (!has_data(hcp))
		return -EINVAL;
	fd = dup(hcp->copy.hai.action == HSM_ARCHIVE ? hcp->source_fd :
						       hcp->data_fd);
	return fd < 0 ? -errno : fd;
}
