#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/str.h"
#include "privsep/inflight.h"

int
inflight_make(void)
{
	int fd = memfd_create("inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING), e;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)sizeof(struct inflight)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	e = -errno;
	close(fd);
	return e;
}

struct inflight *
inflight_map(int fd)
{
	struct inflight *p = MAP_FAILED;

	/* Its size is sealed; whose it is, the channel has looked at. */
	if (fd >= 0 && lseek(fd, 0, SEEK_END) >= (off_t)sizeof *p)
		p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

void
inflight_begin(struct inflight *i, uint8_t direction, const char *path, int64_t now)
{
	if (i == NULL)
		return;
	i->since = now;
	i->direction = direction;
	(void)str_copy(i->path, sizeof i->path, path);
	__atomic_add_fetch(&i->begun, 1, __ATOMIC_RELEASE);
}

void
inflight_undo(struct inflight *i)
{
	if (i != NULL)
		__atomic_sub_fetch(&i->begun, 1, __ATOMIC_RELEASE);
}

bool
inflight_read(int fd, struct inflight *copy)
{
	if (fd < 0 || pread(fd, copy, sizeof *copy, 0) != (ssize_t)sizeof *copy)
		return false;
	copy->path[sizeof copy->path - 1] = '\0';
	return copy->begun > 0 && copy->path[0] != '\0';
}
