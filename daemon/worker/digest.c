#include "config.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

#include "daemon/worker/digest.h"

#define DIGEST_CHUNK (256 * 1024)

static struct {
	const char *name;	/* as HASH names it */
	const char *fetch;	/* as the library does; NULL: CRC-32 of zlib */
	EVP_MD *md;
} algorithms[] = {
	{ "SHA-256", "SHA256", NULL }, { "SHA-512", "SHA512", NULL }, { "SHA-1", "SHA1", NULL },
	{ "MD5", "MD5", NULL }, { "CRC32", NULL, NULL },
};

#define ALGORITHMS (sizeof algorithms / sizeof algorithms[0])

const char *
digest_name(unsigned i)
{
	return i < ALGORITHMS ? algorithms[i].name : NULL;
}

int
digest_find(const char *name)
{
	for (unsigned i = 0; i < ALGORITHMS; i++)
		if (strcasecmp(algorithms[i].name, name) == 0)
			return (int)i;
	return -1;
}

int
digest_warm_up(void)
{
	for (unsigned i = 0; i < ALGORITHMS; i++) {
		if (algorithms[i].fetch == NULL || algorithms[i].md != NULL)
			continue;
		algorithms[i].md = EVP_MD_fetch(NULL, algorithms[i].fetch, NULL);
		if (algorithms[i].md == NULL)
			return -ENOTSUP;
	}
	return 0;
}

int
digest_start(struct digest *d, unsigned algorithm, uint64_t first, uint64_t end)
{
	*d = (struct digest){ .algorithm = algorithm, .at = first, .end = end, .crc = (uint32_t)crc32(0, NULL, 0) };
	d->buffer = malloc(DIGEST_CHUNK);
	if (d->buffer == NULL)
		return -ENOMEM;
	if (algorithms[algorithm].md == NULL)
		return 0;
	d->context = EVP_MD_CTX_new();
	if (d->context != NULL && EVP_DigestInit_ex2(d->context, algorithms[algorithm].md, NULL) == 1)
		return 0;
	digest_end(d);
	return -ENOMEM;
}

int
digest_step(struct digest *d, int fd)
{
	size_t n = d->end - d->at < DIGEST_CHUNK ? (size_t)(d->end - d->at) : DIGEST_CHUNK;
	ssize_t r;

	if (n == 0)
		return 0;
	do
		r = pread(fd, d->buffer, n, (off_t)d->at);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (r == 0)
		return -EIO;
	if (d->context == NULL)
		d->crc = (uint32_t)crc32(d->crc, (const Bytef *)d->buffer, (uInt)r);
	else if (EVP_DigestUpdate(d->context, d->buffer, (size_t)r) != 1)
		return -EIO;
	d->at += (uint64_t)r;
	return d->at < d->end;
}

void
digest_finish(struct digest *d, char text[DIGEST_TEXT_MAX])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (d->context == NULL) {
		snprintf(text, DIGEST_TEXT_MAX, "%08X", d->crc);
		return;
	}
	text[0] = '\0';
	if (EVP_DigestFinal_ex(d->context, md, &n) != 1)
		return;
	for (unsigned i = 0; i < n; i++)
		snprintf(text + 2 * i, DIGEST_TEXT_MAX - 2 * i, "%02x", md[i]);
}

void
digest_end(struct digest *d)
{
	EVP_MD_CTX_free(d->context);
	free(d->buffer);
	d->context = NULL;
	d->buffer = NULL;
}

void
digest_mark(uint8_t mark[32], const uint8_t key[16], const char *secret, size_t len)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned n = 0;

	explicit_bzero(mark, 32);
	if (c != NULL && EVP_DigestInit_ex2(c, algorithms[DIGEST_DEFAULT].md, NULL) == 1 &&
	    EVP_DigestUpdate(c, key, 16) == 1 && EVP_DigestUpdate(c, secret, len) == 1)
		(void)EVP_DigestFinal_ex(c, mark, &n);
	EVP_MD_CTX_free(c);
}
