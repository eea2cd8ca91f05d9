/* State, action, request, import: what a client asks. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Opens path, asks, closes. */
static int ask(const char *path, int flags, unsigned long number, void *arg)
{
	int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = do_ioctl(fd, number, arg);
	close(fd);
	return rc < 0 ? rc : 0;
}

int llapi_hsm_state_get(const char *path, struct hsm_user_state *hus)
{
	return ask(path, O_RDONLY, IOC_HSM_STATE_GET, hus);
}

int llapi_hsm_state_get_fd(int fd, struct hsm_user_state *hus)
{
	int rc = do_ioctl(fd, IOC_HSM_STATE_GET, hus);

	return rc < 0 ? rc : 0;
}

static struct hsm_state_set state_set(uint64_t set, uint64_t clear,
				      uint32_t archive_id)
{
	enum { SETMASK = 1, CLEARMASK = 2, ARCHIVE_ID = 4 };
	struct hsm_state_set hss = {
		.valid = SETMASK | CLEARMASK,
		.setmask = set,
		.clearmask = clear,
	};

	if (archive_id > 0) {
		hss.valid |= ARCHIVE_ID;
		hss.archive_id = archive_id;
	}
	return hss;
}

int llapi_hsm_state_set_fd(int fd, uint64_t set, uint64_t clear,
			       uint32_t archive_id)
{
	struct hsm_state_set hss = state_set(set, clear, archive_id);
	int rc = do_ioctl(fd, IOC_HSM_STATE_SET, &hss);

	return rc < 0 ? rc : 0;
}

int llapi_hsm_state_set(const char *path, uint64_t set, uint64_t clear,
			    uint32_t archive_id)
{
	struct hsm_state_set hss = state_set(set, clear, archive_id);

	return ask(path, O_WRONLY | DELAY_CREATE, IOC_HSM_STATE_SET, &hss);
}

int llapi_hsm_current_action(const char *path,
				 struct hsm_current_action *hca)
{
	return ask(path, O_RDONLY, IOC_HSM_ACTION, hca);
}

struct hsm_user_request *llapi_hsm_user_request_alloc(int items, int data)
{
	enum { ITEM_SIZE = 32 };

	return calloc(1, sizeof(struct hsm_user_request) +
				 (size_t)items * ITEM_SIZE + data);
}

int llapi_hsm_request(const char *path,
			  const struct hsm_user_request *request)
{
	int fd = open_root(path);
	int rc;

	if (fd < 0)
		return fd;
	rc = do_ioctl(fd, IOC_HSM_REQUEST, (void *)request);
	close(fd);
	return rc < 0 ? rc : 0;
}

/* From llapi_hsm_import on: the layout that says there are no data. */
#define PATTERN_RAID0 1u
#define PATTERN_RELEASED 0x80000000u

int llapi_file_open_pool(const char *path, int flags, int mode,
			     unsigned long long stripe_size, int stripe_offset,
			     int stripe_count, int pattern, char *pool);

static int import_into(int fd, int archive, const struct stat *st,
		       struct lu_fid *newfid)
{
	struct hsm_user_import hui = {
		.size = (uint64_t)st->st_size,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.atime_ns = (uint32_t)st->st_atim.tv_nsec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mode = st->st_mode,
		.archive_id = (uint32_t)archive,
	};
	int rc = llapi_fd2fid(fd, newfid);

	if (rc == 0)
		rc = do_ioctl(fd, IOC_HSM_IMPORT, &hui);
	return rc < 0 ? rc : 0;
}

int llapi_hsm_import(const char *dst, int archive, const struct stat *st,
			 unsigned long long stripe_size, int stripe_offset,
			 int stripe_count, int pattern, char *pool,
			 struct lu_fid *newfid)
{
	int fd, rc;

	if (pattern == 0)
		pattern = PATTERN_RAID0;
	fd = llapi_file_open_pool(dst, O_CREAT | O_WRONLY, st->st_mode,
				  stripe_size, stripe_offset, stripe_count,
				  pattern | PATTERN_RELEASED, pool);
	if (fd < 0) {
		llapi_error(MSG_ERROR, fd, "cannot create '%s' for import",
			    dst);
		return fd;
	}
	rc = import_into(fd, archive, st, newfid);
	close(fd);
	if (rc < 0) {
		llapi_error(MSG_ERROR, rc, "cannot import '%s'", dst);
		unlink(dst);
	}
	return rc;
}
