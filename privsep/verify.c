#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "privsep/verify.h"

#define STATUS_USUAL	2000	/* bytes, unless there are many groups */
#define STATUS_MAX	16384

/* What /proc/PID/status says, as far as it is compared. */
struct status {
	char usual[STATUS_USUAL];
	const char *at;		/* the fields come in a known order: each search goes on from here */
};

/* Reads up to size - 1 bytes from the beginning; their number, or -errno. */
static ssize_t
read_text(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? -errno : n == 0 ? -ESRCH : n;
}

static int
read_status(pid_t pid, struct status *s)
{
	static char long_text[STATUS_MAX];
	char path[6 + STR_NUMBER_MAX + 8] = "/proc/";
	size_t k = strlen(path);
	ssize_t n;
	int fd;

	s->at = s->usual;
	s->usual[0] = '\0';
	k += str_number(path + k, (uint64_t)pid, 10);
	(void)str_copy(path + k, sizeof path - k, "/status");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read_text(fd, s->usual, sizeof s->usual);
	if (n == sizeof s->usual - 1) {
		s->at = long_text;
		n = read_text(fd, long_text, sizeof long_text);
	}
	close(fd);
	return n < 0 ? (int)n : 0;
}

/* The text after name, which ends in a colon, at the beginning of a later line; NULL when it is missing. */
static const char *
field(struct status *s, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = s->at; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, len) == 0) {
			s->at = p;
			return p + len;
		}
	}
	return NULL;
}

/* Four ids in a line, all of them id. */
static bool
ids_are(const char *p, unsigned long id)
{
	for (int i = 0; i < 4 && p != NULL; i++) {
		char *end;

		if (strtoul(p, &end, 10) != id || end == p)
			return false;
		p = end;
	}
	return p != NULL;
}

static bool
groups_are(const char *p, const gid_t *groups, size_t count)
{
	size_t seen = 0;

	if (p == NULL)
		return false;
	for (;;) {
		char *end;
		unsigned long g;
		size_t i = 0;

		while (*p == ' ' || *p == '\t')
			p++;
		if (*p == '\n' || *p == '\0')
			return seen == count;
		g = strtoul(p, &end, 10);
		while (i < count && groups[i] != g)
			i++;
		if (end == p || i == count)
			return false;
		p = end;
		seen++;
	}
}

static int
fault(char *why, size_t size, const char *what)
{
	(void)str_copy(why, size, what);
	return SP_ENOTDROPPED;
}

static bool
caps_within(const char *p, uint64_t caps)
{
	return p != NULL && (strtoull(p, NULL, 16) & ~caps) == 0;
}

static bool
number_is_at_least(const char *p, unsigned long least)
{
	return p != NULL && strtoul(p, NULL, 10) >= least;
}

int
verify_process(pid_t pid, const struct verify_want *want, char *why, size_t size)
{
	struct status s;
	const char *filters;
	int r = read_status(pid, &s);

	if (r != 0) {
		(void)str_copy(why, size, "its status in /proc cannot be read");
		return r;
	}
	if (!ids_are(field(&s, "Uid:"), want->uid))
		return fault(why, size, "it has another uid");
	if (!ids_are(field(&s, "Gid:"), want->gid))
		return fault(why, size, "it has another gid");
	if (want->groups != NULL && !groups_are(field(&s, "Groups:"), want->groups, want->group_count))
		return fault(why, size, "it has other supplementary groups");
	/* The effective ones are always among the permitted. */
	if (!caps_within(field(&s, "CapPrm:"), want->caps))
		return fault(why, size, "it has more capabilities than its role");
	if (!number_is_at_least(field(&s, "NoNewPrivs:"), 1))
		return fault(why, size, "no_new_privs is not set");
	if (want->filters == 0)
		return 0;
	if (!number_is_at_least(field(&s, "Seccomp:"), 2))
		return fault(why, size, "it has no system call filter");
	/* Kernels before 5.9 do not count the filters. */
	filters = field(&s, "Seccomp_filters:");
	if (filters != NULL && !number_is_at_least(filters, want->filters))
		return fault(why, size, "it has fewer system call filters than its role");
	return 0;
}

int
verify_role(pid_t pid, enum msg_role role, enum role_phase phase, const struct role_id *id, bool lax, char *why,
    size_t size)
{
	static const gid_t none[1];
	const struct role_row *row = role_row(role);
	struct verify_want want = { id->uid, id->gid, geteuid() == 0 ? none : NULL, 0, row->caps[phase], 0 };

	if (!lax)
		want.filters = role_filters(row, phase);
	/* The listener's own filter is inherited by all. */
	if (!lax && role != ROLE_LISTENER)
		want.filters += role_filters(role_row(ROLE_LISTENER), PHASE_LIVE);
	return verify_process(pid, &want, why, size);
}
