#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/wire.h"

void
wr_init(struct wr *w, void *buf, size_t size)
{
	*w = (struct wr){ .buf = buf, .size = size };
}

void
wr_raw(struct wr *w, const void *p, size_t n)
{
	if (w->error != 0)
		return;
	if (n > w->size - w->len) {
		w->error = SP_ETRUNC;
		return;
	}
	if (n > 0)
		memcpy(w->buf + w->len, p, n);
	w->len += n;
}

void
wr_u8(struct wr *w, uint8_t v)
{
	wr_raw(w, &v, sizeof v);
}

void
wr_u16(struct wr *w, uint16_t v)
{
	wr_raw(w, &v, sizeof v);
}

void
wr_u32(struct wr *w, uint32_t v)
{
	wr_raw(w, &v, sizeof v);
}

void
wr_u64(struct wr *w, uint64_t v)
{
	wr_raw(w, &v, sizeof v);
}

void
wr_bytes(struct wr *w, const void *p, size_t len, size_t max)
{
	if (w->error == 0 && len > max)
		w->error = SP_ERANGE;
	wr_u32(w, (uint32_t)len);
	wr_raw(w, p, len);
}

void
wr_str(struct wr *w, const char *s, size_t max)
{
	wr_bytes(w, s, strlen(s), max);
}

void
rd_init(struct rd *r, const void *buf, size_t len)
{
	*r = (struct rd){ .buf = buf, .len = len };
}

void
rd_raw(struct rd *r, void *p, size_t n)
{
	if (r->error == 0 && n > r->len - r->pos)
		r->error = SP_ETRUNC;
	if (r->error != 0) {
		memset(p, 0, n);
		return;
	}
	memcpy(p, r->buf + r->pos, n);
	r->pos += n;
}

uint8_t
rd_u8(struct rd *r)
{
	uint8_t v;

	rd_raw(r, &v, sizeof v);
	return v;
}

uint16_t
rd_u16(struct rd *r)
{
	uint16_t v;

	rd_raw(r, &v, sizeof v);
	return v;
}

uint32_t
rd_u32(struct rd *r)
{
	uint32_t v;

	rd_raw(r, &v, sizeof v);
	return v;
}

uint64_t
rd_u64(struct rd *r)
{
	uint64_t v;

	rd_raw(r, &v, sizeof v);
	return v;
}

size_t
rd_bytes(struct rd *r, void *dst, size_t max)
{
	size_t n = rd_u32(r);

	if (r->error == 0 && n > max)
		r->error = SP_ERANGE;
	else if (r->error == 0 && n > r->len - r->pos)
		r->error = SP_ETRUNC;
	if (r->error != 0)
		return 0;
	rd_raw(r, dst, n);
	return n;
}

void
rd_str(struct rd *r, char *dst, size_t max)
{
	size_t n = rd_bytes(r, dst, max);

	dst[n] = '\0';
	if (r->error == 0 && memchr(dst, '\0', n) != NULL)
		r->error = SP_EFORMAT;
}

int
rd_end(struct rd *r)
{
	if (r->error == 0 && r->pos != r->len)
		r->error = SP_ETRAILING;
	return r->error;
}
