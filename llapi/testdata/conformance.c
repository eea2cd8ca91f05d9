/*
 * What Lustre's own test of its HSM library looks at, as far as package llapi
 * cannot do it wrong: bad arguments, and results before anything happened.
 * Prints each failure; the exit status is their number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "liblustreapi.h"

static int failures;

static void is(const char *what, long got, long want)
{
	if (got == want)
		return;
	printf("%s: %ld, want %ld\n", what, got, want);
	failures++;
}

static void registration(const char *mnt)
{
	struct hsm_copytool_private *ct = NULL, *second = NULL;
	int one = 1, with_zero[] = { 3, 0, 5 }, negative = -1;

	is("NULL list", llapi_hsm_copytool_register(&ct, mnt, 1, NULL, 0),
	   -EINVAL);
	is("negative id",
	   llapi_hsm_copytool_register(&ct, mnt, 1, &negative, 0), -EINVAL);
	is("not a mount", llapi_hsm_copytool_register(&ct, "/tmp", 1, &one, 0),
	   -ENOENT);
	is("a zero in the list",
	   llapi_hsm_copytool_register(&ct, mnt, 3, with_zero, 0), 0);
	is("a second one",
	   llapi_hsm_copytool_register(&second, mnt, 1, &one, 0), 0);
	is("unregister", llapi_hsm_copytool_unregister(&ct), 0);
	is("handle after unregister", ct == NULL, 1);
	is("unregister of nothing", llapi_hsm_copytool_unregister(&ct),
	   -EINVAL);
	is("unregister of NULL", llapi_hsm_copytool_unregister(NULL), -EINVAL);
	is("unregister the second", llapi_hsm_copytool_unregister(&second), 0);
}

static void receive(const char *mnt)
{
	struct hsm_copytool_private *ct = NULL;
	struct hsm_action_list *hal = (void *)1;
	struct pollfd pfd = { .events = POLLIN };
	int size = 1, fd;

	is("register", llapi_hsm_copytool_register(&ct, mnt, 0, NULL, O_NONBLOCK),
	   0);
	fd = llapi_hsm_copytool_get_fd(ct);
	is("read-only fd", fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	pfd.fd = fd;
	is("nothing to poll", poll(&pfd, 1, 0), 0);
	is("recv", llapi_hsm_copytool_recv(ct, &hal, &size), -EAGAIN);
	is("its list", hal == NULL, 1);
	is("its size", size, 0);
	is("recv of NULL", llapi_hsm_copytool_recv(NULL, &hal, &size), -EINVAL);
	is("recv without list", llapi_hsm_copytool_recv(ct, NULL, &size),
	   -EINVAL);
	is("recv without size", llapi_hsm_copytool_recv(ct, &hal, NULL),
	   -EINVAL);
	is("fd of NULL", llapi_hsm_copytool_get_fd(NULL), -EINVAL);
	is("unregister", llapi_hsm_copytool_unregister(&ct), 0);
}

/* struct hsm_action_item as words: length and action, then FIDs and so on. */
static void item(uint32_t words[18], uint32_t action)
{
	memset(words, 0, 18 * sizeof(words[0]));
	words[0] = 72;
	words[1] = action;
	words[14] = 0x7fffffff; /* a cookie that is nobody's */
}

static void actions(const char *mnt)
{
	enum { ARCHIVE = 20, RESTORE = 21, REMOVE = 22 };
	struct hsm_copytool_private *ct = NULL;
	struct hsm_copyaction_private *hcp = NULL;
	uint64_t extent[2] = { 0 }, fid[2];
	struct hsm_extent *he = (void *)extent;
	uint32_t hai[18], kinds[] = { ARCHIVE, RESTORE, REMOVE };
	int i;

	is("register", llapi_hsm_copytool_register(&ct, mnt, 0, NULL, 0), 0);
	is("progress of NULL", llapi_hsm_action_progress(NULL, he, 0, 0),
	   -EINVAL);
	is("end of NULL", llapi_hsm_action_end(NULL, he, 0, 0), -EINVAL);
	is("end of nothing", llapi_hsm_action_end(&hcp, he, 0, 0), -EINVAL);
	for (i = 0; i < 3; i++) {
		int copies = kinds[i] != REMOVE;

		item(hai, kinds[i]);
		is("begin an error",
		   llapi_hsm_action_begin(&hcp, ct, (void *)hai, -1, 0, true),
		   0);
		is("its fd", llapi_hsm_action_get_fd(hcp),
		   copies ? -EBADF : -EINVAL);
		is("its dfid", llapi_hsm_action_get_dfid(hcp, (void *)fid),
		   copies ? 0 : -EINVAL);
		is("progress without extent",
		   llapi_hsm_action_progress(hcp, NULL, 0, 0), -EINVAL);
		is("end without extent",
		   llapi_hsm_action_end(&hcp, NULL, 0, 0), -EINVAL);
		is("end with a cookie that is nobody's",
		   llapi_hsm_action_end(&hcp, he, 0, EIO), -ENOENT);
		is("handle after end", hcp == NULL, 1);
	}
	hcp = (void *)1;
	item(hai, ARCHIVE);
	is("begin of no file",
	   llapi_hsm_action_begin(&hcp, ct, (void *)hai, -1, 0, false) < 0, 1);
	is("handle after a failed begin", hcp == (void *)1, 1);
	is("unregister", llapi_hsm_copytool_unregister(&ct), 0);
}

static void state(const char *path)
{
	enum { EXISTS = 1, DIRTY = 2, RELEASED = 4, ARCHIVED = 8, LOST = 0x40 };
	uint32_t hus[8], hca[6];
	int fd = open(path, O_RDONLY);

	is("state into NULL", llapi_hsm_state_get_fd(fd, NULL), -EFAULT);
	is("state", llapi_hsm_state_get_fd(fd, (void *)hus), 0);
	is("of an untouched file", hus[0], 0);
	is("action", llapi_hsm_current_action(path, (void *)hca), 0);
	is("state of no action", hca[0] != 0, 1);
	is("no action", hca[1], 1);
	is("dirty alone", llapi_hsm_state_set_fd(fd, DIRTY, 0, 0), -EINVAL);
	is("unknown bits", llapi_hsm_state_set_fd(fd, 1 << 30, 0, 0), -EINVAL);
	is("released alone", llapi_hsm_state_set_fd(fd, RELEASED, 0, 0),
	   -EINVAL);
	is("lost alone", llapi_hsm_state_set_fd(fd, LOST, 0, 0), -EINVAL);
	is("exists", llapi_hsm_state_set_fd(fd, EXISTS, 0, 0), 0);
	is("dirty", llapi_hsm_state_set_fd(fd, DIRTY, 0, 1), 0);
	llapi_hsm_state_get_fd(fd, (void *)hus);
	is("flags", hus[0], EXISTS | DIRTY);
	is("archive id", hus[1], 1);
	is("exists gone, dirty not", llapi_hsm_state_set_fd(fd, 0, EXISTS, 0),
	   -EINVAL);
	is("both gone", llapi_hsm_state_set_fd(fd, 0, EXISTS | DIRTY, 0), 0);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 99;
	llapi_msg_set_level(0);
	registration(argv[1]);
	receive(argv[1]);
	actions(argv[1]);
	state(argv[2]);
	return failures;
}
