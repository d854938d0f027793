/*
 * A monitor that turns against the listener: it reports ready as it should,
 * and answers its client by a forged packet on the listener's channel.  The
 * n-th session sends the n-th way to forge the n-th row.  Executed by
 * tests/it/test_hostile.py in place of sallyport-monitor.
 */
#include "config.h"

#include <poll.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/exitcode.h"
#include "privsep/template.h"
#include "tests/hostile/forge.h"

static struct msg m;
static struct packet packet;

static int
warm_up(const struct conf *c)
{
	(void)c;
	return 0;
}

static void
wait_for(int fd, enum msg_channel channel, unsigned states)
{
	struct chan c;

	chan_init(&c, fd, channel, ROLE_MONITOR);
	if (chan_receive(&c, &m, states) != 0)
		_exit(SP_EXIT_ORPHAN);
}

static int
session(const int *fds, unsigned n)
{
	static struct msg_session_ready ready;
	struct chan listener;
	unsigned which;

	if (n != 4)
		return SP_EXIT_CRASH;
	chan_init(&listener, fds[0], CH_SESSION, ROLE_MONITOR);
	wait_for(fds[1], CH_LOGIN, ST_START);
	wait_for(fds[3], CH_AGENT, ST_START);
	if (chan_tell(&listener, MSG_SESSION_READY, &ready) != 0)
		return SP_EXIT_ORPHAN;
	wait_for(fds[0], CH_SESSION, ST_SPARE);
	which = (unsigned)m.client.session & 0xff;
	for (unsigned way = which, tries = 0; tries < 100000; way += 37, tries++) {
		unsigned type = 1 + (which + tries) % (MSG_COUNT - 1);

		if (!forge(&packet, type, way % 400) || packet.what == NULL || packet.len > 60000)
			continue;
		(void)forge_send(fds[0], &packet);
		break;
	}
	/* The listener closes the channel; or the packet happened to be one that is welcome. */
	(void)poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, 300);
	return SP_EXIT_OK;
}

int
main(int argc, char **argv)
{
	static const struct template t = { ROLE_MONITOR, warm_up, session };

	return template_main(argc, argv, &t);
}
