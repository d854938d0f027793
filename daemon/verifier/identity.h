/*
 * What a client's certificate says of its holder, as plain lines for the
 * monitor, which parses no ASN.1.  The certificate has been verified; its names may still be
 * anything.
 */
#ifndef DAEMON_VERIFIER_IDENTITY_H
#define DAEMON_VERIFIER_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#define IDENTITY_MAX 8192

struct x509_st;

/*
 * "sha256:HEX" of the DER form, then "dns:NAME" and "email:NAME" of the
 * alternative names, each ended by LF, into text[IDENTITY_MAX].  Names with control bytes or blanks, and those
 * that do not fit, are left out.  Returns the length.
 */
size_t identity(struct x509_st *, uint8_t *text);

#endif
