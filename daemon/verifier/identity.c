#include "config.h"

#include <openssl/x509v3.h>

#include <string.h>

#include "daemon/verifier/identity.h"

struct text {
	uint8_t *data;	/* IDENTITY_MAX bytes */
	size_t len;
};

static void
add(struct text *t, const char *kind, const char *name, size_t n)
{
	const size_t k = strlen(kind);

	if (n == 0 || k + n + 1 > IDENTITY_MAX - t->len)
		return;
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return;
	memcpy(t->data + t->len, kind, k);
	memcpy(t->data + t->len + k, name, n);
	t->len += k + n;
	t->data[t->len++] = '\n';
}

static void
add_digest(struct text *t, X509 *x)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(x, EVP_sha256(), digest, &n) != 1)
		return;
	for (unsigned i = 0; i < n; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	add(t, "sha256:", hex, 2 * n);
}

static void
add_name(struct text *t, const GENERAL_NAME *n)
{
	int type;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(n, &type);

	if (type == GEN_DNS || type == GEN_EMAIL)
		add(t, type == GEN_DNS ? "dns:" : "email:", (const char *)ASN1_STRING_get0_data(value),
		    (size_t)ASN1_STRING_length(value));
}

size_t
identity(X509 *x, uint8_t *text)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct text t = { .data = text };

	add_digest(&t, x);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		add_name(&t, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
	return t.len;
}
