#include "config.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "privsep/tlsfiles.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

void
tlsfiles_put(struct wr *w, const struct tlsfile *f)
{
	wr_u8(w, (uint8_t)f->kind);
	wr_u32(w, f->key);
	wr_str(w, f->name, sizeof f->name - 1);
	wr_bytes(w, f->data, f->len, TLSFILES_ONE_MAX);
}

int
tlsfiles_get(struct rd *r, struct tlsfile *f)
{
	unsigned kind;

	if (r->error != 0 || r->pos == r->len)
		return r->error;
	kind = rd_u8(r);
	f->kind = (enum tlsfile_kind)kind;
	f->key = rd_u32(r);
	rd_str(r, f->name, sizeof f->name - 1);
	f->len = rd_u32(r);
	if (r->error == 0 && (kind >= TLSFILE_KINDS || f->len > TLSFILES_ONE_MAX))
		r->error = SP_EFORMAT;
	if (r->error == 0 && f->len > r->len - r->pos)
		r->error = SP_ETRUNC;
	if (r->error != 0)
		return r->error;
	f->data = r->buf + r->pos;
	r->pos += f->len;
	return 1;
}

static int
write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int
tlsfiles_seal(const char *name, const void *data, size_t len)
{
	int r, fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int
tlsfiles_map(int fd, size_t max, const void **data, size_t *len)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	void *p;

	if (seals < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((seals & SEALS) != SEALS)
		return SP_EFORMAT;
	if (st.st_size <= 0 || (uintmax_t)st.st_size > max)
		return SP_ERANGE;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*data = p;
	*len = (size_t)st.st_size;
	return 0;
}
