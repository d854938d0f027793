/* check: would TLS work with these certificates and keys, and would clients believe them? */
#include "config.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fdutil.h"
#include "common/str.h"
#include "ctl/machine.h"
#include "privsep/chain.h"
#include "privsep/tlsfiles.h"

struct place {
	struct conf *conf;
	const struct conf_resolved *r;
};

static void
complain(const struct place *p, enum conf_key_id key, enum conf_severity severity, const char *file, const char *why,
    const char *hint)
{
	const struct conf_origin *o = &p->r->origin[key];
	char what[1200];

	/* As the file's own rules: the value, then its key. Two certificates in a line may have the same fault. */
	(void)str_format(what, sizeof what, "%s: %s", conf_keys[key].name, why);
	for (size_t i = 0; i < conf_problem_count(p->conf); i++) {
		const struct conf_problem *known = conf_problem_at(p->conf, i);

		if (known->line == o->line && strcmp(known->file, o->file) == 0 && strcmp(known->text, file) == 0 &&
		    strcmp(known->what, what) == 0)
			return;
	}
	conf_problem_add(p->conf, severity, o->file, o->line, file, what, hint);
}

/* A whole file, the caller's; NULL: it cannot be read, which is told unless only root may read it. */
static char *
read_file(const struct place *p, enum conf_key_id key, const char *path, size_t *len)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	int r = in == NULL ? -errno : fd_read_file(fileno(in), TLSFILES_ONE_MAX, &text, len);

	if (in != NULL)
		fclose(in);
	/* That it is not there is told with the file's other rules. */
	if (r != 0 && r != -ENOENT && !(r == -EACCES && geteuid() != 0))
		complain(p, key, CONF_ERROR, path, sp_strerror(r), "");
	return text;
}

static X509 *
first_certificate(const char *pem, size_t len)
{
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	X509 *x = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);

	BIO_free(in);
	ERR_clear_error();
	return x;
}

static void
check_certificate(const struct place *p, const char *path, const char *pem, size_t len)
{
	char why[600];
	int r = chain_check(pem, len, (int64_t)time(NULL), why, sizeof why);

	if (r != 0)
		complain(p, K_certificate, CONF_ERROR, path, why,
		    r == SP_ERANGE    ? "renew it, or set the clock; a reload goes on with it"
		    : r == SP_EFORMAT ? "the file must hold the certificate and its issuers in PEM"
				      : "get another one, or put the right issuers behind it");
	else if (!chain_ends(pem, len))
		complain(p, K_certificate, CONF_WARNING, path,
		    "its issuer is neither in the file nor known to this system; clients that do not have it refuse "
		    "the certificate",
		    "unless clients have it, put the issuer's certificate behind this one");
}

/* Answers the question for a passphrase, so that nobody is asked. */
static int
no_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf, (void)size, (void)writing;
	*(bool *)asked = true;
	return -1;
}

static void
check_key(const struct place *p, const char *path, const char *pem, size_t len, const char *cert_pem, size_t cert_len)
{
	bool encrypted = false;
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *key = in == NULL ? NULL : PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &encrypted);
	X509 *x = cert_pem == NULL ? NULL : first_certificate(cert_pem, cert_len);
	char why[200];

	if (key == NULL)
		complain(p, K_private_key, CONF_ERROR, path,
		    encrypted ? "the key has a passphrase" : "no private key in PEM form found",
		    encrypted ? "openssl pkey -in KEY -out KEY removes it" : "");
	else if (chain_check_key(key, why, sizeof why) != 0)
		complain(p, K_private_key, CONF_ERROR, path, why, "make another key, and get a certificate for it");
	else if (x != NULL && X509_check_private_key(x, key) != 1)
		complain(p, K_private_key, CONF_ERROR, path, "the private key does not belong to the certificate",
		    "list certificates and keys in the same order");
	EVP_PKEY_free(key);
	X509_free(x);
	BIO_free(in);
	ERR_clear_error();
}

static void
check_pair(const struct place *p, const char *cert, const char *key)
{
	size_t len[2] = { 0, 0 };
	char *pem = read_file(p, K_certificate, cert, &len[0]), *secret = read_file(p, K_private_key, key, &len[1]);

	if (pem != NULL)
		check_certificate(p, cert, pem, len[0]);
	if (secret != NULL) {
		check_key(p, key, secret, len[1], pem, len[0]);
		explicit_bzero(secret, len[1]);
	}
	free(secret);
	free(pem);
}

/* Authorities of clients' certificates, and lists of those that were revoked. */
static void
check_authorities(const struct place *p)
{
	const struct settings *s = &p->r->s;
	size_t len = 0;
	char *pem = s->client_ca == NULL ? NULL : read_file(p, K_client_ca, s->client_ca, &len);
	X509 *x = pem == NULL ? NULL : first_certificate(pem, len);
	X509_CRL *crl = NULL;
	BIO *in;

	if (pem != NULL && x == NULL)
		complain(p, K_client_ca, CONF_ERROR, s->client_ca, "no certificate in PEM form found", "");
	X509_free(x);
	free(pem);
	pem = s->client_crl == NULL ? NULL : read_file(p, K_client_crl, s->client_crl, &len);
	in = pem == NULL ? NULL : BIO_new_mem_buf(pem, (int)len);
	if (in != NULL && (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) == NULL)
		complain(p, K_client_crl, CONF_ERROR, s->client_crl, "no revocation list in PEM form found", "");
	X509_CRL_free(crl);
	BIO_free(in);
	free(pem);
	ERR_clear_error();
}

static void
check_listener(struct conf *conf, const struct conf_resolved *r)
{
	const struct place p = { conf, r };
	const struct settings *s = &r->s;

	if (s->tls == CONF_TLS_OFF)
		return;
	/* A certificate without a key of its own in the list has it in its own file. */
	for (size_t i = 0; i < s->certificate.n; i++)
		check_pair(&p, s->certificate.v[i], i < s->private_key.n ? s->private_key.v[i] : s->certificate.v[i]);
	if (s->client_certificate != CONF_CERT_NO)
		check_authorities(&p);
}

void
certificates_check(struct conf *conf)
{
	const struct conf_section *l = NULL;

	do {
		const struct conf_subject subject = { .listener = l == NULL ? NULL : conf_section_name(l) };
		struct conf_resolved r;

		if (conf_resolve(conf, &subject, &r) != 0)
			continue;
		check_listener(conf, &r);
		conf_resolved_free(&r);
	} while ((l = conf_section_next(conf, SC_LISTENER, l)) != NULL);
}
