/* Addresses, networks and hours: never a crash, and what is printed reads back as the same. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/addr.h"
#include "common/hours.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
addresses(const char *text)
{
	char shown[ADDR_TEXT_MAX];
	struct addr a, b;

	if (addr_parse(&a, text, 21) != 0)
		return;
	if (addr_parse(&b, addr_text(shown, &a), 1) != 0 || !addr_same_host(&a, &b) || addr_port(&a) != addr_port(&b))
		abort();
	if (addr_from(&b, &a, addr_len(&a)) != 0 || !addr_same_host(&a, &b))
		abort();
}

static void
networks(const char *text)
{
	char shown[ADDR_TEXT_MAX];
	struct addr_net n, m;

	if (addr_net_parse(&n, text) != 0)
		return;
	if (addr_net_parse(&m, addr_net_text(shown, &n)) != 0 || memcmp(&n, &m, sizeof n) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct hours h;
	const char *bad;

	memcpy(text, data, size);
	text[size] = '\0';
	addresses(text);
	networks(text);
	if (hours_parse(&h, text, &bad) != 0 && (bad < text || bad > text + size))
		abort();
	free(text);
	return 0;
}
