/* A TLS server and its clients in one process, for tests of the worker's side. */
#ifndef TESTS_UNIT_TLS_WORLD_H
#define TESTS_UNIT_TLS_WORLD_H

#include <openssl/ssl.h>

#include "common/conf.h"
#include "daemon/worker/tls_stream.h"
#include "tests/unit/tls_pair.h"

#define PAIRS 3

/* A server with up to three certificates, all its keys held by the test itself. */
struct tls_server {
	struct tls_pair pair[PAIRS];
	struct settings set;
	struct tls_profile *profile;
	struct tls_session session;
};

/* A connection: the worker's stream and the client's end. */
struct tls_line {
	struct stream st;
	SSL *client;
	int client_fd;
};

/* Their certificates' names. */
extern const char *const tls_hosts[PAIRS];
/* TLS 1.2 and 1.3. */
extern const int tls_versions[2];

void tls_defaults(struct settings *, size_t certificates);
/* kinds of keys, and for whom clients must have certificates (NULL: nobody). */
void tls_server_make(struct tls_server *, const char *const *kinds, size_t n, const struct tls_pair *client_ca);
/* One P-256 certificate and the defaults. */
void tls_server_simple(struct tls_server *);
void tls_server_free(struct tls_server *);
/* version 0: any. */
SSL_CTX *tls_client_context(const struct tls_server *, int version);
void tls_line_open(struct tls_line *, struct tls_server *, SSL_CTX *, enum tls_use);
void tls_line_close(struct tls_line *);
/* The server's verdict; the client's goes to *client. */
int tls_shake(struct tls_line *, int *client);
/* The client reads once, which takes in the tickets too. */
void tls_client_sees(struct tls_line *, const char *text);
void tls_server_sees(struct tls_line *, const char *text);

#endif
