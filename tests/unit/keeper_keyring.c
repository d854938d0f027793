#include "config.h"

#include <openssl/crypto.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fdutil.h"
#include "daemon/keeper/keyring.h"
#include "privsep/tlsfiles.h"
#include "tests/unit/keeper.h"
#include "tests/unit/tls_pair.h"

static int
load(struct keyring *ring, uint32_t number, const char *key, const char *cert, struct key_facts *f, char *why)
{
	int fd = fd_sealed("key", key, strlen(key)), cert_fd = fd_sealed("cert", cert, strlen(cert)), chain_fd;
	int r = keyring_load(ring, number, "test", fd, cert_fd, f, &chain_fd, why, 256);

	close(fd);
	close(cert_fd);
	if (r != 0)
		ck_assert_int_eq(chain_fd, -1);
	else
		close(chain_fd);
	return r;
}

static size_t
tls13_message(uint8_t *m)
{
	memset(m, ' ', 64);
	memcpy(m + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(m + 98, 7, 32);
	return 130;
}

static size_t
tls12_message(uint8_t *m)
{
	memset(m, 7, 64);
	memcpy(m + 64, "\x03\x00\x1d\x20", 4);
	memset(m + 68, 9, 32);
	return 100;
}

static const struct {
	const char *kind;
	unsigned scheme;
	int tls12, tls13;	/* what keyring_sign() must return */
} combinations[] = {
	{ "RSA", 0x0804, 0, 0 },
	{ "RSA", 0x0401, 0, SP_EDENIED },	/* PKCS 1 padding is gone from TLS 1.3 */
	{ "RSA", 0x0403, SP_EDENIED, SP_EDENIED },
	{ "RSA", 0x0807, SP_EDENIED, SP_EDENIED },
	{ "RSA", 0x0201, SP_EDENIED, SP_EDENIED },	/* SHA-1 */
	{ "P-256", 0x0403, 0, 0 },
	{ "P-256", 0x0503, 0, SP_EDENIED },	/* the curve of another scheme */
	{ "P-256", 0x0804, SP_EDENIED, SP_EDENIED },
	{ "P-384", 0x0503, 0, 0 },
	{ "ED25519", 0x0807, 0, 0 },
	{ "ED25519", 0x0403, SP_EDENIED, SP_EDENIED },
	{ "ED25519", 0, SP_EDENIED, SP_EDENIED },
};

START_TEST(signs_only_what_fits)
{
	struct tls_pair p = tls_pair_make(combinations[_i].kind, "ftp.example.org");
	char *key = tls_pair_key_pem(&p), *cert = tls_pair_cert_pem(&p), why[256];
	struct keyring ring = { 0 };
	struct key_facts f;
	uint8_t m[256], sig[SIGNATURE_MAX];
	size_t len = sizeof sig;

	ck_assert_int_eq(load(&ring, 5, key, cert, &f, why), 0);
	ck_assert_int_eq(keyring_sign(&ring, 5, combinations[_i].scheme, m, tls12_message(m), sig, &len),
	    combinations[_i].tls12);
	len = sizeof sig;
	ck_assert_int_eq(keyring_sign(&ring, 5, combinations[_i].scheme, m, tls13_message(m), sig, &len),
	    combinations[_i].tls13);
	ck_assert_int_eq(keyring_sign(&ring, 6, combinations[_i].scheme, m, tls13_message(m), sig, &len), -ENOKEY);
	ck_assert_int_eq(keyring_sign(&ring, 5, combinations[_i].scheme, m, 20, sig, &len), SP_EDENIED);
	keyring_clear(&ring);
	OPENSSL_free(key);
	OPENSSL_free(cert);
	tls_pair_free(&p);
}
END_TEST

START_TEST(facts_of_the_certificate)
{
	struct tls_pair p = tls_pair_make("P-256", "ftp.example.org");
	char *key = tls_pair_key_pem(&p), *cert = tls_pair_cert_pem(&p), why[256];
	struct keyring ring = { 0 };
	struct key_facts f;

	ck_assert_int_eq(load(&ring, 5, key, cert, &f, why), 0);
	ck_assert_str_eq(f.names, "ftp.example.org 127.0.0.1");
	ck_assert_str_eq(f.algorithm, "EC 256");
	ck_assert_int_le(f.not_after - time(NULL), 86400);
	ck_assert_int_ge(f.not_after - time(NULL), 86300);
	ck_assert_int_le(f.not_before, time(NULL) - 3600);
	keyring_clear(&ring);
	OPENSSL_free(key);
	OPENSSL_free(cert);
	tls_pair_free(&p);
}
END_TEST

START_TEST(bad_files_are_explained)
{
	struct tls_pair p = tls_pair_make("P-256", "a.example.org"), q = tls_pair_make("P-256", "b.example.org");
	char *key = tls_pair_key_pem(&p), *cert = tls_pair_cert_pem(&p), *other = tls_pair_cert_pem(&q), why[256];
	struct keyring ring = { 0 };
	struct key_facts f;
	const char *const encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
	    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAAAAAAAAAAAAAAAAAAAA==\n"
	    "-----END RSA PRIVATE KEY-----\n";

	ck_assert_int_lt(load(&ring, 1, key, other, &f, why), 0);
	ck_assert_ptr_nonnull(strstr(why, "does not belong"));
	ck_assert_int_lt(load(&ring, 1, "rubbish", cert, &f, why), 0);
	ck_assert_ptr_nonnull(strstr(why, "no private key"));
	ck_assert_int_lt(load(&ring, 1, encrypted, cert, &f, why), 0);
	ck_assert_ptr_nonnull(strstr(why, "encrypted"));
	ck_assert_int_lt(load(&ring, 1, key, key, &f, why), 0);
	ck_assert_ptr_nonnull(strstr(why, "no certificate"));
	ck_assert_int_eq(load(&ring, 1, key, cert, &f, why), 0);
	ck_assert_int_lt(load(&ring, 1, key, cert, &f, why), 0);	/* the number is taken */
	keyring_clear(&ring);
	OPENSSL_free(key);
	OPENSSL_free(cert);
	OPENSSL_free(other);
	tls_pair_free(&p);
	tls_pair_free(&q);
}
END_TEST

/* Keys that would make the handshake worth less than it looks, or that no client can use. */
static const struct { const char *kind; int result; const char *why; } unfit[] = {
	{ "RSA512", SP_ERANGE, "RSA key of 512 bits: must be 2048 to 8192" },
	{ "RSA1024", SP_ERANGE, "RSA key of 1024 bits" },
	{ "RSA2040", SP_ERANGE, "RSA key of 2040 bits" },
	{ "RSA2048", 0, "" },
	{ "P-224", SP_EFORMAT, "keys must be RSA, ECDSA (P-256, P-384, P-521) or Ed25519" },
	{ "secp256k1", SP_EFORMAT, "keys must be" },
	{ "brainpoolP256r1", SP_EFORMAT, "keys must be" },
	{ "P-384", 0, "" },
	{ "P-521", 0, "" },
};

START_TEST(weak_keys_are_refused)
{
	struct tls_pair p = tls_pair_make(unfit[_i].kind, "a.example.org");
	char *key = tls_pair_key_pem(&p), *cert = tls_pair_cert_pem(&p), why[256];
	struct keyring ring = { 0 };
	struct key_facts f;
	uint8_t m[256], sig[SIGNATURE_MAX];
	size_t len = sizeof sig;

	ck_assert_int_eq(load(&ring, 1, key, cert, &f, why), unfit[_i].result);
	ck_assert_msg(strstr(why, unfit[_i].why) != NULL, "%s: %s", unfit[_i].kind, why);
	/* What was refused is not there either. */
	if (unfit[_i].result != 0)
		ck_assert_int_eq(keyring_sign(&ring, 1, 0x0804, m, tls13_message(m), sig, &len), -ENOKEY);
	keyring_clear(&ring);
	OPENSSL_free(key);
	OPENSSL_free(cert);
	tls_pair_free(&p);
}
END_TEST

START_TEST(one_file_for_both)
{
	struct tls_pair p = tls_pair_make("P-256", "a.example.org");
	char *key = tls_pair_key_pem(&p), *cert = tls_pair_cert_pem(&p), both[8192], why[256], *chain;
	struct keyring ring = { 0 };
	struct key_facts f;
	int fd, chain_fd;
	size_t len;

	ck_assert_int_lt(snprintf(both, sizeof both, "%s%s%s", key, cert, cert), (int)sizeof both);
	fd = fd_sealed("both", both, strlen(both));
	ck_assert_int_eq(keyring_load(&ring, 1, "test", fd, fd, &f, &chain_fd, why, sizeof why), 0);
	ck_assert_int_eq(fd_read_file(chain_fd, 100000, &chain, &len), 0);
	ck_assert_uint_eq(len, 2 * strlen(cert));
	ck_assert_ptr_null(strstr(chain, "PRIVATE"));
	close(fd);
	close(chain_fd);
	free(chain);
	keyring_clear(&ring);
	OPENSSL_free(key);
	OPENSSL_free(cert);
	tls_pair_free(&p);
}
END_TEST

START_TEST(generations)
{
	struct tls_pair p = tls_pair_make("P-256", "a.example.org");
	char *key = tls_pair_key_pem(&p), *cert = tls_pair_cert_pem(&p), why[256];
	struct keyring ring = { 0 };
	struct key_facts f;
	uint8_t m[256], sig[SIGNATURE_MAX];
	size_t len = sizeof sig, n = tls13_message(m);

	ck_assert_int_eq(load(&ring, 1, key, cert, &f, why), 0);
	ck_assert_int_eq(load(&ring, 2, key, cert, &f, why), 0);
	keyring_retire(&ring, 2, 10);
	keyring_collect(&ring, 10);
	ck_assert_int_eq(keyring_sign(&ring, 1, 0x0403, m, n, sig, &len), 0);
	keyring_collect(&ring, 11);
	len = sizeof sig;
	ck_assert_int_eq(keyring_sign(&ring, 1, 0x0403, m, n, sig, &len), -ENOKEY);
	ck_assert_int_eq(keyring_sign(&ring, 2, 0x0403, m, n, sig, &len), 0);
	keyring_clear(&ring);
	OPENSSL_free(key);
	OPENSSL_free(cert);
	tls_pair_free(&p);
}
END_TEST

Suite *
keeper_keyring_suite(void)
{
	Suite *s = suite_create("keeper_keyring");
	TCase *t = tcase_create("keys");

	tcase_add_loop_test(t, signs_only_what_fits, 0, sizeof combinations / sizeof combinations[0]);
	tcase_add_test(t, facts_of_the_certificate);
	tcase_add_test(t, bad_files_are_explained);
	tcase_add_loop_test(t, weak_keys_are_refused, 0, sizeof unfit / sizeof unfit[0]);
	tcase_add_test(t, one_file_for_both);
	tcase_add_test(t, generations);
	suite_add_tcase(s, t);
	return s;
}
