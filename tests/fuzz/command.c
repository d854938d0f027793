/*
 * Commands of a client: all parsing of verbs and arguments, before and after
 * the login.  There is no agent: a command that reaches it ends the session,
 * which is then begun again.
 */
#include "config.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "daemon/worker/session.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct session session;
static struct settings settings;

static void
no_log(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level, (void)text, (void)len;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	log_set_sink(no_log, NULL);
	verbs_init();
	settings.idle_timeout = settings.stall_timeout = settings.data_timeout = 60;
	return 0;
}

static void
begin(bool live)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	session_init(&session, &settings, NULL, 0);
	(void)addr_from(&session.peer, &peer, sizeof peer);
	session.live = live;
	session.ending = false;
	session.data.way = DATA_PASSIVE;
	session.unknown = session.too_long = 0;
	memcpy(session.cwd, "/", 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool live = size > 0 && (data[0] & 1) != 0;
	enum line_result r;
	char *text;
	size_t len;

	begin(live);
	while (size > 0) {
		size_t space, n;
		uint8_t *at = line_room(&session.in, &space);

		n = size < space ? size : space;
		memcpy(at, data, n);
		line_filled(&session.in, n);
		data += n;
		size -= n;
		while ((r = line_next(&session.in, &text, &len)) != LINE_NONE && r != LINE_FLOODED) {
			if (r == LINE_COMMAND)
				session_command(&session, text, len);
			session.ending = false;
			session.rename_from = true;
		}
		if (r == LINE_FLOODED)
			break;
	}
	return 0;
}
