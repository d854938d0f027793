#include "config.h"

#include <string.h>

#include "common/err.h"
#include "daemon/verifier/transcript.h"

#define HEAD		4	/* of a message: its type, and a length of three bytes */
#define RANDOM		32
#define NAMED_CURVE	3	/* RFC 8422, 5.4 */
#define AUTHORITIES	47	/* the extension with the issuers (RFC 8446, 4.2.4) */

enum {
	CLIENT_HELLO = 1, SERVER_HELLO = 2, ENCRYPTED_EXTENSIONS = 8, CERTIFICATE = 11, SERVER_KEY_EXCHANGE = 12,
	CERTIFICATE_REQUEST = 13, SERVER_HELLO_DONE = 14, CERTIFICATE_VERIFY = 15, CLIENT_KEY_EXCHANGE = 16,
	FINISHED = 20
};

#define MESSAGES	9

/* What is read; once something is missing everything read is empty. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static struct span
take(struct cursor *c, size_t n)
{
	struct span s = { c->at, n };

	if (c->bad || n > c->left) {
		c->bad = true;
		return (struct span){ c->at, 0 };
	}
	c->at += n;
	c->left -= n;
	return s;
}

/* A number of so many bytes, as the network orders them. */
static size_t
take_number(struct cursor *c, size_t bytes)
{
	const struct span s = take(c, bytes);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n = n << 8 | s.at[i];
	return n;
}

/* What stands behind its length, which has so many bytes. */
static struct span
take_counted(struct cursor *c, size_t bytes)
{
	return take(c, take_number(c, bytes));
}

static struct cursor
open_span(struct span s)
{
	return (struct cursor){ s.at, s.len, false };
}

static bool
at_end(const struct cursor *c)
{
	return !c->bad && c->left == 0;
}

/* ------------------------------------------------------------------- messages */

/* One reader a kind of message; body: without its head. False: it is malformed. */
typedef bool reader(struct transcript *, struct cursor *body);

static bool
read_client_hello(struct transcript *t, struct cursor *c)
{
	(void)take_number(c, 2);
	t->client_random = take(c, RANDOM);
	return !c->bad;
}

static bool
read_server_hello(struct transcript *t, struct cursor *c)
{
	(void)take_number(c, 2);
	t->server_random = take(c, RANDOM);
	(void)take_counted(c, 1);
	t->suite = (uint16_t)take_number(c, 2);
	return !c->bad;
}

static bool
read_server_certificate(struct transcript *t, struct cursor *c)
{
	/* TLS 1.3: a context, which only post-handshake authentication fills. */
	if (t->tls13 && take_number(c, 1) != 0)
		return false;
	t->server_chain = take_counted(c, 3);
	return at_end(c);
}

static bool
read_client_certificate(struct transcript *t, struct cursor *c)
{
	if (t->tls13 && take_number(c, 1) != 0)
		return false;
	t->client_chain = take_counted(c, 3);
	return at_end(c);
}

static bool
read_request_12(struct transcript *t, struct cursor *c)
{
	(void)take_counted(c, 1);
	(void)take_counted(c, 2);
	t->issuers = take_counted(c, 2);
	return at_end(c);
}

static bool
read_request_13(struct transcript *t, struct cursor *c)
{
	struct cursor all, one;

	if (take_number(c, 1) != 0)
		return false;
	all = open_span(take_counted(c, 2));
	while (!all.bad && all.left > 0) {
		const size_t type = take_number(&all, 2);

		one = open_span(take_counted(&all, 2));
		if (type != AUTHORITIES)
			continue;
		t->issuers = take_counted(&one, 2);
		if (!at_end(&one))
			return false;
	}
	return at_end(c) && at_end(&all);
}

static bool
read_signature(struct signed_part *s, struct cursor *c)
{
	s->scheme = (uint16_t)take_number(c, 2);
	s->signature = take_counted(c, 2);
	return at_end(c);
}

static bool
read_key_exchange(struct transcript *t, struct cursor *c)
{
	const uint8_t *from = c->at;

	if (take_number(c, 1) != NAMED_CURVE)
		return false;
	(void)take_number(c, 2);
	(void)take_counted(c, 1);
	t->parameters = (struct span){ from, (size_t)(c->at - from) };
	return read_signature(&t->server, c);
}

static bool
read_server_verify(struct transcript *t, struct cursor *c)
{
	return read_signature(&t->server, c);
}

static bool
read_client_verify(struct transcript *t, struct cursor *c)
{
	return read_signature(&t->client, c);
}

/* ------------------------------------------------------------------ the whole */

/* What a handshake with a client's certificate is made of, in order; no reader: nothing in it is looked at. */
static const struct flight {
	bool tls13;
	struct { uint8_t type; reader *read; } message[MESSAGES];
} flights[] = {
	{ true, {
		{ CLIENT_HELLO, read_client_hello },
		{ SERVER_HELLO, read_server_hello },
		{ ENCRYPTED_EXTENSIONS, NULL },
		{ CERTIFICATE_REQUEST, read_request_13 },
		{ CERTIFICATE, read_server_certificate },
		{ CERTIFICATE_VERIFY, read_server_verify },
		{ FINISHED, NULL },
		{ CERTIFICATE, read_client_certificate },
		{ CERTIFICATE_VERIFY, read_client_verify },
	} },
	{ false, {
		{ CLIENT_HELLO, read_client_hello },
		{ SERVER_HELLO, read_server_hello },
		{ CERTIFICATE, read_server_certificate },
		{ SERVER_KEY_EXCHANGE, read_key_exchange },
		{ CERTIFICATE_REQUEST, read_request_12 },
		{ SERVER_HELLO_DONE, NULL },
		{ CERTIFICATE, read_client_certificate },
		{ CLIENT_KEY_EXCHANGE, NULL },
		{ CERTIFICATE_VERIFY, read_client_verify },
	} },
};

static struct span
take_message(struct cursor *c)
{
	struct cursor ahead = *c;

	(void)take_number(&ahead, 1);
	(void)take_counted(&ahead, 3);
	return take(c, ahead.bad ? SIZE_MAX : (size_t)(ahead.at - c->at));
}

/* The types alone tell what it is: the client has signed them, and knows which version it spoke. */
static const struct flight *
flight_of(const struct span *message)
{
	for (size_t i = 0; i < sizeof flights / sizeof flights[0]; i++) {
		bool fits = true;

		for (size_t k = 0; k < MESSAGES && fits; k++)
			fits = message[k].at[0] == flights[i].message[k].type;
		if (fits)
			return &flights[i];
	}
	return NULL;
}

static bool
read_all(struct transcript *t, const struct flight *f, const struct span *message, const uint8_t *begin)
{
	for (size_t i = 0; i < MESSAGES; i++) {
		struct cursor body = { message[i].at + HEAD, message[i].len - HEAD, false };
		const struct span before = { begin, (size_t)(message[i].at - begin) };

		/* The client's comes last. */
		if (f->message[i].read == read_server_verify)
			t->server.before = before;
		t->client.before = before;
		if (f->message[i].read != NULL && !f->message[i].read(t, &body))
			return false;
	}
	return true;
}

int
transcript_parse(struct transcript *t, const uint8_t *bytes, size_t len)
{
	struct cursor c = { bytes, len, false };
	struct span message[2 + MESSAGES];
	const struct flight *f;
	size_t n = 0, first;

	*t = (struct transcript){ 0 };
	while (!c.bad && c.left > 0 && n < sizeof message / sizeof message[0])
		message[n++] = take_message(&c);
	/* Two more in front: a ClientHello, and the HelloRetryRequest, which looks like a ServerHello. */
	first = n == 2 + MESSAGES ? 2 : 0;
	if (!at_end(&c) || n != first + MESSAGES || (f = flight_of(message + first)) == NULL)
		return SP_EFORMAT;
	t->tls13 = f->tls13;
	if (first > 0) {
		if (!t->tls13 || message[0].at[0] != CLIENT_HELLO || message[1].at[0] != SERVER_HELLO)
			return SP_EFORMAT;
		t->retried = message[0];
	}
	return read_all(t, f, message + first, bytes) ? 0 : SP_EFORMAT;
}

bool
transcript_has_issuer(const struct transcript *t, const uint8_t *name, size_t len)
{
	struct cursor c = open_span(t->issuers);

	while (!c.bad && c.left > 0) {
		const struct span s = take_counted(&c, 2);

		if (!c.bad && s.len == len && memcmp(s.at, name, len) == 0)
			return true;
	}
	return false;
}

bool
transcript_next_certificate(const struct transcript *t, struct span *chain, struct span *certificate)
{
	struct cursor c = open_span(*chain);

	*certificate = take_counted(&c, 3);
	/* TLS 1.3: extensions of each, which say nothing that matters here. */
	if (t->tls13)
		(void)take_counted(&c, 2);
	*chain = (struct span){ c.at, c.left };
	return !c.bad && certificate->len > 0;
}
