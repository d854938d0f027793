#include "config.h"

#include <string.h>

#include "daemon/keeper/tbs.h"

#define BLANKS		64
#define RANDOMS		64	/* of client and server, 32 bytes each */
#define NAMED_CURVE	3

static const char context[] = "TLS 1.3, server CertificateVerify";

/* Curves of the TLS registry for ECDHE: number, length of a public point, its first byte (0: any). */
static const struct {
	uint16_t number;
	uint8_t len, first;
} curves[] = {
	{ 23, 65, 4 },		/* secp256r1 */
	{ 24, 97, 4 },		/* secp384r1 */
	{ 25, 133, 4 },		/* secp521r1 */
	{ 29, 32, 0 },		/* x25519 */
	{ 30, 56, 0 },		/* x448 */
};

static int
is_tls13(const uint8_t *m, size_t len)
{
	/* The zero byte that ends the C string is the zero byte of the format. */
	const size_t head = BLANKS + sizeof context;

	if (len != head + 32 && len != head + 48)
		return 0;
	for (size_t i = 0; i < BLANKS; i++)
		if (m[i] != ' ')
			return 0;
	return memcmp(m + BLANKS, context, sizeof context) == 0;
}

static int
is_tls12(const uint8_t *m, size_t len)
{
	const uint8_t *p = m + RANDOMS;
	unsigned number;

	if (len < RANDOMS + 4 || p[0] != NAMED_CURVE)
		return 0;
	number = (unsigned)p[1] << 8 | p[2];
	for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
		if (curves[i].number == number)
			return p[3] == curves[i].len && len == RANDOMS + 4u + curves[i].len &&
			    (curves[i].first == 0 || p[4] == curves[i].first);
	return 0;
}

enum tbs_shape
tbs_shape(const uint8_t *m, size_t len)
{
	if (is_tls13(m, len))
		return TBS_TLS13;
	return is_tls12(m, len) ? TBS_TLS12 : TBS_NONE;
}
