#include "config.h"

#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "privsep/msg.h"

static const struct msg_row rows[MSG_COUNT] = {
#define F_U8(n)
#define F_U16(n)
#define F_U32(n)
#define F_U64(n)
#define F_STR(n, max)
#define F_TEXT(n, max)
#define F_PATH(n, max)
#define F_BLOB(n, max)
#define F_SECRET(n)	+ 1
#define GATE(op)	#op, true
#define UNGATED(why)	why, false
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) \
	[MSG_##NAME] = { #NAME, channel, from, states, fds, gate, doc, sizeof(struct msg_##name), 0 fields },
#include "privsep/messages.def"
#include "privsep/messages_undef.h"
};

const struct msg_row *
msg_row(unsigned type)
{
	return type > MSG_NONE && type < MSG_COUNT ? &rows[type] : NULL;
}

const char *
msg_name(unsigned type)
{
	return msg_row(type) == NULL ? "?" : rows[type].name;
}

/* No control bytes: these strings end up in logs, replies and lookups. */
static bool
plain(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static void
put_plain(struct wr *w, const char *s, size_t max)
{
	if (w->error == 0 && !plain(s))
		w->error = SP_EFORMAT;
	wr_str(w, s, max);
}

static void
put_path(struct wr *w, const char *s, size_t max)
{
	if (w->error == 0 && *s == '\0')
		w->error = SP_EFORMAT;
	wr_str(w, s, max);
}

static void
put_secret(struct wr *w, const struct secret *s)
{
	wr_bytes(w, s->data, s->len, SECRET_MAX);
}

static void
get_plain(struct rd *r, char *dst, size_t max)
{
	rd_str(r, dst, max);
	if (r->error == 0 && !plain(dst))
		r->error = SP_EFORMAT;
}

static void
get_path(struct rd *r, char *dst, size_t max)
{
	rd_str(r, dst, max);
	if (r->error == 0 && *dst == '\0')
		r->error = SP_EFORMAT;
}

static void
get_secret(struct rd *r, struct secret *s)
{
	rd_str(r, s->data, SECRET_MAX);
	s->len = strlen(s->data);
}

#define GATE(op)
#define UNGATED(why)
#define F_U8(n)		wr_u8(w, m->n);
#define F_U16(n)	wr_u16(w, m->n);
#define F_U32(n)	wr_u32(w, m->n);
#define F_U64(n)	wr_u64(w, m->n);
#define F_STR(n, max)	put_plain(w, m->n, max);
#define F_TEXT(n, max)	wr_str(w, m->n, max);
#define F_PATH(n, max)	put_path(w, m->n, max);
#define F_BLOB(n, max)	wr_bytes(w, m->n, m->n##_len, max);
#define F_SECRET(n)	put_secret(w, &m->n);
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc)	\
static void								\
encode_##name(struct wr *w, const void *body)				\
{									\
	const struct msg_##name *m = body;				\
	(void)w, (void)m;						\
	fields								\
}
#include "privsep/messages.def"
#include "privsep/messages_undef.h"

#define GATE(op)
#define UNGATED(why)
#define F_U8(n)		m->n = rd_u8(r);
#define F_U16(n)	m->n = rd_u16(r);
#define F_U32(n)	m->n = rd_u32(r);
#define F_U64(n)	m->n = rd_u64(r);
#define F_STR(n, max)	get_plain(r, m->n, max);
#define F_TEXT(n, max)	rd_str(r, m->n, max);
#define F_PATH(n, max)	get_path(r, m->n, max);
#define F_BLOB(n, max)	m->n##_len = rd_bytes(r, m->n, max);
#define F_SECRET(n)	get_secret(r, &m->n);
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc)	\
static void								\
decode_##name(struct rd *r, void *body)					\
{									\
	struct msg_##name *m = body;					\
	(void)r, (void)m;						\
	fields								\
}
#include "privsep/messages.def"
#include "privsep/messages_undef.h"

static const struct {
	void (*encode)(struct wr *, const void *);
	void (*decode)(struct rd *, void *);
} codecs[MSG_COUNT] = {
#include "privsep/messages_rows.h"
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) \
	[MSG_##NAME] = { encode_##name, decode_##name },
#include "privsep/messages.def"
#include "privsep/messages_undef.h"
};

void
msg_encode(struct wr *w, enum msg_type type, const void *body)
{
	codecs[type].encode(w, body);
}

int
msg_decode(struct rd *r, enum msg_type type, void *body)
{
	codecs[type].decode(r, body);
	return rd_end(r);
}

int
msg_take_fd(struct msg *m, unsigned i)
{
	int fd;

	if (i >= m->fd_count)
		return -1;
	fd = m->fd[i];
	m->fd[i] = -1;
	return fd;
}

void
msg_close(struct msg *m)
{
	for (unsigned i = 0; i < m->fd_count; i++)
		if (m->fd[i] >= 0)
			close(m->fd[i]);
	m->fd_count = 0;
}
