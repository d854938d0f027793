#include "config.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/fdutil.h"
#include "privsep/tlsfiles.h"

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

int
tlsfiles_map(int fd, size_t max, const void **data, size_t *len)
{
	struct stat st;
	void *p;

	if (!fd_is_sealed(fd))
		return SP_EFORMAT;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (uintmax_t)st.st_size > max)
		return SP_ERANGE;
	*data = "";
	*len = 0;
	/* No pair can be used at the moment, which is no reason not to serve clients in clear. */
	if (st.st_size == 0)
		return 0;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*data = p;
	*len = (size_t)st.st_size;
	return 0;
}
