/*
 * What the keeper reads from a certificate: the public key, to compare it with
 * the private one, and the facts that status and log report.  The file comes
 * from the administrator; it is parsed here because the listener parses nothing.
 */
#ifndef DAEMON_KEEPER_CERTIFICATE_H
#define DAEMON_KEEPER_CERTIFICATE_H

#include <stddef.h>

#include "daemon/keeper/keyring.h"

/*
 * Reads the first certificate of a PEM text.  *public is the caller's to free.
 * 0, or a negative code with an explanation in why[size].
 */
int certificate_read(const void *pem, size_t len, struct evp_pkey_st **public, struct key_facts *, char *why,
    size_t size);

#endif
