/*
 * What the session needs of TLS beside the commands AUTH, PBSZ, PROT and CCC.
 */
#ifndef WORKER_VERB_TLS_H
#define WORKER_VERB_TLS_H

#include <stdbool.h>

struct session;

/*
 * Where clients begin with TLS at once (implicit_tls): does the handshake
 * before the greeting.  The session is ending afterwards when it failed.
 */
void tls_serve_implicit(struct session *);

/* May a client under TLS name this host? Only one that the listener's certificates are for (RFC 7151, 3.2.2). */
bool tls_host_fits(const struct session *, const char *host);

#endif
