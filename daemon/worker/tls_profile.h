/*
 * What TLS is like on each listener: contexts, certificates and settings, made
 * once in the template from its configuration and from the files that the
 * listener sealed (privsep/tlsfiles.h).  The files are the administrator's and
 * were compared with their keys by the keeper.  Nothing here is secret: ticket
 * keys belong to one worker and are made in tls_profile_own().
 */
#ifndef DAEMON_WORKER_TLS_PROFILE_H
#define DAEMON_WORKER_TLS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_CERTS_MAX	32
#define TLS_ALPN_MAX	2

struct conf;
struct settings;
struct ssl_ctx_st;
struct ssl_st;
struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;

/* A certificate with its issuers and the number of its key. */
struct tls_cert {
	struct x509_st *leaf;
	struct stack_st_X509 *chain;
	struct evp_pkey_st *key;	/* of the provider */
};

struct tls_profile {
	struct ssl_ctx_st *ctx;
	struct tls_cert cert[TLS_CERTS_MAX];
	size_t cert_count;
	bool by_name;			/* two of one kind: the name that the client asks for chooses */
	bool ask_certificate;		/* of the client */
	bool own;			/* tls_profile_own() was called */
	bool in_kernel;			/* data connections may use the kernel's TLS */
	int reuse;			/* enum conf_session_reuse */
	bool strict_close;
	uint32_t ticket_lifetime;	/* seconds */
};

/*
 * Makes a profile from settings (of one listener) and a sealed file's bytes.
 * NULL: *why says, for the log, what is wrong; "" when these settings name no
 * certificate.  Logs what it leaves out.
 */
struct tls_profile *tls_profile_make(const struct settings *, const void *files, size_t len, const char **why);
void tls_profile_free(struct tls_profile *);

/*
 * In the process that will use it, once: ticket keys that no other process
 * has.  0 or -EIO.
 */
int tls_profile_own(struct tls_profile *);

/* Is there a certificate for this host name? True when the profile has only nameless ones. */
bool tls_profile_serves(const struct tls_profile *, const char *host);

/*
 * Template: makes the profiles of all listeners, and has every library
 * function that a session needs run once.  files_fd: the sealed file, or -1.
 * 0 or a negative code.
 */
int tls_warm_up(const struct conf *, int files_fd);
/* The profile of a listener; NULL: no TLS there. */
struct tls_profile *tls_profile_find(const char *listener);

/* tls_warm.c: handshakes in memory, so that no session pays for a first use. 0 or -EIO. */
int tls_warm_handshakes(void);

/* Does this processor have instructions for AES? */
bool tls_fast_aes(void);

#endif
