#include "config.h"

#include <check.h>
#include <string.h>

#include "daemon/keeper/tbs.h"
#include "tests/unit/keeper.h"

#define SERVER "TLS 1.3, server CertificateVerify"
#define CLIENT "TLS 1.3, client CertificateVerify"

/* A message of blanks, context with its zero byte, and a hash. */
static size_t
verify_message(uint8_t *m, int blanks, const char *context, size_t hash)
{
	size_t n = strlen(context) + 1;

	memset(m, ' ', (size_t)blanks);
	memcpy(m + blanks, context, n);
	memset(m + blanks + n, 0xa5, hash);
	return (size_t)blanks + n + hash;
}

static const struct {
	int blanks;
	const char *context;
	size_t hash;
	enum tbs_shape want;
} tls13[] = {
	{ 64, SERVER, 32, TBS_TLS13 },
	{ 64, SERVER, 48, TBS_TLS13 },
	{ 64, SERVER, 0, TBS_NONE },
	{ 64, SERVER, 31, TBS_NONE },
	{ 64, SERVER, 33, TBS_NONE },
	{ 64, SERVER, 64, TBS_NONE },
	{ 63, SERVER, 32, TBS_NONE },
	{ 65, SERVER, 32, TBS_NONE },
	{ 63, SERVER, 33, TBS_NONE },
	{ 64, CLIENT, 32, TBS_NONE },
	{ 64, CLIENT, 48, TBS_NONE },
	{ 64, "TLS 1.3, server Certificateverify", 32, TBS_NONE },
	{ 64, "TLS 1.3, server CertificateVerif", 33, TBS_NONE },
};

START_TEST(certificate_verify)
{
	uint8_t m[512];
	size_t n = verify_message(m, tls13[_i].blanks, tls13[_i].context, tls13[_i].hash);

	ck_assert_int_eq(tbs_shape(m, n), tls13[_i].want);
}
END_TEST

START_TEST(every_changed_head_byte_is_refused)
{
	uint8_t m[512];
	size_t n = verify_message(m, 64, SERVER, 32);

	for (size_t i = 0; i < n - 32; i++) {
		m[i] ^= 1;
		ck_assert_int_eq(tbs_shape(m, n), TBS_NONE);
		m[i] ^= 1;
	}
	ck_assert_int_eq(tbs_shape(m, n), TBS_TLS13);
}
END_TEST

static const struct {
	uint8_t head[5];	/* type, curve, length, first byte of the point */
	size_t point;
	enum tbs_shape want;
} tls12[] = {
	{ { 3, 0, 23, 65, 4 }, 65, TBS_TLS12 },
	{ { 3, 0, 24, 97, 4 }, 97, TBS_TLS12 },
	{ { 3, 0, 25, 133, 4 }, 133, TBS_TLS12 },
	{ { 3, 0, 29, 32, 9 }, 32, TBS_TLS12 },
	{ { 3, 0, 30, 56, 0 }, 56, TBS_TLS12 },
	{ { 3, 0, 23, 65, 2 }, 65, TBS_NONE },		/* compressed point */
	{ { 3, 0, 23, 33, 2 }, 33, TBS_NONE },
	{ { 3, 0, 23, 65, 4 }, 64, TBS_NONE },		/* cut short */
	{ { 3, 0, 23, 65, 4 }, 66, TBS_NONE },		/* something follows */
	{ { 3, 0, 29, 65, 4 }, 65, TBS_NONE },		/* length of another curve */
	{ { 3, 1, 0, 32, 1 }, 32, TBS_NONE },		/* a finite field group */
	{ { 3, 0, 22, 65, 4 }, 65, TBS_NONE },		/* secp256k1 */
	{ { 1, 0, 23, 65, 4 }, 65, TBS_NONE },		/* explicit curve */
	{ { 2, 0, 23, 65, 4 }, 65, TBS_NONE },
	{ { 0, 0, 0, 0, 0 }, 65, TBS_NONE },
};

START_TEST(key_exchange)
{
	uint8_t m[512];

	memset(m, 0x5a, sizeof m);
	memcpy(m + 64, tls12[_i].head, 5);
	ck_assert_int_eq(tbs_shape(m, 64 + 4 + tls12[_i].point), tls12[_i].want);
}
END_TEST

START_TEST(short_messages)
{
	uint8_t m[512] = { 0 };

	for (size_t n = 0; n < 70; n++)
		ck_assert_int_eq(tbs_shape(m, n), TBS_NONE);
}
END_TEST

Suite *
keeper_tbs_suite(void)
{
	Suite *s = suite_create("keeper_tbs");
	TCase *t = tcase_create("shapes");

	tcase_add_loop_test(t, certificate_verify, 0, sizeof tls13 / sizeof tls13[0]);
	tcase_add_test(t, every_changed_head_byte_is_refused);
	tcase_add_loop_test(t, key_exchange, 0, sizeof tls12 / sizeof tls12[0]);
	tcase_add_test(t, short_messages);
	suite_add_tcase(s, t);
	return s;
}
