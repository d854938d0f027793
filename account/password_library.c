#include "config.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_SODIUM
#include <sodium.h>
#endif

#include "account/password_library.h"

/* --------------------------------------------------------------------------- argon2 */

#ifdef HAVE_SODIUM
#define SODIUM_LIBRARY "libsodium.so.23"	/* of its binary interface since version 1.0.12 */

/* What checks a password; NULL: nothing here can compute the hash. */
static __typeof__(crypto_pwhash_str_verify) *
argon2_verifier(const char *hash)
{
	void *library = dlopen(SODIUM_LIBRARY, RTLD_NOW);
	__typeof__(sodium_init) *init;
	__typeof__(crypto_pwhash_str_verify) *verify;
	__typeof__(crypto_pwhash_str_needs_rehash) *parse;

	if (library == NULL || strlen(hash) >= crypto_pwhash_STRBYTES)
		return NULL;
	*(void **)&init = dlsym(library, "sodium_init");
	*(void **)&verify = dlsym(library, "crypto_pwhash_str_verify");
	*(void **)&parse = dlsym(library, "crypto_pwhash_str_needs_rehash");
	if (init == NULL || verify == NULL || parse == NULL || init() < 0)
		return NULL;
	/* Of a text that it cannot take apart verify() computes nothing, and calls the password wrong. */
	return parse(hash, crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN) < 0 ? NULL : verify;
}

enum password_verdict
password_check_argon2(const struct secret *password, const char *hash)
{
	__typeof__(crypto_pwhash_str_verify) *verify = argon2_verifier(hash);

	if (verify == NULL)
		return PASSWORD_UNSUPPORTED;
	return verify(hash, password->data, password->len) == 0 ? PASSWORD_RIGHT : PASSWORD_WRONG;
}
#endif

/* --------------------------------------------------------------------------- pbkdf2 */

#define CRYPTO_LIBRARY	"libcrypto.so.3"
#define ROUNDS_MAX	10000000	/* some seconds */
#define BINARY_MAX	128

/* What is used of libcrypto; the names and types are those of its manual. */
typedef int derive_function(const char *, int, const unsigned char *, int, int, const void *, int, unsigned char *);
typedef const void *digest_function(void);

/* $NAME$ROUNDS$SALT$HASH taken apart. */
struct pbkdf2 {
	const char *digest;		/* of libcrypto's functions, the one that gives it */
	int rounds;
	uint8_t salt[BINARY_MAX], hash[BINARY_MAX];
	size_t salt_len, hash_len;
};

static const struct {
	const char *name, *digest;
	size_t len;
	bool salt_is_base64;		/* in Go's way of writing; passlib's always is */
} names[] = {
	{ "pbkdf2",			"EVP_sha1",	20, false },
	{ "pbkdf2-sha1",		"EVP_sha1",	20, false },
	{ "pbkdf2-sha256",		"EVP_sha256",	32, false },
	{ "pbkdf2-sha512",		"EVP_sha512",	64, false },
	{ "pbkdf2-b64salt-sha256",	"EVP_sha256",	32, true }
};

/* Base64 with either alphabet; -1 for what is none, or too long. */
static int
decode(const char *text, size_t n, uint8_t out[BINARY_MAX])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int len = 0;
	size_t have = 0;

	while (n > 0 && text[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++) {
		const char *at = text[i] == '.' ? strchr(alphabet, '+') : strchr(alphabet, text[i]);

		if (at == NULL || text[i] == '\0' || len == BINARY_MAX)
			return -1;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[len++] = (uint8_t)(bits >> have);
		}
	}
	return len;
}

static bool
take_salt(struct pbkdf2 *p, const char *text, size_t n, bool base64)
{
	int len;

	if (!base64 && n <= sizeof p->salt) {
		memcpy(p->salt, text, n);
		p->salt_len = n;
		return true;
	}
	len = decode(text, n, p->salt);
	p->salt_len = len < 0 ? 0 : (size_t)len;
	return base64 && len >= 0;
}

static bool
parse(const char *text, struct pbkdf2 *p)
{
	const char *field[4];
	size_t len[4], row = 0;
	bool padded;
	int n;

	for (int i = 0; i < 4; i++, text += len[i - 1]) {
		if (*text++ != '$')
			return false;
		field[i] = text;
		len[i] = strcspn(text, "$");
	}
	while (row < sizeof names / sizeof *names && (strlen(names[row].name) != len[0] ||
	    strncmp(names[row].name, field[0], len[0]) != 0))
		row++;
	if (*text != '\0' || row == sizeof names / sizeof *names || len[1] == 0 || len[1] > 8 ||
	    strspn(field[1], "0123456789") != len[1])
		return false;
	padded = len[3] > 0 && field[3][len[3] - 1] == '=';
	p->digest = names[row].digest;
	p->rounds = (int)strtol(field[1], NULL, 10);
	n = decode(field[3], len[3], p->hash);
	p->hash_len = names[row].len;
	return p->rounds > 0 && p->rounds <= ROUNDS_MAX && n == (int)p->hash_len &&
	    take_salt(p, field[2], len[2], !padded || names[row].salt_is_base64);
}

enum password_verdict
password_check_pbkdf2(const struct secret *password, const char *hash)
{
	void *library = dlopen(CRYPTO_LIBRARY, RTLD_NOW);
	unsigned char mine[BINARY_MAX];
	enum password_verdict verdict = PASSWORD_UNSUPPORTED;
	derive_function *derive;
	digest_function *digest;
	struct pbkdf2 p;

	if (library == NULL || !parse(hash, &p))
		return PASSWORD_UNSUPPORTED;
	*(void **)&derive = dlsym(library, "PKCS5_PBKDF2_HMAC");
	*(void **)&digest = dlsym(library, p.digest);
	if (derive != NULL && digest != NULL && derive(password->data, (int)password->len, p.salt, (int)p.salt_len,
	    p.rounds, digest(), (int)p.hash_len, mine) == 1)
		verdict = password_same((const char *)mine, p.hash_len, (const char *)p.hash, p.hash_len)
		    ? PASSWORD_RIGHT : PASSWORD_WRONG;
	explicit_bzero(mine, sizeof mine);
	return verdict;
}

bool
password_library_reads(const char *hash)
{
	struct pbkdf2 p;

#ifdef HAVE_SODIUM
	if (strncmp(hash, "$argon2", strlen("$argon2")) == 0)
		return argon2_verifier(hash) != NULL;
#endif
	return parse(hash, &p);
}
