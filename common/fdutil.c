#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fdutil.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int
fd_write_all(int fd, const void *p, size_t n)
{
	const char *s = p;
	ssize_t done;

	while (n > 0) {
		done = write(fd, s, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		s += done;
		n -= (size_t)done;
	}
	return 0;
}

int
fd_sealed(const char *name, const void *p, size_t n)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), e;

	if (fd < 0)
		return -errno;
	e = fd_write_all(fd, p, n);
	if (e == 0 && (lseek(fd, 0, SEEK_SET) != 0 || fcntl(fd, F_ADD_SEALS, SEALS) != 0))
		e = -errno;
	if (e == 0)
		return fd;
	close(fd);
	return e;
}

bool
fd_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS;
}

int
fd_read_file(int fd, size_t max, char **text, size_t *len)
{
	struct stat st;
	size_t size;
	ssize_t got;

	*text = NULL;
	*len = 0;
	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return SP_EFORMAT;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return SP_ERANGE;
	size = (size_t)st.st_size;
	*text = malloc(size + 1);
	if (*text == NULL)
		return -ENOMEM;
	while (*len < size && (got = read(fd, *text + *len, size - *len)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(*text);
			*text = NULL;
			return -errno;
		}
		*len += (size_t)got;
	}
	(*text)[*len] = '\0';
	return 0;
}
