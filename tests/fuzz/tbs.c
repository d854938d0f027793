/*
 * What a hijacked worker may ask the keeper to sign, and sealed TLS files.
 * Whatever is taken for a handshake message must be one by the rules of its
 * RFC, which are written down here a second time.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/keeper/tbs.h"
#include "privsep/tlsfiles.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_tls13(const uint8_t *m, size_t n)
{
	static const char head[] = "                                                                TLS 1.3, server CertificateVerify";

	if (n != 130 && n != 146)
		abort();
	if (memcmp(m, head, sizeof head) != 0)
		abort();
}

static void
check_tls12(const uint8_t *m, size_t n)
{
	if (n < 64 + 4 + 32 || m[64] != 3 || m[65] != 0 || (size_t)m[67] != n - 68)
		abort();
}

static void
read_files(const uint8_t *data, size_t size)
{
	static struct tlsfile f;
	struct rd r;

	rd_init(&r, data, size);
	while (tlsfiles_get(&r, &f) == 1)
		if (f.data < data || f.data + f.len > data + size || f.kind >= TLSFILE_KINDS)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum tbs_shape shape = tbs_shape(data, size);

	if (shape == TBS_TLS13)
		check_tls13(data, size);
	else if (shape == TBS_TLS12)
		check_tls12(data, size);
	read_files(data, size);
	return 0;
}
