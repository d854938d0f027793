/*
 * What the keeper signs: the two messages in which a TLS server proves that it
 * holds its key, byte for byte, and nothing that merely resembles them.  Pure
 * functions over hostile input.
 */
#ifndef DAEMON_KEEPER_TBS_H
#define DAEMON_KEEPER_TBS_H

#include <stddef.h>
#include <stdint.h>

#include "privsep/scheme.h"

/*
 * The shape of a whole message to be signed; TBS_NONE: neither.
 *
 * TLS 1.3 (RFC 8446, 4.4.3): 64 blanks, "TLS 1.3, server CertificateVerify", a
 * zero byte, and a transcript hash of 32 or 48 bytes.  The client's context
 * string is another shape, and refused: the key cannot be used to log in elsewhere.
 *
 * TLS 1.2 (RFC 8422, 5.4): two randoms of 32 bytes, curve type 3 (named), the
 * number of a curve, one length byte, and a public point of just the length
 * and form which that curve has.
 */
enum tbs_shape tbs_shape(const uint8_t *message, size_t len);

#endif
