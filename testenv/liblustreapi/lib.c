/* Loading, messages, version. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>

bool liblustreapi_initialized;

/*
 * Seeds random(), which names the volatile files. The stand-in reads and
 * writes the memory of who asks it something, which Yama allows a process that
 * is no ancestor only on invitation.
 */
static __attribute__((constructor)) void initialize(void)
{
	unsigned int seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
		srandom(seed);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	liblustreapi_initialized = true;
}

int do_ioctl(int fd, unsigned long number, void *arg)
{
	int rc = ioctl(fd, number, arg);

	return rc < 0 ? -errno : rc;
}

/* ---- messages ---- */

typedef void (*callback)(int level, int err, const char *fmt, va_list ap);

static const char *command;
static int level_limit = 7;

static void who(FILE *out)
{
	fprintf(out, "%s", program_invocation_short_name);
	if (command != NULL)
		fprintf(out, " %s", command);
	fprintf(out, ": ");
}

static void error_to_stderr(int level, int err, const char *fmt, va_list ap)
{
	char text[1024];
	size_t len;

	vsnprintf(text, sizeof(text), fmt, ap);
	len = strlen(text);
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	who(stderr);
	if (level & MSG_NO_ERRNO)
		fprintf(stderr, "%s\n", text);
	else
		fprintf(stderr, "%s: %s (%d)\n", text, strerror(err), err);
}

static void info_to_stdout(int level, int err, const char *fmt, va_list ap)
{
	(void)level;
	if (err != 0)
		who(stdout);
	vfprintf(stdout, fmt, ap);
}

static callback on_error = error_to_stderr, on_info = info_to_stdout;

callback llapi_error_callback_set(callback cb)
{
	callback old = on_error;

	on_error = cb != NULL ? cb : error_to_stderr;
	return old;
}

callback llapi_info_callback_set(callback cb)
{
	callback old = on_info;

	on_info = cb != NULL ? cb : info_to_stdout;
	return old;
}

/* Both leave errno alone. */
void llapi_error(int level, int err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if ((level & MSG_MASK) > level_limit)
		return;
	va_start(ap, fmt);
	on_error(level, abs(err), fmt, ap);
	va_end(ap);
	errno = saved;
}

void llapi_printf(int level, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if ((level & MSG_MASK) > level_limit)
		return;
	va_start(ap, fmt);
	on_info(level, 0, fmt, ap);
	va_end(ap);
	errno = saved;
}

void llapi_msg_set_level(int level)
{
	level_limit = level < 0 ? 0 : level > 7 ? 7 : level;
}

int llapi_msg_get_level(void)
{
	return level_limit;
}

/* The pointer is kept. */
void llapi_set_command_name(const char *name)
{
	command = name;
}

void llapi_clear_command_name(void)
{
	command = NULL;
}

int llapi_get_version_string(char *version, unsigned int size)
{
	if (version == NULL || size == 0) {
		errno = EINVAL;
		return -1;
	}
	if ((unsigned int)snprintf(version, size, "2.17.0") >= size) {
		errno = EOVERFLOW;
		return -1;
	}
	return 0;
}
