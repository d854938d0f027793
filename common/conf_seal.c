/*
 * The configuration of one role in a sealed memory file.  The texts of values
 * travel, not their parsed form: the receiver parses them again, so that a
 * broken blob cannot make a value that no file could.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "common/wire.h"

#define BLOB_MAGIC	0x73706366u
#define BLOB_MAX	(256u << 20)
#define FILE_NAME_MAX	4096

/* Differs as soon as a key, a type or the version does. */
static uint64_t
fingerprint(void)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < K_COUNT; i++) {
		for (const char *p = conf_keys[i].name; *p != '\0'; p++)
			h = (h ^ (uint8_t)*p) * 1099511628211u;
		h = (h ^ conf_keys[i].type) * 1099511628211u;
	}
	for (const char *p = PACKAGE_VERSION; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211u;
	return h;
}

/* Only the monitor is told about people; the keeper serves the server as a whole. */
static bool
is_for(const struct conf_section *s, enum conf_audience role)
{
	return s->kind == SC_SERVER || role == TO_MONITOR || (s->kind == SC_LISTENER && role != TO_KEEPER);
}

/* The monitor resolves what belongs to an account for the others, too. */
static bool
receives(enum conf_audience role, unsigned key)
{
	const struct conf_key *k = CONF_ROW(key);

	return (k->audience & role) != 0 || (role == TO_MONITOR && (k->audience & (TO_WORKER | TO_AGENT)) != 0 &&
						(k->scopes & (SC_LISTENER | SC_USER)) != 0);
}

static uint32_t
count_values(const struct conf_section *s, enum conf_audience role)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += receives(role, s->v[i].key);
	return n;
}

static void
write_section(struct wr *w, const struct conf_section *s, enum conf_audience role)
{
	const char *file = s->file;

	wr_u8(w, (uint8_t)s->kind);
	wr_str(w, s->name, CONF_NAME_MAX);
	wr_str(w, s->file, FILE_NAME_MAX);
	wr_u32(w, s->line);
	wr_u32(w, count_values(s, role));
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_value *v = &s->v[i];

		if (!receives(role, v->key))
			continue;
		wr_u16(w, (uint16_t)v->key);
		/* Empty: the same file as before. */
		wr_str(w, strcmp(v->file, file) == 0 ? "" : v->file, FILE_NAME_MAX);
		file = v->file;
		wr_u32(w, v->line);
		wr_str(w, v->text, CONF_TEXT_MAX);
	}
}

static void
write_blob(struct wr *w, const struct conf *c, enum conf_audience role)
{
	uint32_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += is_for(c->sections[i], role);
	wr_u32(w, BLOB_MAGIC);
	wr_u32(w, role);
	wr_u64(w, fingerprint());
	wr_u32(w, n);
	for (size_t i = 0; i < c->n; i++)
		if (is_for(c->sections[i], role))
			write_section(w, c->sections[i], role);
}

/* Enough for write_blob(). */
static size_t
estimate(const struct conf *c)
{
	size_t n = 64;

	for (size_t i = 0; i < c->n; i++) {
		const struct conf_section *s = c->sections[i];

		n += strlen(s->name) + strlen(s->file) + 32;
		for (size_t j = 0; j < s->n; j++)
			n += strlen(s->v[j].text) + strlen(s->v[j].file) + 32;
	}
	return n;
}

int
conf_seal(const struct conf *c, enum conf_audience role)
{
	size_t size = estimate(c);
	void *buf = size > BLOB_MAX ? NULL : malloc(size);
	struct wr w;
	int fd;

	if (buf == NULL)
		return -ENOMEM;
	wr_init(&w, buf, size);
	write_blob(&w, c, role);
	fd = w.error != 0 ? w.error : fd_sealed("sallyport-config", buf, w.len);
	explicit_bzero(buf, w.len);
	free(buf);
	return fd;
}

/* A counted string, from the arena. NULL: an error is in rd, or no memory. */
static const char *
read_text(struct arena *a, struct rd *rd, size_t max)
{
	size_t n = rd_u32(rd);
	char *s;

	if (rd->error == 0 && (n > max || n > rd->len - rd->pos))
		rd->error = n > max ? SP_ERANGE : SP_ETRUNC;
	if (rd->error == 0 && memchr(rd->buf + rd->pos, '\0', n) != NULL)
		rd->error = SP_EFORMAT;
	if (rd->error != 0)
		return NULL;
	s = arena_strndup(a, (const char *)rd->buf + rd->pos, n);
	rd->pos += n;
	return s;
}

static int
read_value(struct conf *c, struct conf_section *s, struct rd *rd, enum conf_audience role, const char **file)
{
	unsigned key = rd_u16(rd);
	const char *other = read_text(c->arena, rd, FILE_NAME_MAX), *text;
	uint32_t line = rd_u32(rd);
	struct conf_why why;

	text = read_text(c->arena, rd, CONF_TEXT_MAX);
	if (rd->error != 0)
		return rd->error;
	if (other == NULL || text == NULL)
		return -ENOMEM;
	if (key >= K_COUNT || !receives(role, key))
		return SP_EFORMAT;
	if (other[0] != '\0')
		*file = other;
	return conf_section_set(c, s, CONF_ROW(key), text, *file, line, &why);
}

/* May the key stand in a section of this kind? [server] holds the keys of [tls], too. */
static bool
kind_is_known(enum conf_scope kind)
{
	return kind == SC_SERVER || (kind != SC_TLS && conf_kind_word(kind) != NULL);
}

static int
read_section(struct conf *c, struct rd *rd, enum conf_audience role)
{
	enum conf_scope kind = rd_u8(rd);
	const char *name = read_text(c->arena, rd, CONF_NAME_MAX), *file = read_text(c->arena, rd, FILE_NAME_MAX);
	uint32_t line = rd_u32(rd), n = rd_u32(rd);
	struct conf_section *s;
	bool made;
	int e = 0;

	if (rd->error != 0)
		return rd->error;
	if (name == NULL || file == NULL)
		return -ENOMEM;
	if (!kind_is_known(kind) || conf_kind_named(kind) != (name[0] != '\0'))
		return SP_EFORMAT;
	s = conf_section_make(c, kind, name, file, line, &made);
	if (s == NULL)
		return -ENOMEM;
	if (!is_for(s, role) || (!made && kind != SC_SERVER))
		return SP_EFORMAT;
	while (e == 0 && n-- > 0)
		e = read_value(c, s, rd, role, &file);
	return e;
}

static int
read_blob(struct conf *c, struct rd *rd, enum conf_audience role)
{
	uint32_t n;
	int e = 0;

	if (rd_u32(rd) != BLOB_MAGIC || rd_u32(rd) != (uint32_t)role)
		return SP_EFORMAT;
	if (rd_u64(rd) != fingerprint())
		return SP_EVERSION;
	n = rd_u32(rd);
	while (e == 0 && rd->error == 0 && n-- > 0)
		e = read_section(c, rd, role);
	if (e == 0)
		e = rd_end(rd);
	return e == 0 ? conf_refresh(c) : e;
}

int
conf_unseal(int fd, enum conf_audience role, struct conf **out)
{
	struct conf *c = NULL;
	struct rd rd;
	struct stat st;
	void *p;
	int e;

	*out = NULL;
	if (!fd_is_sealed(fd) || fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > BLOB_MAX)
		return SP_EFORMAT;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	rd_init(&rd, p, (size_t)st.st_size);
	c = conf_new();
	e = c == NULL ? -ENOMEM : read_blob(c, &rd, role);
	munmap(p, (size_t)st.st_size);
	if (e == 0)
		*out = c;
	else
		conf_free(c);
	return e;
}
