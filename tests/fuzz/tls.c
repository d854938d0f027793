/*
 * What arrives on a TLS connection before anybody is known: our buffers, the
 * callbacks, and how errors of every kind end.  The first byte chooses control
 * or data connection; the rest is what the client sends.
 */
#include "config.h"

#include <openssl/pem.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "daemon/worker/tls_provider.h"
#include "daemon/worker/tls_stream.h"
#include "privsep/tlsfiles.h"
#include "tests/unit/tls_pair.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_profile *profile;
static struct tls_session session;
static EVP_PKEY *key;

static void
no_log(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level, (void)text, (void)len;
}

static int
sign_here(void *context, uint32_t number, unsigned code, const void *message, size_t message_len, uint8_t *sig,
    size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestSign(ctx, sig, len, message, message_len) == 1;

	(void)context, (void)number, (void)code;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const names[] = { "cert" };
	static uint8_t buf[8192];
	struct tls_pair pair = tls_pair_make("P-256", "ftp.example.org");
	char *pem = tls_pair_cert_pem(&pair);
	struct tlsfile f = { .kind = TLSFILE_CHAIN, .name = "cert", .data = (uint8_t *)pem, .len = strlen(pem) };
	const struct settings set = {
		.certificate = { 1, names }, .session_reuse = CONF_REUSE_STRICT, .tls_strict_close = true, .ticket_lifetime = 60
	};
	const char *why;
	struct wr w;

	(void)argc, (void)argv;
	log_set_sink(no_log, NULL);
	wr_init(&w, buf, sizeof buf);
	tlsfiles_put(&w, &f);
	key = pair.key;
	profile = tls_profile_make(&set, buf, w.len, &why);
	X509_free(pair.cert);
	OPENSSL_free(pem);
	if (profile == NULL || tls_session_begin(&session, profile, NULL) != 0)
		abort();
	tls_provider_set_signer(sign_here, NULL);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char buf[20000];
	struct stream st;
	int fds[2];
	ssize_t r;

	if (size < 1 || size > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return 0;
	stream_open(&st, fds[0]);
	if (tls_stream_start(&session, &st, (enum tls_use)(data[0] % 3)) != 0)
		abort();
	if (send(fds[1], data + 1, size - 1, MSG_NOSIGNAL) < 0)
		abort();
	(void)shutdown(fds[1], SHUT_WR);
	for (int i = 0; i < 1000; i++) {
		r = stream_read(&st, buf, sizeof buf);
		if (r <= 0)
			break;
	}
	/* The client has ended: waiting for more would be for ever. */
	if (r > 0 || r == -EAGAIN || (r != 0 && tls_stream_ready(&st) && stream_pending(&st) > 0))
		abort();
	(void)stream_shutdown(&st);
	(void)stream_close(&st);
	close(fds[1]);
	return 0;
}
