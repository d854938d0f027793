/*
 * Any bytes as a packet on any channel: the receiver must not crash, leave a
 * descriptor open or accept what it would not send itself.  What decodes must encode to the same bytes.
 */
#include "config.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "privsep/chan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct msg m;

/* The body again, which must be what came in: there is one way only to write a message. */
static void
encode_again(const uint8_t *data, size_t size)
{
	static uint8_t again[MSG_SIZE_MAX];
	struct wr w;

	wr_init(&w, again, sizeof again);
	msg_encode(&w, m.type, &m.failed);
	if (w.error != 0 || w.len != size || memcmp(again, data, size) != 0)
		abort();
}

static void
decode_as_every_type(const uint8_t *data, size_t size)
{
	for (unsigned type = MSG_NONE + 1; type < MSG_COUNT; type++) {
		struct rd r;

		rd_init(&r, data, size);
		m.type = (enum msg_type)type;
		if (msg_decode(&r, m.type, &m.failed) == 0)
			encode_again(data, size);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct { int ends[2]; } pair = { { -1, -1 } };
	struct chan c;

	if (size < 2 || size > MSG_SIZE_MAX)
		return 0;
	if (pair.ends[0] < 0 && chan_pair(pair.ends) != 0)
		abort();
	/* The first byte says where the packet arrives, the second in which states. */
	chan_init(&c, pair.ends[1], (enum msg_channel)(data[0] % (CH_CONTROL + 1)), (enum msg_role)(data[0] / 16 % (ROLE_CTL + 1)));
	if (size > 2 && send(pair.ends[0], data + 2, size - 2, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)(size - 2) &&
	    chan_receive(&c, &m, data[1]) == 0)
		msg_close(&m);
	decode_as_every_type(data + 2, size - 2);
	return 0;
}
