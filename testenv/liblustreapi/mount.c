/* Finding mounts in /proc/mounts. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct mount {
	char dir[PATH_MAX];
	char fsname[PATH_MAX];
};

/* A Lustre client's source is NODES:/FSNAME or NODES:/FSNAME/SUBDIRECTORY. */
static bool is_lustre(const struct mntent *m)
{
	return (strcmp(m->mnt_type, "lustre") == 0 ||
		strcmp(m->mnt_type, "fuse.lustre") == 0) &&
	       strstr(m->mnt_fsname, ":/") != NULL;
}

static void fill(struct mount *to, const struct mntent *m)
{
	const char *name = strstr(m->mnt_fsname, ":/") + 1;

	name += strspn(name, "/");
	snprintf(to->dir, sizeof(to->dir), "%s", m->mnt_dir);
	snprintf(to->fsname, sizeof(to->fsname), "%.*s",
		 (int)strcspn(name, "/"), name);
}

/* Whether path is dir or lies below it. */
static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/' || strcmp(dir, "/") == 0);
}

struct wanted {
	const char *path, *fsname;
	const dev_t *dev;
	int index; /* negative: any */
};

static bool matches(const struct wanted *w, const struct mount *m, int index)
{
	struct stat st;

	if (w->index >= 0)
		return index == w->index;
	if (w->path != NULL)
		return below(w->path, m->dir);
	if (w->fsname != NULL)
		return strcmp(w->fsname, m->fsname) == 0;
	return stat(m->dir, &st) == 0 && st.st_dev == *w->dev;
}

/*
 * Whether a mount that matches is better than the one found before: for a path
 * the deeper one, of two in the same place the later one, which hides the
 * other; for a name the later one, but best what LUSTRE_MOUNT says, since
 * several tests can have a file system of that name.
 */
static bool better(const struct wanted *w, const struct mount *m,
		   const struct mount *found)
{
	const char *preferred = getenv("LUSTRE_MOUNT");

	if (w->path != NULL)
		return strlen(m->dir) >= strlen(found->dir);
	return w->fsname != NULL && (preferred == NULL ||
				     strcmp(found->dir, preferred) != 0);
}

static int find(const struct wanted *w, struct mount *found)
{
	char buf[2 * PATH_MAX];
	struct mntent ent;
	struct mount m;
	int index = -1, rc = -ENODEV;
	FILE *f = setmntent("/proc/mounts", "re");

	if (f == NULL) {
		llapi_error(MSG_ERROR, -EIO,
			    "cannot retrieve filesystem mount point");
		return -EIO;
	}
	while (getmntent_r(f, &ent, buf, sizeof(buf)) != NULL) {
		if (!is_lustre(&ent))
			continue;
		fill(&m, &ent);
		if (!matches(w, &m, ++index))
			continue;
		if (rc == 0 && !better(w, &m, found))
			continue;
		*found = m;
		rc = 0;
	}
	endmntent(f);
	return rc;
}

static int copy(const struct mount *m, char *mnt, char *fsname)
{
	if (mnt != NULL)
		memcpy(mnt, m->dir, strlen(m->dir) + 1);
	if (fsname != NULL)
		memcpy(fsname, m->fsname, strlen(m->fsname) + 1);
	return 0;
}

/* The buffers have room for PATH_MAX. */
int llapi_search_mounts(const char *path, int index, char *mnt,
			    char *fsname)
{
	struct wanted w = { .path = path, .index = -1 };
	struct mount m;
	int rc;

	if (path == NULL || path[0] == '\0') {
		w.path = NULL;
		w.index = index;
	}
	rc = find(&w, &m);
	return rc < 0 ? rc : copy(&m, mnt, fsname);
}

int llapi_search_rootpath(char *mnt, const char *fsname)
{
	struct wanted w = { .fsname = fsname, .index = -1 };
	struct mount m;
	int rc;

	if (mnt == NULL)
		return -EINVAL;
	rc = find(&w, &m);
	return rc < 0 ? rc : copy(&m, mnt, NULL);
}

int llapi_search_fsname(const char *path, char *fsname)
{
	struct stat st;
	struct wanted w = { .dev = &st.st_dev, .index = -1 };
	struct mount m;
	int rc;

	if (stat(path, &st) < 0) {
		rc = -errno;
		llapi_error(MSG_ERROR, rc, "cannot resolve path '%s'", path);
		return rc;
	}
	rc = find(&w, &m);
	if (rc < 0) {
		llapi_error(MSG_ERROR | MSG_NO_ERRNO, rc,
			    "'%u/%u' dev not on a mounted Lustre filesystem",
			    major(st.st_dev), minor(st.st_dev));
		return rc;
	}
	return copy(&m, NULL, fsname);
}

/* "fsname-instance"; a stand-in mount's instance is its device number. */
int llapi_getname(const char *path, char *out, size_t len)
{
	char name[PATH_MAX];
	struct stat st;
	int rc = llapi_search_fsname(path, name);

	if (rc < 0)
		return rc;
	if (stat(path, &st) < 0)
		return -errno;
	return snprintf(out, len, "%s-%016llx", name,
			(unsigned long long)st.st_dev) >= (int)len ?
		       -ENAMETOOLONG :
		       0;
}

/*
 * Opened anew each time. The real library keeps a descriptor for good, which
 * is faster, and keeps the mount busy.
 */
int open_root(const char *path_or_fsname)
{
	struct wanted w = { .index = -1 };
	struct mount m;
	int rc;

	if (path_or_fsname[0] == '/')
		w.path = path_or_fsname;
	else
		w.fsname = path_or_fsname;
	rc = find(&w, &m);
	if (rc < 0)
		return rc;
	rc = open(m.dir, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (rc < 0) {
		rc = -errno;
		llapi_error(MSG_ERROR, rc, "cannot open '%s'", m.dir);
	}
	return rc;
}

int llapi_root_path_open(const char *device, int *outfd)
{
	int rc = open_root(device);

	if (rc < 0)
		return rc;
	*outfd = rc;
	return 0;
}

/* What hsm.agents shows for a copytool on this mount. */
int llapi_get_agent_uuid(char *path, char *buf, size_t size)
{
	ssize_t n = getxattr(path, "user.standin.uuid", buf, size);

	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -EOVERFLOW;
	buf[n] = '\0';
	return 0;
}
