/* Volatile files, striping, data version. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What makes the server create a file without a name. */
#define VOLATILE ".\x0c\x13\x14\x12:VOLATILE"

static int volatile_name(char *buf, size_t size, const char *dir, int mdt,
			 int source_fd)
{
	char where[16] = "", source[32] = "";

	if (mdt >= 0)
		snprintf(where, sizeof(where), "%.4X", mdt);
	if (source_fd >= 0)
		snprintf(source, sizeof(source), ":fd=%.2d", source_fd);
	return snprintf(buf, size, "%s/" VOLATILE ":%s:%.4lX%s", dir, where,
			random(), source) >= (int)size ?
		       -ENAMETOOLONG :
		       0;
}

int create_volatile(const char *dir, int mdt, int flags, int source_fd)
{
	char path[PATH_MAX];
	int fd, rc;

	if ((flags & O_ACCMODE) == O_RDONLY)
		flags |= O_RDWR;
	do {
		rc = volatile_name(path, sizeof(path), dir, mdt, source_fd);
		if (rc < 0)
			return rc;
		fd = open(path, flags | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	} while (fd < 0 && errno == EEXIST);
	if (fd < 0)
		return -errno;
	/* On anything but a Lustre the name exists. */
	unlink(path);
	return fd;
}

int llapi_create_volatile_idx(const char *dir, int mdt, int flags)
{
	int fd = create_volatile(dir, mdt, flags, -1);

	if (fd < 0)
		llapi_error(MSG_ERROR, fd,
			    "cannot create volatile file '%s/" VOLATILE "'",
			    dir);
	return fd;
}

int llapi_get_data_version(int fd, uint64_t *version, uint64_t flags)
{
	struct data_version dv = { .flags = (uint32_t)flags };
	int rc = do_ioctl(fd, IOC_DATA_VERSION, &dv);

	if (rc < 0)
		return rc;
	*version = dv.version;
	return 0;
}

int llapi_file_flush(int fd)
{
	uint64_t ignored;

	return llapi_get_data_version(fd, &ignored, 2);
}

int llapi_hsm_data_version_set(int fd, uint64_t version)
{
	struct data_version dv = { .version = version };
	int rc = do_ioctl(fd, IOC_HSM_DATA_VERSION, &dv);

	return rc < 0 ? rc : 0;
}

/* The buffer has room for the largest layout. */
int llapi_file_get_stripe(const char *path, struct lov_user_md *lum)
{
	ssize_t n = lgetxattr(path, "lustre.lov", lum, XATTR_SIZE_MAX);

	return n < 0 ? -errno : 0;
}

#define LOV_MAGIC_V1 0x0BD10BD0u
#define LOV_MAGIC_V3 0x0BD30BD0u
#define LOV_V1_SIZE 32

int llapi_file_open_pool(const char *path, int flags, int mode,
			     unsigned long long stripe_size, int stripe_offset,
			     int stripe_count, int pattern, char *pool)
{
	struct lov_user_md lum = {
		.magic = pool != NULL ? LOV_MAGIC_V3 : LOV_MAGIC_V1,
		.pattern = (uint32_t)pattern,
		.stripe_size = (uint32_t)stripe_size,
		.stripe_count = (uint16_t)stripe_count,
		.stripe_offset = (uint16_t)stripe_offset,
	};
	int fd, rc;

	if (pool != NULL)
		snprintf(lum.pool, sizeof(lum.pool), "%s", pool);
	/* As the real one: a file that exists is opened, and its layout makes
	 * the next step fail. */
	fd = open(path, flags | DELAY_CREATE, mode);
	if (fd < 0)
		return -errno;
	if (fsetxattr(fd, "lustre.lov", &lum,
		      pool != NULL ? sizeof(lum) : LOV_V1_SIZE,
		      XATTR_CREATE) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}
