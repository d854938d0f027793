#include "config.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "daemon/keeper/certificate.h"
#include "daemon/keeper/keyring.h"
#include "daemon/keeper/tbs.h"
#include "privsep/chain.h"

#define KEY_FILE_MAX (64 * 1024)
#define TRIAL_RSA_BITS 2048

static const struct key *
find_key(const struct keyring *ring, uint32_t number)
{
	for (size_t i = 0; i < KEYRING_MAX; i++)
		if (ring->key[i].used && ring->key[i].number == number)
			return &ring->key[i];
	return NULL;
}

static void
drop_key(struct key *k)
{
	EVP_PKEY_free(k->pkey);
	*k = (struct key){ 0 };
}

/* In TLS 1.3 an ECDSA scheme belongs to one curve. */
static bool
group_fits(EVP_PKEY *pkey, const struct scheme *s, enum tbs_shape shape)
{
	char group[64] = "";

	if (shape != TBS_TLS13 || *s->group == '\0')
		return true;
	return EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 && strcmp(group, s->group) == 0;
}

static int
make_signature(EVP_PKEY *pkey, const struct scheme *s, const uint8_t *message, size_t message_len, uint8_t *sig,
    size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	const char *digest = *s->digest == '\0' ? NULL : s->digest;
	int ok = ctx != NULL && EVP_DigestSignInit_ex(ctx, &pctx, digest, NULL, NULL, pkey, NULL) == 1;

	if (ok && s->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, sig, len, message, message_len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static int
sign_shape(EVP_PKEY *pkey, unsigned code, const uint8_t *message, size_t message_len, uint8_t *sig, size_t *len)
{
	const struct scheme *s = scheme_by_code(code);
	enum tbs_shape shape = tbs_shape(message, message_len);

	if (s == NULL || shape == TBS_NONE || (s->shapes & shape) == 0)
		return SP_EDENIED;
	if ((int)s->key != chain_key_kind(pkey) || !group_fits(pkey, s, shape))
		return SP_EDENIED;
	return make_signature(pkey, s, message, message_len, sig, len);
}

int
keyring_sign(const struct keyring *ring, uint32_t number, unsigned scheme, const uint8_t *message, size_t message_len,
    uint8_t *signature, size_t *len)
{
	const struct key *k = find_key(ring, number);

	return k == NULL ? -ENOKEY : sign_shape(k->pkey, scheme, message, message_len, signature, len);
}

/* Never asks: a server has no terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf, (void)size, (void)writing;
	*(bool *)asked = true;
	return -1;
}

static EVP_PKEY *
parse_key(const char *pem, size_t len, char *why, size_t size)
{
	bool asked = false;
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *pkey = in == NULL ? NULL : PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked);

	BIO_free(in);
	if (pkey == NULL)
		(void)str_copy(why, size, asked ? "the private key is encrypted: give it without a passphrase" :
		    "no private key in PEM form found");
	return pkey;
}

static EVP_PKEY *
read_key(int fd, char *why, size_t size)
{
	char *pem = OPENSSL_malloc(KEY_FILE_MAX);
	size_t len = 0;
	ssize_t n = 1;
	EVP_PKEY *pkey = NULL;

	if (pem == NULL)
		return NULL;
	while (len < KEY_FILE_MAX && (n = pread(fd, pem + len, KEY_FILE_MAX - len, (off_t)len)) > 0)
		len += (size_t)n;
	if (n < 0 || len == KEY_FILE_MAX)
		(void)str_copy(why, size, n < 0 ? "the private key cannot be read" : "the private key is too large");
	else
		pkey = parse_key(pem, len, why, size);
	OPENSSL_clear_free(pem, KEY_FILE_MAX);
	return pkey;
}

/* The proof that key and certificate are a pair, and that signing works inside the sandbox. */
static int
try_pair(EVP_PKEY *pkey, EVP_PKEY *public, char *why, size_t size)
{
	static const uint8_t text[] = "a message of no TLS shape";
	uint8_t sig[SIGNATURE_MAX];
	size_t len = sizeof sig;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const char *digest = chain_key_kind(pkey) == SCHEME_ED25519 ? NULL : "SHA256";
	const struct scheme s = { .digest = digest == NULL ? "" : digest };
	int ok = ctx != NULL && EVP_PKEY_eq(pkey, public) == 1 &&
	    make_signature(pkey, &s, text, sizeof text, sig, &len) == 0 &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, public, NULL) == 1 &&
	    EVP_DigestVerify(ctx, sig, len, text, sizeof text) == 1;

	EVP_MD_CTX_free(ctx);
	if (ok)
		return 0;
	(void)str_copy(why, size, "the private key does not belong to the certificate");
	return SP_EDENIED;
}

int
keyring_warm_up(void)
{
	char why[128];
	EVP_PKEY *const keys[] = {
		EVP_RSA_gen(TRIAL_RSA_BITS),
		EVP_EC_gen("P-256"),
		EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
	};
	int r = 0;

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (keys[i] == NULL || try_pair(keys[i], keys[i], why, sizeof why) != 0)
			r = -EIO;
		EVP_PKEY_free(keys[i]);
	}
	return r;
}

static struct key *
free_slot(struct keyring *ring)
{
	for (size_t i = 0; i < KEYRING_MAX; i++)
		if (!ring->key[i].used)
			return &ring->key[i];
	return NULL;
}

int
keyring_load(struct keyring *ring, uint32_t number, const char *name, int key_fd, int cert_fd, struct key_facts *facts,
    int *chain_fd, char *why, size_t size)
{
	struct key *k = free_slot(ring);
	EVP_PKEY *pkey, *public = NULL;
	int r = SP_EFORMAT;

	*why = '\0';
	*chain_fd = -1;
	if (k == NULL || find_key(ring, number) != NULL)
		return str_copy(why, size, "too many keys are loaded"), -ENOSPC;
	pkey = read_key(key_fd, why, size);
	if (pkey != NULL)
		r = chain_check_key(pkey, why, size);
	if (r == 0)
		r = certificate_read(cert_fd, &public, facts, chain_fd, why, size);
	if (r == 0)
		r = try_pair(pkey, public, why, size);
	EVP_PKEY_free(public);
	if (r != 0) {
		EVP_PKEY_free(pkey);
		if (*chain_fd >= 0)
			close(*chain_fd);
		*chain_fd = -1;
		return r;
	}
	*k = (struct key){ .number = number, .used = true, .pkey = pkey };
	(void)str_copy(k->name, sizeof k->name, name);
	return 0;
}

void
keyring_retire(struct keyring *ring, uint32_t below, uint64_t last_serial)
{
	for (size_t i = 0; i < KEYRING_MAX; i++) {
		struct key *k = &ring->key[i];

		if (k->used && !k->retired && k->number < below)
			k->retired = true, k->last_serial = last_serial;
	}
}

void
keyring_collect(struct keyring *ring, uint64_t oldest_serial)
{
	for (size_t i = 0; i < KEYRING_MAX; i++)
		if (ring->key[i].retired && ring->key[i].last_serial < oldest_serial)
			drop_key(&ring->key[i]);
}

void
keyring_clear(struct keyring *ring)
{
	for (size_t i = 0; i < KEYRING_MAX; i++)
		drop_key(&ring->key[i]);
}
