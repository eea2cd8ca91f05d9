/* Changelogs: a device on a Lustre client, a file on a stand-in mount. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHANGELOG_MAGIC = (int)0xCA8E1080,
	BUFFER = 4096,
	/* flags at the start */
	WANT_FOLLOW = 0x01,
	WANT_JOBID = 0x04,
	WANT_EXTRA = 0x08,
	WANT_NID_BE = 0x10,
	/* flags of a record, and the sizes of what they stand for */
	HAS_VERSION = 0x1000,
	HAS_RENAME = 0x2000,
	HAS_JOBID = 0x4000,
	HAS_EXTRA = 0x8000,
	OWN_FLAGS = 0x0fff,
	/* extra flags */
	NID = 0x02,
	NID_BE = 0x10,
};

struct changelog {
	int magic, fd;
	unsigned int flags, extra;
	size_t len, pos; /* of what was read into buf, and used of it */
	char buf[BUFFER];
};

/* The file to read or to write commands to. */
static int open_changelog(const char *mdt, int flags)
{
	char path[2 * PATH_MAX], fsname[NAME_MAX + 1], root[PATH_MAX];
	const char *dash = strrchr(mdt, '-');
	int fd;

	if (snprintf(path, sizeof(path), "/dev/changelog-%s", mdt) >= PATH_MAX)
		return -EOVERFLOW;
	fd = open(path, flags);
	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	/* A stand-in has one metadata server. */
	if (dash == NULL || strcmp(dash, "-MDT0000") != 0)
		return -ENOENT;
	snprintf(fsname, sizeof(fsname), "%.*s", (int)(dash - mdt), mdt);
	if (llapi_search_rootpath(root, fsname) < 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/.lustre/changelog", root);
	fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

/* A device takes the flag by an ioctl, which FUSE does not pass on. */
static int set_up(struct changelog *cl, long long startrec)
{
	static const char follow[] = "follow:1";

	if (cl->flags & WANT_FOLLOW &&
	    write(cl->fd, follow, sizeof(follow) - 1) < 0)
		return -errno;
	/* The position is the number of a record. */
	if (startrec != 0 && lseek(cl->fd, startrec, SEEK_SET) < 0)
		return -errno;
	return 0;
}

int llapi_changelog_start(void **priv, int flags, const char *mdt,
			      long long startrec)
{
	struct changelog *cl = calloc(1, sizeof(*cl));
	int rc;

	if (cl == NULL)
		return -ENOMEM;
	cl->magic = CHANGELOG_MAGIC;
	cl->flags = (unsigned int)flags;
	cl->fd = open_changelog(mdt, flags & WANT_FOLLOW ? O_RDWR : O_RDONLY);
	if (cl->fd < 0) {
		rc = cl->fd;
		free(cl);
		return rc;
	}
	rc = set_up(cl, startrec);
	if (rc < 0) {
		close(cl->fd);
		free(cl);
		return rc;
	}
	*priv = cl;
	return 0;
}

static struct changelog *changelog(void *priv)
{
	struct changelog *cl = priv;

	return cl != NULL && cl->magic == CHANGELOG_MAGIC ? cl : NULL;
}

int llapi_changelog_set_xflags(void *priv, int extra)
{
	struct changelog *cl = changelog(priv);

	if (cl == NULL)
		return -EINVAL;
	cl->extra = (unsigned int)extra;
	return 0;
}

int llapi_changelog_fini(void **priv)
{
	struct changelog *cl = priv != NULL ? changelog(*priv) : NULL;

	if (cl == NULL)
		return -EINVAL;
	close(cl->fd);
	cl->magic = 0;
	free(cl);
	*priv = NULL;
	return 0;
}

int llapi_changelog_get_fd(void *priv)
{
	struct changelog *cl = changelog(priv);

	return cl == NULL ? -EINVAL : cl->fd;
}

int llapi_changelog_in_buf(void *priv)
{
	struct changelog *cl = changelog(priv);

	return cl != NULL && cl->pos < cl->len;
}

/* ---- records: a header, then extensions by flags, then the name ---- */

static const struct part {
	unsigned int flag;
	size_t size;
} parts[] = { { HAS_RENAME, 32 }, { HAS_JOBID, 32 }, { HAS_EXTRA, 8 } },
  extras[] = { { 0x01, 16 }, { NID, 24 }, { 0x04, 4 }, { 0x08, 256 } };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static size_t size_of(const struct part *p, size_t n, unsigned int flags)
{
	size_t size = 0;

	for (; n > 0; n--, p++)
		size += flags & p->flag ? p->size : 0;
	return size;
}

/* Where the record's extra flags are, if it has them. */
static size_t extra_offset(unsigned int flags)
{
	return sizeof(struct changelog_rec) +
	       size_of(parts, COUNT(parts), flags & (HAS_RENAME | HAS_JOBID));
}

static uint64_t extra_flags(const struct changelog_rec *rec)
{
	uint64_t extra = 0;

	if (rec->flags & HAS_EXTRA)
		memcpy(&extra, (const char *)rec + extra_offset(rec->flags),
		       sizeof(extra));
	return extra;
}

static size_t name_offset(unsigned int flags, uint64_t extra)
{
	return sizeof(struct changelog_rec) +
	       size_of(parts, COUNT(parts), flags) +
	       size_of(extras, COUNT(extras), (unsigned int)extra);
}

/* Appends those of the parts in from that are kept; returns the end of to. */
static char *keep(char *to, const char **from, const struct part *p, size_t n,
		  unsigned int has, unsigned int kept)
{
	for (; n > 0; n--, p++) {
		if (kept & has & p->flag) {
			memcpy(to, *from, p->size);
			to += p->size;
		}
		if (has & p->flag)
			*from += p->size;
	}
	return to;
}

/* A copy with the extensions that were asked for, of those that there are. */
static struct changelog_rec *repack(const struct changelog *cl,
				    const struct changelog_rec *rec)
{
	unsigned int has = rec->flags & ~OWN_FLAGS;
	unsigned int kept = has & (HAS_VERSION | HAS_RENAME);
	uint64_t extra = extra_flags(rec), want = 0;
	const char *from = (const char *)(rec + 1);
	struct changelog_rec *copy;
	char *to;

	if (cl->flags & WANT_JOBID)
		kept |= has & HAS_JOBID;
	if (cl->flags & WANT_EXTRA) {
		kept |= has & HAS_EXTRA;
		want = extra & cl->extra;
		if (cl->flags & WANT_NID_BE && want & NID)
			want |= extra & NID_BE;
	}
	/* One byte more: the name, which has no NUL, shall end in one. */
	copy = calloc(1, name_offset(kept, want) + rec->namelen + 1);
	if (copy == NULL)
		return NULL;
	*copy = *rec;
	copy->flags = (uint16_t)((rec->flags & OWN_FLAGS) | kept);
	to = keep((char *)(copy + 1), &from, parts, COUNT(parts), has, kept);
	if (kept & HAS_EXTRA)
		memcpy(to - sizeof(want), &want, sizeof(want));
	to = keep(to, &from, extras, COUNT(extras), (unsigned int)extra,
		  (unsigned int)want);
	memcpy(to, from, rec->namelen);
	return copy;
}

/* Reads more. 0: there is none. */
static int fill(struct changelog *cl)
{
	ssize_t n = read(cl->fd, cl->buf, sizeof(cl->buf));

	if (n < 0)
		return -errno;
	cl->pos = 0;
	cl->len = (size_t)n;
	return n > 0;
}

/* The size of the record at the start of buf, or 0 when it is not whole. */
static size_t whole(const char *buf, size_t len)
{
	const struct changelog_rec *rec = (const struct changelog_rec *)buf;
	size_t size;

	if (len < sizeof(*rec))
		return 0;
	if (rec->flags & HAS_EXTRA && len < extra_offset(rec->flags) + 8)
		return 0;
	size = name_offset(rec->flags, extra_flags(rec)) + rec->namelen;
	return len < size ? 0 : size;
}

int llapi_changelog_recv(void *priv, struct changelog_rec **rech)
{
	struct changelog *cl = changelog(priv);
	size_t size;
	int rc;

	if (cl == NULL || rech == NULL)
		return -EINVAL;
	*rech = NULL;
	if (cl->pos >= cl->len) {
		rc = fill(cl);
		if (rc <= 0)
			return rc < 0 ? rc : 1;
	}
	size = whole(cl->buf + cl->pos, cl->len - cl->pos);
	if (size == 0)
		return -EPROTO;
	*rech = repack(cl, (struct changelog_rec *)(cl->buf + cl->pos));
	cl->pos += size;
	return *rech == NULL ? -ENOMEM : 0;
}

int llapi_changelog_free(struct changelog_rec **rech)
{
	free(*rech);
	*rech = NULL;
	return 0;
}

int llapi_changelog_clear(const char *mdt, const char *user,
			      long long endrec)
{
	char command[64];
	int len, fd, rc = 0;

	if (endrec < 0) {
		llapi_error(MSG_ERROR | MSG_NO_ERRNO, -EINVAL,
			    "can't purge negative records\n");
		return -EINVAL;
	}
	/* A user may have a name after a dash: "cl1-robinhood". */
	len = snprintf(command, sizeof(command), "clear:%.*s:%lld",
		       (int)strcspn(user, "-"), user, endrec);
	if (len >= (int)sizeof(command))
		return -EINVAL;
	fd = open_changelog(mdt, O_WRONLY);
	if (fd < 0) {
		llapi_error(MSG_ERROR, fd, "cannot open '/dev/changelog-%s'",
			    mdt);
		return fd;
	}
	if (write(fd, command, len + 1) < 0) {
		rc = -errno;
		llapi_error(MSG_ERROR, rc, "cannot purge records for '%s'",
			    user);
	}
	close(fd);
	return rc;
}
