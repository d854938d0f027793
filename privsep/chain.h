/*
 * Whether clients can believe a server's certificate and use its key: what
 * keeper, "sallyctl check" and "sallyctl doctor" must answer alike.  Uses
 * libcrypto and, but for chain_ends(), no files; trusts the administrator who made the files.
 */
#ifndef PRIVSEP_CHAIN_H
#define PRIVSEP_CHAIN_H

#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;

/*
 * The certificates of a PEM file, the server's own first: are keys and signatures strong enough for clients, and
 * does each certificate on the way from the first lead to an issuer that stands beside it, or to the end of what is
 * there? now: seconds since 1970.  0; SP_EFORMAT (none in it); SP_EDENIED (weak, or not a chain); SP_ERANGE (good,
 * but expired or not yet valid), in that order.  why[size] explains.
 */
int chain_check(const char *pem, size_t len, int64_t now, char *why, size_t size);

/* Is the private key of a kind and size that our schemes of TLS can use? 0; SP_EFORMAT, SP_ERANGE with why[size]. */
int chain_check_key(struct evp_pkey_st *, char *why, size_t size);
/* The kind of a key (enum scheme_key), or -1 for one that no scheme of ours uses. */
int chain_key_kind(const struct evp_pkey_st *);

/*
 * Does the file hold all that clients need, as far as this system's authorities (OpenSSL's files) can tell?  0: the
 * only certificate in it was issued by one that neither they nor the file have, which may be an intermediate.
 */
int chain_ends(const char *pem, size_t len);

#endif
