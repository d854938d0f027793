#include "config.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "common/fdutil.h"
#include "common/str.h"
#include "daemon/keeper/certificate.h"
#include "privsep/chain.h"
#include "privsep/tlsfiles.h"

static int64_t
seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* Adds a word; what does not fit, or would need escaping, is left out. */
static void
add_name(struct key_facts *f, const char *name, size_t len)
{
	size_t used = strlen(f->names);

	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return;
	if (len == 0 || used + len + 2 > sizeof f->names)
		return;
	if (used > 0)
		f->names[used++] = ' ';
	memcpy(f->names + used, name, len);
	f->names[used + len] = '\0';
}

static void
add_general_name(struct key_facts *f, const GENERAL_NAME *n)
{
	char address[INET6_ADDRSTRLEN];
	int type, len;
	void *value = GENERAL_NAME_get0_value(n, &type);
	const unsigned char *data;

	if (type != GEN_DNS && type != GEN_IPADD)
		return;
	data = ASN1_STRING_get0_data(value);
	len = ASN1_STRING_length(value);
	if (type == GEN_DNS)
		add_name(f, (const char *)data, (size_t)len);
	else if ((len == 4 || len == 16) &&
	    inet_ntop(len == 4 ? AF_INET : AF_INET6, data, address, sizeof address) != NULL)
		add_name(f, address, strlen(address));
}

static void
collect_names(X509 *x, struct key_facts *f)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	char common_name[256];

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		add_general_name(f, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
	if (*f->names == '\0' && X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, common_name,
	    sizeof common_name) > 0)
		add_name(f, common_name, strlen(common_name));
}

static void
describe(X509 *x, const EVP_PKEY *public, struct key_facts *f)
{
	f->not_before = seconds_of(X509_get0_notBefore(x));
	f->not_after = seconds_of(X509_get0_notAfter(x));
	(void)str_format(f->algorithm, sizeof f->algorithm, "%s %d", EVP_PKEY_get0_type_name(public),
	    EVP_PKEY_get_bits(public));
	collect_names(x, f);
}

/* Copies certificates from one to the other; the first is the caller's to free. */
static X509 *
copy_chain(BIO *in, BIO *out)
{
	X509 *first = NULL, *x;

	while ((x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		if (PEM_write_bio_X509(out, x) != 1) {
			X509_free(x);
			break;
		}
		if (first == NULL)
			first = x;
		else
			X509_free(x);
	}
	/* The end of the file is an error to that function. */
	ERR_clear_error();
	return first;
}

static int
parse(char *pem, size_t len, EVP_PKEY **public, struct key_facts *f, int *chain_fd)
{
	BIO *in = BIO_new_mem_buf(pem, (int)len), *out = BIO_new(BIO_s_mem());
	X509 *x = in == NULL || out == NULL ? NULL : copy_chain(in, out);
	char *chain;
	long n;
	int r = SP_EFORMAT;

	*public = x == NULL ? NULL : X509_get_pubkey(x);
	if (*public != NULL) {
		describe(x, *public, f);
		n = BIO_get_mem_data(out, &chain);
		*chain_fd = fd_sealed("sallyport-chain", chain, (size_t)n);
		r = *chain_fd < 0 ? *chain_fd : 0;
	}
	X509_free(x);
	BIO_free(in);
	BIO_free(out);
	return r;
}

int
certificate_read(int fd, EVP_PKEY **public, struct key_facts *f, int *chain_fd, char *why, size_t size)
{
	char *pem;
	size_t len;
	int r = fd_read_file(fd, TLSFILES_ONE_MAX, &pem, &len);

	*f = (struct key_facts){ 0 };
	*public = NULL;
	*chain_fd = -1;
	if (r != 0) {
		(void)str_format(why, size, "the certificate file cannot be read: %s", sp_strerror(r));
		return r;
	}
	r = parse(pem, len, public, f, chain_fd);
	if (r == 0 && chain_check(pem, len, (int64_t)time(NULL), f->fault, sizeof f->fault) != SP_EDENIED)
		f->fault[0] = '\0';	/* dates are told otherwise */
	OPENSSL_cleanse(pem, len);
	free(pem);
	if (r == SP_EFORMAT)
		(void)str_copy(why, size, "no certificate in PEM form found");
	else if (r != 0)
		(void)str_copy(why, size, sp_strerror(r));
	return r;
}
