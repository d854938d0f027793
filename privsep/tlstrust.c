#include "config.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/str.h"
#include "privsep/tlstrust.h"

#define NAME_SHOWN		128	/* of an issuer, for the log */

const char *
tls_error_text(void)
{
	unsigned long e = ERR_peek_error();
	const char *text = e == 0 ? NULL : ERR_reason_error_string(e);

	ERR_clear_error();
	return text == NULL ? "unknown" : text;
}

const char *
tls_name(const struct X509_name_st *name, char *dst, size_t size)
{
	char *text = X509_NAME_oneline(name, NULL, 0);

	(void)str_format(dst, size, "%.*s", (int)size - 1, text == NULL ? "" : text);
	OPENSSL_free(text);
	return dst;
}

struct stack_st_X509 *
tlstrust_certificates(const void *pem, size_t len)
{
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	struct stack_st_X509 *all = sk_X509_new_null();
	X509 *x;

	while (in != NULL && all != NULL && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(all, x) == 0)
			X509_free(x);
	/* The end of the file is an error to that function. */
	ERR_clear_error();
	BIO_free(in);
	return all;
}

void
tlstrust_free(struct stack_st_X509 *all)
{
	sk_X509_pop_free(all, X509_free);
}

const char *
tlstrust_add_ca(X509_STORE *store, const struct tlsfile *f)
{
	struct stack_st_X509 *all = tlstrust_certificates(f->data, f->len);
	const char *why = sk_X509_num(all) > 0 ? NULL : "no certificate in client_ca";

	for (int i = 0; i < sk_X509_num(all) && why == NULL; i++)
		if (X509_STORE_add_cert(store, sk_X509_value(all, i)) != 1)
			why = tls_error_text();
	tlstrust_free(all);
	return why;
}

/* A list that is missing or too old has its issuer's certificates refused, see below: it closes no listener. */
static void
look_at_crl(const X509_CRL *crl)
{
	const ASN1_TIME *until = X509_CRL_get0_nextUpdate(crl);
	struct log_line l;
	char issuer[NAME_SHOWN];

	if (until == NULL || X509_cmp_current_time(until) >= 0)
		return;
	log_begin(&l, EVENT_REVOCATION_LIST_TOO_OLD);
	log_str(&l, FIELD_ISSUER, tls_name(X509_CRL_get_issuer(crl), issuer, sizeof issuer));
	log_str(&l, FIELD_EFFECT, "no client certificate of that issuer is accepted");
	log_end(&l);
}

const char *
tlstrust_add_crl(X509_STORE *store, const struct tlsfile *f)
{
	BIO *in = BIO_new_mem_buf(f->data, (int)f->len);
	const char *why = NULL;
	X509_CRL *crl;
	size_t n = 0;

	while (why == NULL && in != NULL && (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) != NULL) {
		n++;
		look_at_crl(crl);
		why = X509_STORE_add_crl(store, crl) == 1 ? NULL : tls_error_text();
		X509_CRL_free(crl);
	}
	ERR_clear_error();
	BIO_free(in);
	if (n == 0)
		log_problem(EVENT_REVOCATION_LIST_EMPTY, f->name, 0);
	return why;
}

/* The whole chain, and whatever the file holds: one that cannot be read must not let anybody in who is revoked. */
void
tlstrust_set_revocation(X509_STORE *store, const struct settings *s)
{
	if (s->client_crl != NULL)
		(void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

static bool
listed(const struct conf_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], name) == 0)
			return true;
	return false;
}

bool
tlstrust_wanted(const struct settings *s, const struct tlsfile *f)
{
	switch (f->kind) {
	case TLSFILE_CHAIN:
		return listed(&s->certificate, f->name);
	case TLSFILE_CLIENT_CA:
		return s->client_ca != NULL && strcmp(s->client_ca, f->name) == 0;
	case TLSFILE_CLIENT_CRL:
		return s->client_crl != NULL && strcmp(s->client_crl, f->name) == 0;
	case TLSFILE_KINDS:
		break;
	}
	return false;
}
