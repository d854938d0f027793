/*
 * For tests of what is to be gone: looks for a text in all that this process can write to, memory that was freed
 * included. Not for sanitized processes.
 */
#ifndef TESTS_UNIT_COPIES_H
#define TESTS_UNIT_COPIES_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline const char *
next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end == NULL ? NULL : end + 1;
}

/*
 * How often the text stands there, the test's own copies aside. Allocates nothing: that could take the place of
 * what was freed.
 */
static inline unsigned
copies(const char *needle, const void *own, size_t own_size)
{
	static char maps[1 << 16];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;
	unsigned found = 0;

	ck_assert_int_ge(fd, 0);
	while ((got = read(fd, maps + n, sizeof maps - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	maps[n] = '\0';
	for (const char *line = maps; line != NULL && *line != '\0'; line = next_line(line)) {
		unsigned long from, to;
		char rights[8], name[64] = "";

		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s%*[ ]%63[^\n]", &from, &to, rights, name) < 3 ||
		    strncmp(rights, "rw", 2) != 0 || strcmp(name, "[stack]") == 0)
			continue;
		for (const char *p = (const char *)from; (p = memmem(p, to - (unsigned long)p, needle, strlen(needle))) != NULL; p++)
			found += p < (const char *)own || p >= (const char *)own + own_size;
	}
	return found;
}

#endif
