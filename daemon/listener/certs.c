#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/certs.h"
#include "privsep/tlsfiles.h"

#define DAY	86400

/* ------------------------------------------------------------------- collecting */

struct cert_pair *
certs_find(struct certs *c, const struct cert_pair *like)
{
	for (size_t i = 0; i < c->pairs; i++)
		if (strcmp(c->pair[i].cert, like->cert) == 0 && strcmp(c->pair[i].key, like->key) == 0)
			return &c->pair[i];
	return NULL;
}

struct cert_extra *
certs_find_extra(struct certs *c, const struct cert_extra *like)
{
	for (size_t i = 0; i < c->extras; i++)
		if (c->extra[i].kind == like->kind && strcmp(c->extra[i].path, like->path) == 0)
			return &c->extra[i];
	return NULL;
}

static int
add_pair(struct certs *c, const char *cert, const char *key)
{
	struct cert_pair p = { .loaded = false };

	if (str_copy(p.cert, sizeof p.cert, cert) != 0 || str_copy(p.key, sizeof p.key, key) != 0)
		return SP_ERANGE;
	if (certs_find(c, &p) != NULL)
		return 0;
	if (c->pairs == CERTS_MAX)
		return SP_ERANGE;
	c->pair[c->pairs++] = p;
	return 0;
}

static int
add_extra(struct certs *c, int kind, const char *path)
{
	struct cert_extra e = { .kind = kind };

	if (path == NULL)
		return 0;
	if (str_copy(e.path, sizeof e.path, path) != 0)
		return SP_ERANGE;
	if (certs_find_extra(c, &e) != NULL)
		return 0;
	if (c->extras == CERTS_MAX)
		return SP_ERANGE;
	c->extra[c->extras++] = e;
	return 0;
}

/* A certificate without a key of its own in the list has it in its own file. */
static int
add_settings(struct certs *c, const struct settings *s)
{
	int r = 0;

	for (size_t i = 0; i < s->certificate.n && r == 0; i++)
		r = add_pair(c, s->certificate.v[i], i < s->private_key.n ? s->private_key.v[i] : s->certificate.v[i]);
	if (r == 0 && s->client_certificate != CONF_CERT_NO)
		r = add_extra(c, TLSFILE_CLIENT_CA, s->client_ca);
	if (r == 0 && s->client_certificate != CONF_CERT_NO)
		r = add_extra(c, TLSFILE_CLIENT_CRL, s->client_crl);
	return r;
}

static int
add_listener(struct certs *c, const struct conf *conf, const char *name)
{
	const struct conf_subject who = { .listener = name };
	struct conf_resolved r;
	int e = conf_resolve(conf, &who, &r);

	if (e != 0)
		return e;
	if (r.s.tls != CONF_TLS_OFF)
		e = add_settings(c, &r.s);
	conf_resolved_free(&r);
	return e;
}

int
certs_collect(struct certs *c, const struct conf *conf)
{
	const struct conf_section *s = NULL;
	int r = add_listener(c, conf, NULL);

	while (r == 0 && (s = conf_section_next(conf, SC_LISTENER, s)) != NULL)
		r = add_listener(c, conf, conf_section_name(s));
	return r;
}

void
certs_free(struct certs *c)
{
	for (size_t i = 0; i < c->pairs; i++)
		free(c->pair[i].pem);
	for (size_t i = 0; i < c->extras; i++)
		free(c->extra[i].pem);
	c->pairs = c->extras = 0;
}

/* ------------------------------------------------------------------------ files */

static struct cert_mark
mark_of(const struct stat *st)
{
	return (struct cert_mark){ st->st_dev, st->st_ino, st->st_size, st->st_mtim };
}

static bool
same_mark(const struct cert_mark *a, const struct cert_mark *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	    a->changed.tv_nsec == b->changed.tv_nsec;
}

/* A file that is not there differs from one that was. */
static bool
changed(const char *path, const struct cert_mark *seen)
{
	struct stat st;
	struct cert_mark now = { 0 };

	if (stat(path, &st) == 0)
		now = mark_of(&st);
	return !same_mark(&now, seen);
}

bool
certs_changed(const struct certs *c)
{
	for (size_t i = 0; i < c->pairs; i++)
		if (changed(c->pair[i].cert, &c->pair[i].seen[0]) || changed(c->pair[i].key, &c->pair[i].seen[1]))
			return true;
	for (size_t i = 0; i < c->extras; i++)
		if (changed(c->extra[i].path, &c->extra[i].seen))
			return true;
	return false;
}

static bool
same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return (a == NULL) == (b == NULL) && (a == NULL || (a_len == b_len && memcmp(a, b, a_len) == 0));
}

static bool
same_pair(const struct cert_pair *a, const struct cert_pair *b)
{
	if (a->loaded != b->loaded || strcmp(a->cert, b->cert) != 0 || strcmp(a->key, b->key) != 0)
		return false;
	return !a->loaded || (a->number == b->number && same_text(a->pem, a->pem_len, b->pem, b->pem_len));
}

static bool
same_extra(const struct cert_extra *a, const struct cert_extra *b)
{
	return a->kind == b->kind && strcmp(a->path, b->path) == 0 && same_text(a->pem, a->pem_len, b->pem, b->pem_len);
}

bool
certs_same(const struct certs *a, const struct certs *b)
{
	if (a->pairs != b->pairs || a->extras != b->extras)
		return false;
	for (size_t i = 0; i < a->pairs; i++)
		if (!same_pair(&a->pair[i], &b->pair[i]))
			return false;
	for (size_t i = 0; i < a->extras; i++)
		if (!same_extra(&a->extra[i], &b->extra[i]))
			return false;
	return true;
}

/* Non-blocking: a FIFO in the place of a file must not hold the server up. */
static int
open_file(const char *path, struct cert_mark *seen, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;

	*seen = (struct cert_mark){ 0 };
	*st = (struct stat){ 0 };
	if (fd < 0)
		return -errno;
	r = fstat(fd, st) < 0 ? -errno : S_ISREG(st->st_mode) ? 0 : SP_EFORMAT;
	if (r == 0) {
		*seen = mark_of(st);
		return fd;
	}
	close(fd);
	return r;
}

int
certs_open(struct cert_pair *p, int fds[2])
{
	struct stat st;
	int r;

	fds[1] = open_file(p->cert, &p->seen[0], &st);
	fds[0] = open_file(p->key, &p->seen[1], &st);
	if (fds[0] >= 0 && fds[1] >= 0) {
		if ((st.st_mode & 007) != 0)
			log_problem(EVENT_PRIVATE_KEY_READABLE_BY_ALL, p->key, 0);
		return 0;
	}
	r = fds[0] < 0 ? fds[0] : fds[1];
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
	return r;
}

static int
read_into(int fd, char **pem, size_t *len)
{
	char *text;
	int r = fd_read_file(fd, TLSFILES_ONE_MAX, &text, len);

	if (r != 0)
		return r;
	free(*pem);
	*pem = text;
	return 0;
}

int
certs_take(struct cert_pair *p, int chain_fd)
{
	return read_into(chain_fd, &p->pem, &p->pem_len);
}

int
certs_read(struct cert_extra *e)
{
	struct stat st;
	int fd = open_file(e->path, &e->seen, &st), r;

	if (fd < 0)
		return fd;
	r = read_into(fd, &e->pem, &e->pem_len);
	close(fd);
	return r;
}

static void
put(struct wr *w, int kind, uint32_t number, const char *path, const char *pem, size_t len)
{
	struct tlsfile f = { .kind = (enum tlsfile_kind)kind, .key = number, .data = (const uint8_t *)pem, .len = len };

	(void)str_copy(f.name, sizeof f.name, path);
	tlsfiles_put(w, &f);
}

int
certs_seal(const struct certs *c)
{
	/* Of each the kind, the number, two lengths, a path, and the certificates. */
	size_t size = (c->pairs + c->extras) * 600 + 1;
	uint8_t *buf;
	struct wr w;
	int r;

	for (size_t i = 0; i < c->pairs; i++)
		size += c->pair[i].pem_len;
	for (size_t i = 0; i < c->extras; i++)
		size += c->extra[i].pem_len;
	buf = malloc(size);
	if (buf == NULL)
		return -ENOMEM;
	wr_init(&w, buf, size);
	for (size_t i = 0; i < c->pairs; i++)
		if (c->pair[i].loaded)
			put(&w, TLSFILE_CHAIN, c->pair[i].number, c->pair[i].cert, c->pair[i].pem, c->pair[i].pem_len);
	for (size_t i = 0; i < c->extras; i++)
		if (c->extra[i].pem != NULL)
			put(&w, c->extra[i].kind, 0, c->extra[i].path, c->extra[i].pem, c->extra[i].pem_len);
	r = w.error != 0 ? w.error : fd_sealed("sallyport-tls", buf, w.len);
	free(buf);
	return r;
}

/* ----------------------------------------------------------------------- expiry */

static void
warn_of(const struct cert_pair *p, int64_t left)
{
	struct log_line l;

	log_begin_at(&l, left <= DAY ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
	    left > 0 ? EVENT_CERTIFICATE_EXPIRES : EVENT_CERTIFICATE_EXPIRED);
	log_str(&l, FIELD_CERTIFICATE, p->cert);
	log_str(&l, FIELD_NAMES, p->names);
	log_num(&l, FIELD_DAYS, left / DAY);
	log_end(&l);
}

/* The stage that so much validity is in: it is told when it begins. */
static int64_t
stage(int64_t left, int64_t warning)
{
	if (left <= 0)
		return left / DAY - 1;	/* a new one every day */
	if (left <= DAY)
		return DAY;
	if (left <= 7 * DAY)
		return 7 * DAY;
	return left <= warning ? warning : INT64_MAX;
}

void
certs_warn(struct certs *c, int64_t now, int64_t warning)
{
	for (size_t i = 0; i < c->pairs; i++) {
		struct cert_pair *p = &c->pair[i];
		int64_t left = (int64_t)p->not_after - now, at = stage(left, warning);

		if (!p->loaded || at == INT64_MAX || at == p->told)
			continue;
		p->told = at;
		warn_of(p, left);
	}
}
