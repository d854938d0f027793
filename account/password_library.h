/*
 * Hashes that libcrypt does not know, computed by libraries which are opened
 * when the first hash of that kind is met: each library that the monitor's
 * template maps makes every session dearer, and most servers have no such hash.
 * Only password.c uses it.
 */
#ifndef ACCOUNT_PASSWORD_LIBRARY_H
#define ACCOUNT_PASSWORD_LIBRARY_H

#include "account/password.h"

#ifdef HAVE_SODIUM
/* $argon2id$... and $argon2i$..., by libsodium. */
enum password_verdict password_check_argon2(const struct secret *, const char *hash);
#endif

/*
 * PBKDF2 (RFC 8018, 5.2) by OpenSSL's libcrypto.  Two ways to write it are known:
 * $pbkdf2[-sha256|-sha512]$ROUNDS$SALT$HASH of passlib (salt and hash in base64 with "." for "+" and no "="),
 * and the same with base64's own alphabet and padding, where the salt is plain text, or
 * base64 too behind $pbkdf2-b64salt-sha256$ (SFTPGo and others written in Go).
 */
enum password_verdict password_check_pbkdf2(const struct secret *, const char *hash);

/* Can a hash of these kinds be computed here: is it well formed, and the library there?  Computes nothing. */
bool password_library_reads(const char *hash);

#endif
