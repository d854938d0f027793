#include "config.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "common/str.h"
#include "privsep/chain.h"
#include "privsep/scheme.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define STRENGTH_MIN 112 /* bits: what clients ask for today, level 2 of OpenSSL's security levels */
#define NAME_MAX_TEXT 200

/* ---------------------------------------------------------------------------- keys */

int
chain_key_kind(const EVP_PKEY *pkey)
{
	for (int kind = SCHEME_RSA; kind <= SCHEME_ED25519; kind++)
		if (EVP_PKEY_is_a(pkey, scheme_key_name((enum scheme_key)kind)))
			return kind;
	return -1;
}

/* Is it on a curve that a scheme of TLS 1.3 has? The others are weaker, or clients do not know them. */
static bool
curve_fits(EVP_PKEY *pkey)
{
	char group[64] = "";
	const struct scheme *s;

	if (EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1)
		return false;
	for (size_t i = 0; (s = scheme_at(i)) != NULL; i++)
		if (*s->group != '\0' && strcmp(s->group, group) == 0)
			return true;
	return false;
}

int
chain_check_key(EVP_PKEY *pkey, char *why, size_t size)
{
	int kind = chain_key_kind(pkey), bits = EVP_PKEY_get_bits(pkey);

	if (kind < 0 || (kind == SCHEME_EC && !curve_fits(pkey)))
		return str_copy(why, size, "keys must be RSA, ECDSA (P-256, P-384, P-521) or Ed25519"), SP_EFORMAT;
	if (kind == SCHEME_RSA && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
		return str_format(why, size, "RSA key of %d bits: must be %d to %d", bits, RSA_BITS_MIN, RSA_BITS_MAX),
		       SP_ERANGE;
	return 0;
}

/* --------------------------------------------------------------------------- chains */

static STACK_OF(X509) * read_all(const char *pem, size_t len)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	X509 *x;

	while (all != NULL && in != NULL && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(all, x) <= 0) {
			X509_free(x);
			break;
		}
	BIO_free(in);
	/* The end of the file is an error to that function. */
	ERR_clear_error();
	return all;
}

static bool
is_own_issuer(X509 *x)
{
	return X509_check_issued(x, x) == X509_V_OK;
}

/* The certificate that has issued this one, by name, identifier and signature; NULL: it is not among them. */
static X509 *
find_issuer(STACK_OF(X509) * all, X509 *x)
{
	for (int i = 0; i < sk_X509_num(all); i++) {
		X509 *other = sk_X509_value(all, i);

		if (other != x && X509_check_issued(other, x) == X509_V_OK &&
		    X509_verify(x, X509_get0_pubkey(other)) == 1)
			return other;
	}
	ERR_clear_error();
	return NULL;
}

static const char *
name_of(X509 *x, char *text)
{
	return X509_NAME_oneline(X509_get_subject_name(x), text, NAME_MAX_TEXT) == NULL ? "?" : text;
}

/* Neither key nor signature may be weaker than clients accept. What signs itself is believed without its signature. */
static int
check_strength(X509 *x, char *why, size_t size)
{
	char name[NAME_MAX_TEXT];
	int digest = NID_undef, strength = 0;
	EVP_PKEY *key = X509_get0_pubkey(x);

	if (key == NULL || EVP_PKEY_get_security_bits(key) < STRENGTH_MIN) {
		(void)str_format(why, size, "the key of %s is too weak, or of a kind that is not known (%d bits)",
		    name_of(x, name), key == NULL ? 0 : EVP_PKEY_get_bits(key));
		return SP_EDENIED;
	}
	if (!is_own_issuer(x) && X509_get_signature_info(x, &digest, NULL, &strength, NULL) == 1 &&
	    strength < STRENGTH_MIN) {
		(void)str_format(
		    why, size, "the signature of %s is too weak (%s)", name_of(x, name), OBJ_nid2sn(digest));
		return SP_EDENIED;
	}
	return 0;
}

static int
check_time(X509 *x, int64_t now, char *why, size_t size)
{
	char name[NAME_MAX_TEXT], when[64] = "?";
	time_t at = (time_t)now;
	bool early = X509_cmp_time(X509_get0_notBefore(x), &at) > 0;
	const ASN1_TIME *limit = early ? X509_get0_notBefore(x) : X509_get0_notAfter(x);
	struct tm tm;

	if (!early && X509_cmp_time(X509_get0_notAfter(x), &at) > 0)
		return 0;
	if (ASN1_TIME_to_tm(limit, &tm) == 1)
		(void)strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
	(void)str_format(
	    why, size, "%s %s %s", name_of(x, name), early ? "is not valid before" : "has expired at", when);
	return SP_ERANGE;
}

/* From the first certificate to the last that is known. The first fault but that of a date ends it. */
static int
walk(STACK_OF(X509) * all, int64_t now, char *why, size_t size)
{
	X509 *x = sk_X509_value(all, 0);
	int r = 0, steps = 0, dated = 0;
	char name[NAME_MAX_TEXT];

	while (x != NULL && r == 0 && steps++ < sk_X509_num(all)) {
		r = check_strength(x, why, size);
		if (r == 0 && dated == 0)
			dated = check_time(x, now, why, size);
		x = is_own_issuer(x) ? NULL : find_issuer(all, x);
	}
	if (r == 0 && steps == 1 && sk_X509_num(all) > 1) {
		(void)str_format(why, size, "the chain is broken: no certificate behind %s has issued it",
		    name_of(sk_X509_value(all, 0), name));
		r = SP_EDENIED;
	}
	return r != 0 ? r : dated;
}

int
chain_check(const char *pem, size_t len, int64_t now, char *why, size_t size)
{
	STACK_OF(X509) *all = read_all(pem, len);
	int r = SP_EFORMAT;

	*why = '\0';
	if (sk_X509_num(all) > 0)
		r = walk(all, now, why, size);
	else
		(void)str_copy(why, size, "no certificate in PEM form found");
	sk_X509_pop_free(all, X509_free);
	return r;
}

int
chain_ends(const char *pem, size_t len)
{
	STACK_OF(X509) *all = read_all(pem, len);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int known = 1, error;

	if (sk_X509_num(all) == 1 && !is_own_issuer(sk_X509_value(all, 0)) && store != NULL && ctx != NULL &&
	    X509_STORE_set_default_paths(store) == 1 &&
	    X509_STORE_CTX_init(ctx, store, sk_X509_value(all, 0), all) == 1 && X509_verify_cert(ctx) != 1) {
		error = X509_STORE_CTX_get_error(ctx);
		known = error != X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY &&
			error != X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_pop_free(all, X509_free);
	ERR_clear_error();
	return known;
}
