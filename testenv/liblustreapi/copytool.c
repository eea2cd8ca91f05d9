/* Registration, and the pipe that actions come through. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CT_MAGIC = (int)0xC0BE2001,
	KUC_MAGIC = 0x191C,
	TRANSPORT_GENERIC = 1,
	TRANSPORT_HSM = 2,
	GENERIC_SHUTDOWN = 1,
	HSM_ACTION_LIST = 100,
	GROUP_HSM = 2,
	FLAG_STOP = 1,
	FLAG_DATA = 2,	    /* data_count and data are meant */
	BUFFER = 1 << 16,   /* more than a message's 16 bits of length say */
	POISON = 0xdb,
};
#define NO_FD UINT32_MAX

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void ct_free(struct hsm_copytool_private *ct)
{
	if (ct->kuc != NULL) {
		close_fd((int)ct->kuc->wfd);
		close_fd((int)ct->kuc->rfd);
	}
	close_fd(ct->fid_fd);
	close_fd(ct->mnt_fd);
	free(ct->kuc);
	free(ct->buf);
	free(ct->mnt);
	ct->magic = 0; /* whoever uses it from now on is told */
	free(ct);
}

/* A list with a 0 in it means every archive; so does an empty one. */
static int archive_list(struct kernelcomm *kuc, int count, const int *archives)
{
	int i;

	for (i = 0; i < count; i++)
		if (archives[i] == 0)
			return 0;
	for (i = 0; i < count; i++) {
		if (archives[i] < 0) {
			llapi_error(MSG_ERROR | MSG_NO_ERRNO, -EINVAL,
				    "%d requested when archive id >= 0 is supported",
				    archives[i]);
			return -EINVAL;
		}
		kuc->data[i] = (uint32_t)archives[i];
	}
	kuc->data_count = count;
	return 0;
}

static int open_pipe(struct kernelcomm *kuc, int rfd_flags)
{
	int fds[2];

	if (pipe(fds) < 0)
		return -errno;
	kuc->rfd = fds[0];
	kuc->wfd = fds[1];
	kuc->group = GROUP_HSM;
	kuc->uid = getpid();
	kuc->flags = FLAG_DATA;
	return fcntl(fds[0], F_SETFL, rfd_flags) < 0 ? -errno : 0;
}

static int start(struct hsm_copytool_private *ct, int count,
		 const int *archives, int rfd_flags)
{
	int rc;

	ct->mnt_fd = open(ct->mnt, O_RDONLY);
	if (ct->mnt_fd < 0)
		return -errno;
	ct->fid_fd = openat(ct->mnt_fd, ".lustre/fid", O_RDONLY);
	if (ct->fid_fd < 0)
		return -errno;
	rc = open_pipe(ct->kuc, rfd_flags);
	if (rc == 0)
		rc = archive_list(ct->kuc, count, archives);
	if (rc < 0)
		return rc;
	rc = do_ioctl(ct->mnt_fd, IOC_HSM_CT_START, ct->kuc);
	if (rc < 0) {
		llapi_error(MSG_ERROR, rc, "cannot start copytool on '%s'",
			    ct->mnt);
		return rc;
	}
	/* From here on the server alone holds the write side. */
	close((int)ct->kuc->wfd);
	ct->kuc->wfd = NO_FD;
	return 0;
}

int llapi_hsm_copytool_register(struct hsm_copytool_private **priv,
				    const char *mnt, int count, int *archives,
				    int rfd_flags)
{
	struct hsm_copytool_private *ct;
	int rc;

	if (count > 0 && archives == NULL) {
		llapi_error(MSG_ERROR | MSG_NO_ERRNO, -EINVAL,
			    "NULL archive numbers");
		return -EINVAL;
	}
	if (count < 0)
		count = 0;
	ct = calloc(1, sizeof(*ct));
	if (ct == NULL)
		return -ENOMEM;
	ct->magic = CT_MAGIC;
	ct->mnt_fd = ct->fid_fd = -1;
	ct->mnt = strdup(mnt);
	ct->buf = malloc(BUFFER);
	ct->kuc = calloc(1, sizeof(*ct->kuc) + count * sizeof(uint32_t));
	if (ct->mnt == NULL || ct->buf == NULL || ct->kuc == NULL) {
		free(ct->kuc);
		ct->kuc = NULL;
		ct_free(ct);
		return -ENOMEM;
	}
	ct->kuc->rfd = ct->kuc->wfd = NO_FD;
	rc = start(ct, count, archives, rfd_flags);
	if (rc < 0) {
		ct_free(ct);
		return rc;
	}
	*priv = ct;
	return 0;
}

/* The read end goes first: the server may be blocked in a write to it. */
int llapi_hsm_copytool_unregister(struct hsm_copytool_private **priv)
{
	struct hsm_copytool_private *ct;

	if (priv == NULL || *priv == NULL || (*priv)->magic != CT_MAGIC)
		return -EINVAL;
	ct = *priv;
	close((int)ct->kuc->rfd);
	ct->kuc->rfd = NO_FD;
	ct->kuc->flags = FLAG_STOP;
	do_ioctl(ct->mnt_fd, IOC_HSM_CT_START, ct->kuc);
	ct_free(ct);
	*priv = NULL;
	return 0;
}

int llapi_hsm_copytool_get_fd(struct hsm_copytool_private *ct)
{
	if (ct == NULL || ct->magic != CT_MAGIC)
		return -EINVAL;
	return (int)ct->kuc->rfd;
}

/*
 * One message in two reads, as up to 2.17: a message that has come in part is
 * lost, and what is left of it is taken for the next (LU-20183).
 */
static int read_message(struct hsm_copytool_private *ct)
{
	struct kuc_hdr *hdr = (struct kuc_hdr *)ct->buf;
	int fd = (int)ct->kuc->rfd;
	ssize_t n, rest;

	memset(ct->buf, POISON, BUFFER);
	n = read(fd, hdr, sizeof(*hdr));
	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPIPE; /* the real one returns whatever errno was */
	if (n < (ssize_t)sizeof(*hdr) || hdr->magic != KUC_MAGIC ||
	    hdr->msglen < sizeof(*hdr)) {
		llapi_error(MSG_ERROR | MSG_NO_ERRNO, -EPROTO,
			    "bad message magic %x != %x\n", hdr->magic,
			    KUC_MAGIC);
		return -EPROTO;
	}
	rest = hdr->msglen - sizeof(*hdr);
	n = read(fd, hdr + 1, rest);
	if (n < 0)
		return -errno;
	if (n < rest) {
		llapi_error(MSG_ERROR | MSG_NO_ERRNO, -EPROTO,
			    "short read: got %zd of %d bytes\n", n,
			    hdr->msglen);
		return -EPROTO;
	}
	return 0;
}

static int check_message(const struct kuc_hdr *hdr)
{
	if (hdr->transport == TRANSPORT_GENERIC &&
	    hdr->msgtype == GENERIC_SHUTDOWN)
		return -ESHUTDOWN;
	if (hdr->transport != TRANSPORT_HSM ||
	    hdr->msgtype != HSM_ACTION_LIST) {
		llapi_error(MSG_ERROR | MSG_NO_ERRNO, -EPROTO,
			    "Unknown HSM message type %d:%d\n", hdr->transport,
			    hdr->msgtype);
		return -EPROTO;
	}
	if (hdr->msglen < sizeof(*hdr) + sizeof(struct hsm_action_list)) {
		llapi_error(MSG_ERROR | MSG_NO_ERRNO, -EPROTO,
			    "Short HSM message %d", hdr->msglen);
		return -EPROTO;
	}
	return 0;
}

/* Every pipe of a mount gets every list; the handle's own archives count. */
static bool served(const struct kernelcomm *kuc, uint32_t archive)
{
	uint32_t i;

	for (i = 0; i < kuc->data_count; i++)
		if (kuc->data[i] == archive)
			return true;
	return kuc->data_count == 0;
}

int llapi_hsm_copytool_recv(struct hsm_copytool_private *ct,
				struct hsm_action_list **hal, int *msgsize)
{
	struct hsm_action_list *list;
	struct kuc_hdr *hdr;
	int rc;

	if (ct == NULL || ct->magic != CT_MAGIC || hal == NULL ||
	    msgsize == NULL)
		return -EINVAL;
	hdr = (struct kuc_hdr *)ct->buf;
	list = (struct hsm_action_list *)(hdr + 1);
	do {
		rc = read_message(ct);
		if (rc == 0)
			rc = check_message(hdr);
		if (rc < 0) {
			*hal = NULL;
			*msgsize = 0;
			return rc;
		}
	} while (!served(ct->kuc, list->archive_id));
	*hal = list;
	*msgsize = hdr->msglen - sizeof(*hdr);
	return 0;
}
