/*
 * The line reader: whatever arrives, and however it is cut into reads, the
 * same lines come out, each of them bounded, ended and free of LF and NUL.
 * Only where a LF without a CR is the last that has come, it may end a line.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/worker/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct out {
	size_t len;
	char text[1 << 16];
};

static void
put(struct out *o, enum line_result r, const char *text, size_t len)
{
	if (r == LINE_COMMAND && (strlen(text) != len || len == 0 || len > LINE_MAX_BYTES || strchr(text, '\n') != NULL))
		abort();
	if (o->len + len + 2 > sizeof o->text)
		return;
	o->text[o->len++] = (char)('0' + (int)r);
	if (r == LINE_COMMAND) {
		memcpy(o->text + o->len, text, len);
		o->len += len;
	}
}

static void
run(const uint8_t *data, size_t size, size_t step, struct out *o)
{
	static struct line_reader l;
	enum line_result r;
	char *text;
	size_t len;

	o->len = 0;
	line_init(&l);
	while (size > 0) {
		size_t space, n;
		uint8_t *at = line_room(&l, &space);

		n = space < step ? space : step;
		n = n < size ? n : size;
		if (n == 0)
			abort();
		memcpy(at, data, n);
		line_filled(&l, n);
		data += n;
		size -= n;
		while ((r = line_next(&l, &text, &len)) != LINE_NONE) {
			put(o, r, text, len);
			if (r == LINE_FLOODED)
				return;
		}
	}
}

/* After a CR LF, and as far as Telnet commands do not make it hard to tell. */
static bool
has_lone_line_feed(const uint8_t *data, size_t size)
{
	const uint8_t *strict = memmem(data, size, "\r\n", 2);

	if (strict == NULL)
		return false;
	if (memchr(data, 0xff, size) != NULL)
		return true;
	for (const uint8_t *p = strict + 2; p < data + size; p++)
		if (*p == '\n' && p[-1] != '\r')
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct out whole, parts;

	run(data, size, LINE_RAW_BYTES, &whole);
	run(data, size, size > 0 ? 1 + data[0] % 7 : 1, &parts);
	if (has_lone_line_feed(data, size))
		return 0;
	if (whole.len != parts.len || memcmp(whole.text, parts.text, whole.len) != 0)
		abort();
	return 0;
}
