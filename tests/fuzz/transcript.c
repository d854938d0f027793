/*
 * The handshake that a hijacked worker says its client has signed.  Whatever is taken for one lies within
 * the bytes given, has everything that is judged, and ends where they end.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "daemon/verifier/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct span s, const uint8_t *data, size_t size)
{
	if (s.len > 0 && (s.at < data || s.len > size || (size_t)(s.at - data) > size - s.len))
		abort();
}

static void
check_chain(const struct transcript *t, struct span chain, const uint8_t *data, size_t size)
{
	struct span der;

	for (size_t left = chain.len; transcript_next_certificate(t, &chain, &der); left = chain.len) {
		check(der, data, size);
		check(chain, data, size);
		if (chain.len >= left)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t name[] = "a name that nobody has";
	struct transcript t;

	if (transcript_parse(&t, data, size) != 0)
		return 0;
	const struct span all[] = {
		t.retried, t.client_random, t.server_random, t.parameters, t.issuers, t.server_chain, t.client_chain,
		t.server.signature, t.server.before, t.client.signature, t.client.before
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		check(all[i], data, size);
	if (t.client_random.len != 32 || t.server_random.len != 32 || t.client.before.at != data ||
	    t.client.before.len >= size || (t.tls13 ? t.server.before.len <= t.retried.len : t.parameters.len == 0))
		abort();
	check_chain(&t, t.server_chain, data, size);
	check_chain(&t, t.client_chain, data, size);
	(void)transcript_has_issuer(&t, name, sizeof name);
	return 0;
}
