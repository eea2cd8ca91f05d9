/*
 * Preloaded into programs that use a real liblustreapi on a mount of the
 * stand-in. FUSE cannot do these things as Lustre does:
 *
 *   - the type of the mount: the kernel says "fuse.lustre", and the library
 *     looks for "lustre" in the mount table;
 *   - the file handle: the library reads the FID out of one of type 0x97, and
 *     FUSE has handles of its own. The FID is also in an xattr;
 *   - the changelog's character device, /dev/changelog-MDT: the stand-in has a
 *     file on the mount instead. $LUSTRE_MOUNT says which mount. Its ioctl,
 *     whose argument is not the pointer that its number promises, is a write.
 *
 * Everything else goes to the real functions.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FUSE_PREFIX "fuse."
#define FUSE_TYPE FUSE_PREFIX "lustre"
#define FID_ATTR "system.lustre.fid"
#define CHANGELOG_DEVICE "/dev/changelog-"
#define CHANGELOG_FILE ".lustre/changelog"
#define CHANGELOG_SET_FLAGS _IOR('f', 233, long)
#define CHANGELOG_FOLLOW 1
#define FIRST_MDT "-MDT0000"
#define FID_SIZE 16
#define LUSTRE_HANDLE_TYPE 0x97
#define LUSTRE_HANDLE_SIZE 32 /* the file's FID and its parent's, which may be zero */

struct mntent *getmntent_r(FILE *table, struct mntent *entry, char *buf, int len)
{
	static struct mntent *(*next)(FILE *, struct mntent *, char *, int);
	struct mntent *found;

	if (next == NULL)
		next = dlsym(RTLD_NEXT, "getmntent_r");
	found = next(table, entry, buf, len);
	if (found != NULL && strcmp(found->mnt_type, FUSE_TYPE) == 0)
		found->mnt_type += strlen(FUSE_PREFIX);
	return found;
}

/* The file that name_to_handle_at was asked about, as a path. */
static int path_of(char *path, size_t size, int dirfd, const char *name, int flags)
{
	int n;

	if (name[0] == '/' || (dirfd == AT_FDCWD && name[0] != '\0'))
		n = snprintf(path, size, "%s", name);
	else if (name[0] != '\0')
		n = snprintf(path, size, "/proc/self/fd/%d/%s", dirfd, name);
	else if (flags & AT_EMPTY_PATH)
		n = snprintf(path, size, "/proc/self/fd/%d", dirfd);
	else
		return -1;
	return n >= 0 && (size_t)n < size ? 0 : -1;
}

static ssize_t fid_of(const char *path, int follow, void *fid)
{
	return follow ? getxattr(path, FID_ATTR, fid, FID_SIZE)
		      : lgetxattr(path, FID_ATTR, fid, FID_SIZE);
}

int name_to_handle_at(int dirfd, const char *name, struct file_handle *handle,
		      int *mount_id, int flags)
{
	static int (*next)(int, const char *, struct file_handle *, int *, int);
	unsigned char fid[FID_SIZE];
	char path[4096 + 32];
	int follow = name[0] == '\0' || (flags & AT_SYMLINK_FOLLOW);
	int saved = errno;

	if (next == NULL)
		next = dlsym(RTLD_NEXT, "name_to_handle_at");
	if (path_of(path, sizeof(path), dirfd, name, flags) != 0 ||
	    fid_of(path, follow, fid) != FID_SIZE) {
		errno = saved;
		return next(dirfd, name, handle, mount_id, flags);
	}
	if (handle->handle_bytes < LUSTRE_HANDLE_SIZE) {
		handle->handle_bytes = LUSTRE_HANDLE_SIZE;
		errno = EOVERFLOW;
		return -1;
	}
	handle->handle_bytes = LUSTRE_HANDLE_SIZE;
	handle->handle_type = LUSTRE_HANDLE_TYPE;
	memcpy(handle->f_handle, fid, FID_SIZE);
	memset(handle->f_handle + FID_SIZE, 0, LUSTRE_HANDLE_SIZE - FID_SIZE);
	if (mount_id != NULL)
		*mount_id = 0;
	return 0;
}

/* The file system that is mounted on $LUSTRE_MOUNT has this metadata server. */
static int is_own_mdt(const char *mount, const char *name)
{
	FILE *table = setmntent("/proc/self/mounts", "r");
	struct mntent entry;
	char buf[3 * 4096], mdt[256] = "";

	if (table == NULL)
		return 0;
	while (getmntent_r(table, &entry, buf, sizeof(buf)) != NULL) {
		const char *slash = strrchr(entry.mnt_fsname, '/');

		if (slash != NULL && strcmp(entry.mnt_dir, mount) == 0)
			snprintf(mdt, sizeof(mdt), "%s" FIRST_MDT, slash + 1);
	}
	endmntent(table);
	return strcmp(mdt, name) == 0;
}

/* Whether path is a changelog device that a file stands for, which goes to buf. */
static int changelog_file(const char *path, char *buf, size_t size)
{
	const char *mount = getenv("LUSTRE_MOUNT");

	if (mount == NULL || strncmp(path, CHANGELOG_DEVICE, strlen(CHANGELOG_DEVICE)) != 0 ||
	    !is_own_mdt(mount, path + strlen(CHANGELOG_DEVICE)))
		return 0;
	snprintf(buf, size, "%s/%s", mount, CHANGELOG_FILE);
	return 1;
}

/* open and open64 are one function on a 64-bit system, with two names. */
static int open_by(const char *symbol, const char *path, int flags, mode_t mode)
{
	int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, symbol);
	char buf[4096 + 32];

	if (!changelog_file(path, buf, sizeof(buf)))
		return next(path, flags, mode);
	/* A reader sets its flags by writing, see ioctl. */
	if ((flags & O_ACCMODE) == O_RDONLY)
		flags |= O_RDWR;
	return next(buf, flags, mode);
}

/*
 * The flags of a changelog's reader are the argument itself, while the number
 * says that it is a pointer, which is what FUSE would take it for.
 */
int ioctl(int fd, unsigned long request, ...)
{
	static int (*next)(int, unsigned long, ...);
	static const char follow[] = "follow:1";
	unsigned long arg;
	va_list args;

	va_start(args, request);
	arg = va_arg(args, unsigned long);
	va_end(args);
	if (request == CHANGELOG_SET_FLAGS) {
		if (!(arg & CHANGELOG_FOLLOW))
			return 0;
		return write(fd, follow, sizeof(follow) - 1) < 0 ? -1 : 0;
	}
	if (next == NULL)
		next = dlsym(RTLD_NEXT, "ioctl");
	return next(fd, request, arg);
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_by("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_by("open64", path, flags, mode);
}
