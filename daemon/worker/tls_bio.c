#include "config.h"

#include <openssl/bio.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon/worker/tls_bio.h"

#define SMALL	(20 * 1024)		/* more than one record */
#define LARGE	(272 * 1024)		/* sixteen records and what TLS adds to them */

static void
buffer_free(struct tls_buffer *b)
{
	if (b->mapped)
		(void)munmap(b->data, b->size);
	else
		free(b->data);
	*b = (struct tls_buffer){ 0 };
}

/* A fresh buffer of that size; the old one must be empty. 0 or -ENOMEM. */
static int
buffer_resize(struct tls_buffer *b, size_t size)
{
	void *p;

	buffer_free(b);
	/* Large ones come from the kernel and go back to it, whatever the allocator thinks of keeping them. */
	if (size >= LARGE) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return -ENOMEM;
		b->mapped = true;
	} else if ((p = malloc(size)) == NULL)
		return -ENOMEM;
	b->data = p;
	b->size = size;
	return 0;
}

static ssize_t
receive(struct tls_wire *w, void *buf, size_t n)
{
	ssize_t r;

	do
		r = recv(w->fd, buf, n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		w->end = true;
	if (r < 0)
		r = -errno;
	if (r < 0 && r != -EAGAIN)
		w->error = (int)r;
	return r;
}

/* Fills the empty buffer; one that was filled to the brim last time becomes a large one. */
static ssize_t
fill(struct tls_wire *w)
{
	struct tls_buffer *b = &w->in;
	bool brimful = b->data != NULL && b->pos == b->size;
	ssize_t r;

	if (b->data == NULL && buffer_resize(b, SMALL) != 0)
		return w->error = -ENOMEM;
	if (brimful && b->size == SMALL && w->batch && buffer_resize(b, LARGE) != 0)
		return w->error = -ENOMEM;
	r = receive(w, b->data, b->size);
	b->pos = 0;
	b->len = r > 0 ? (size_t)r : 0;
	return r;
}

static int
wire_read(BIO *bio, char *buf, int size)
{
	struct tls_wire *w = BIO_get_data(bio);
	size_t n = (size_t)size;
	ssize_t r = 1;

	BIO_clear_retry_flags(bio);
	if (w->in.len == 0 && (r = fill(w)) <= 0) {
		if (r == -EAGAIN)
			BIO_set_retry_read(bio);
		return r == 0 ? 0 : -1;
	}
	if (n > w->in.len)
		n = w->in.len;
	memcpy(buf, w->in.data + w->in.pos, n);
	w->in.pos += n;
	w->in.len -= n;
	return (int)n;
}

static ssize_t
transmit(struct tls_wire *w, const void *buf, size_t n)
{
	ssize_t r;

	do
		r = send(w->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		r = -errno;
	if (r < 0 && r != -EAGAIN)
		w->error = (int)r;
	return r;
}

int
tls_wire_flush(struct tls_wire *w)
{
	struct tls_buffer *b = &w->out;

	while (b->len > 0) {
		ssize_t r = transmit(w, b->data + b->pos, b->len);

		if (r < 0)
			return (int)r;
		b->pos += (size_t)r;
		b->len -= (size_t)r;
	}
	b->pos = 0;
	return 0;
}

int
tls_wire_room(struct tls_wire *w, size_t n)
{
	struct tls_buffer *b = &w->out;
	int r;

	if (!w->batch || b->size - b->pos - b->len >= n)
		return 0;
	r = tls_wire_flush(w);
	if (r != 0 || b->size >= n)
		return r;
	return buffer_resize(b, n <= SMALL ? SMALL : LARGE);
}

static int
wire_write(BIO *bio, const char *buf, int n)
{
	struct tls_wire *w = BIO_get_data(bio);
	struct tls_buffer *b = &w->out;
	ssize_t r = n;

	BIO_clear_retry_flags(bio);
	if (w->batch && (r = tls_wire_room(w, (size_t)n)) == 0) {
		memcpy(b->data + b->pos + b->len, buf, (size_t)n);
		b->len += (size_t)n;
		return n;
	}
	if (!w->batch)
		r = transmit(w, buf, (size_t)n);
	if (r == -EAGAIN)
		BIO_set_retry_write(bio);
	return r < 0 ? -1 : (int)r;
}

static int
flush(BIO *bio, struct tls_wire *w)
{
	int r = tls_wire_flush(w);

	BIO_clear_retry_flags(bio);
	if (r == -EAGAIN)
		BIO_set_retry_write(bio);
	return r == 0 ? 1 : -1;
}

static long
wire_control(BIO *bio, int command, long number, void *pointer)
{
	struct tls_wire *w = BIO_get_data(bio);

	(void)number, (void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return flush(bio, w);
	case BIO_CTRL_EOF:
		return w->end;
	case BIO_CTRL_PENDING:
		return (long)w->in.len;
	case BIO_CTRL_WPENDING:
		return (long)w->out.len;
	}
	return 0;
}

BIO *
tls_bio_new(struct tls_wire *w)
{
	static BIO_METHOD *method;
	BIO *b;

	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sallyport");
		if (method == NULL || BIO_meth_set_read(method, wire_read) != 1 ||
		    BIO_meth_set_write(method, wire_write) != 1 || BIO_meth_set_ctrl(method, wire_control) != 1)
			return NULL;
	}
	b = BIO_new(method);
	if (b == NULL)
		return NULL;
	BIO_set_data(b, w);
	BIO_set_init(b, 1);
	return b;
}

void
tls_wire_free(struct tls_wire *w)
{
	buffer_free(&w->in);
	buffer_free(&w->out);
}
