/* FIDs and paths. */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As Lustre writes it, so without brackets and with a bare 0 for no sequence. */
void fid_text(char buf[FID_TEXT], const struct lu_fid *fid)
{
	snprintf(buf, FID_TEXT, "%#llx:0x%x:0x%x", (unsigned long long)fid->seq,
		 fid->oid, fid->ver);
}

/* Optional blanks and brackets; what follows the FID is the caller's. A number
 * that is missing counts as 0, as in the real library. */
int llapi_fid_parse(const char *text, struct lu_fid *fid, char **end)
{
	static const uint64_t max[3] = { UINT64_MAX - 1, UINT32_MAX,
					 UINT32_MAX };
	uint64_t value[3] = { 0 };
	char *at = (char *)text;
	bool bracket;
	int rc = 0, i;

	if (text == NULL || fid == NULL)
		return -EINVAL;
	while (isspace((unsigned char)*at))
		at++;
	for (bracket = *at == '['; *at == '['; at++)
		;
	for (i = 0; i < 3; i++) {
		value[i] = strtoull(at, &at, 0);
		if (i < 2 && *at++ != ':') {
			rc = -EINVAL;
			break;
		}
		if (value[i] > max[i])
			rc = -ERANGE;
	}
	if (rc == 0) {
		fid->seq = value[0];
		fid->oid = (uint32_t)value[1];
		fid->ver = (uint32_t)value[2];
	}
	if (rc != -EINVAL && bracket && *at == ']')
		at++;
	if (end != NULL)
		*end = at;
	return rc;
}

/* trusted.lma: two u32 of flags, then the FID, in little endian. */
static int from_lma(const char *buf, ssize_t size, struct lu_fid *fid)
{
	if (size < 0)
		return -errno;
	if (size < 24)
		return -EINVAL;
	memcpy(fid, buf + 8, sizeof(*fid));
	return 0;
}

/* Lustre's own library asks for a file handle, which takes no permission on the
 * file; so does this attribute. */
#define FID_ATTR "system.lustre.fid"

int llapi_fd2fid(int fd, struct lu_fid *fid)
{
	char buf[512];

	memset(fid, 0, sizeof(*fid));
	if (fgetxattr(fd, FID_ATTR, fid, sizeof(*fid)) == sizeof(*fid))
		return 0;
	return from_lma(buf, fgetxattr(fd, "trusted.lma", buf, sizeof(buf)),
			fid);
}

int llapi_path2fid(const char *path, struct lu_fid *fid)
{
	char buf[512];

	memset(fid, 0, sizeof(*fid));
	if (lgetxattr(path, FID_ATTR, fid, sizeof(*fid)) == sizeof(*fid))
		return 0;
	return from_lma(buf, lgetxattr(path, "trusted.lma", buf, sizeof(buf)),
			fid);
}

/* linkno counts links from 0, and advances when there is another. */
int llapi_fid2path_at(int mnt_fd, const struct lu_fid *fid, char *path,
			  int size, long long *recno, int *linkno)
{
	struct fid2path *gf;
	int rc;

	if (size < 1)
		return -EINVAL;
	gf = calloc(1, sizeof(*gf) + size);
	if (gf == NULL)
		return -ENOMEM;
	gf->fid = *fid;
	gf->recno = recno != NULL ? *recno : -1;
	gf->linkno = linkno != NULL ? *linkno : 0;
	gf->pathlen = size;
	rc = do_ioctl(mnt_fd, IOC_FID2PATH, gf);
	if (rc >= 0) {
		rc = 0;
		gf->path[size - 1] = '\0';
		snprintf(path, size, "%s", gf->path[0] ? gf->path : "/");
		if (recno != NULL)
			*recno = gf->recno;
		if (linkno != NULL)
			*linkno = gf->linkno;
	}
	free(gf);
	return rc;
}

int llapi_fid2path(const char *device, const char *text, char *path,
		       int size, long long *recno, int *linkno)
{
	struct lu_fid fid;
	int fd, rc;

	if (device == NULL || device[0] == '\0')
		return -EINVAL;
	rc = llapi_fid_parse(text, &fid, NULL);
	if (rc < 0) {
		llapi_error(MSG_ERROR | MSG_NO_ERRNO, rc,
			    "bad FID format '%s', should be [seq:oid:ver] (e.g. [0x200000400:0x2:0x0])\n",
			    text);
		return rc;
	}
	fd = open_root(device);
	if (fd < 0)
		return fd;
	rc = llapi_fid2path_at(fd, &fid, path, size, recno, linkno);
	close(fd);
	return rc;
}

int llapi_fd2parent(int fd, unsigned int linkno, struct lu_fid *parent,
			char *name, size_t size)
{
	struct getparent *gp;
	int rc;

	if (name != NULL && size <= 1)
		return -EOVERFLOW;
	gp = calloc(1, sizeof(*gp) + size);
	if (gp == NULL)
		return -ENOMEM;
	gp->linkno = linkno;
	gp->name_size = (uint32_t)size;
	rc = do_ioctl(fd, IOC_GETPARENT, gp);
	if (rc >= 0) {
		rc = 0;
		if (parent != NULL)
			*parent = gp->fid;
		if (name != NULL)
			snprintf(name, size, "%.*s", (int)size - 1, gp->name);
	}
	free(gp);
	return rc;
}

int llapi_path2parent(const char *path, unsigned int linkno,
			  struct lu_fid *parent, char *name, size_t size)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = llapi_fd2parent(fd, linkno, parent, name, size);
	close(fd);
	return rc;
}

int llapi_open_by_fid_at(int lustre_fd, const struct lu_fid *fid, int flags)
{
	char name[sizeof(".lustre/fid/") + FID_TEXT] = ".lustre/fid/";
	int fd;

	fid_text(name + strlen(name), fid);
	fd = openat(lustre_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

int llapi_open_by_fid(const char *dir, const struct lu_fid *fid, int flags)
{
	int root = open_root(dir);
	int rc;

	if (root < 0)
		return root;
	rc = llapi_open_by_fid_at(root, fid, flags);
	close(root);
	return rc;
}

/* The result is the index, which may be above 0. */
int llapi_get_mdt_index_by_fid(int fd, const struct lu_fid *fid, int *index)
{
	struct lu_fid arg = *fid;
	int rc = do_ioctl(fd, IOC_FID2MDTIDX, &arg);

	if (rc >= 0 && index != NULL)
		*index = rc;
	return rc;
}
