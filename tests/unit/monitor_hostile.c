/*
 * A forged worker and a forged agent: every message of the table, in every
 * state, on both channels; and packets that are no messages.  Whatever comes, the monitor
 * either serves it or ends this session by protocol-violation: it
 * never crashes, hangs or serves what the state does not allow.
 */
#include "config.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "tests/unit/monitor.h"
#include "tests/unit/run.h"

enum forged_state { IN_START, IN_SPARE, IN_LOGIN, IN_LIVE, FORGED_STATES };

static const unsigned table_state[] = { ST_START, ST_SPARE, ST_LOGIN, ST_LIVE };

static struct rig r;

static void
reach(enum forged_state state)
{
	rig_start(&r, "");
	if (state == IN_LIVE) {
		rig_live(&r, "alice", "secret");
		return;
	}
	if (state >= IN_SPARE)
		rig_ready(&r);
	if (state >= IN_LOGIN)
		rig_client(&r);
}

/* A body of zeroes, which is a well-formed one for most types. */
static union {
	char zero[MSG_SIZE_MAX * 2];
	uint64_t align;
} nothing;

static struct chan *const peers[] = { &r.login, &r.agent, &r.log };

static void
send_raw(struct chan *c, const void *packet, size_t n)
{
	(void)send(c->fd, packet, n, MSG_NOSIGNAL);
}

/*
 * For one type: all states and channels.  A row that this channel does not
 * carry to the monitor in this state must end the session.
 */
START_TEST(every_message_in_every_state)
{
	const struct msg_row *row = msg_row((unsigned)_i);

	for (int state = 0; state < FORGED_STATES; state++)
		for (size_t p = 0; p < sizeof peers / sizeof *peers; p++) {
			bool welcome;
			struct { uint32_t type, id; } header = { (uint32_t)_i, 5 };
			struct pollfd closed;
			uint8_t packet[MSG_SIZE_MAX];
			struct wr w;

			if (state == IN_LIVE && peers[p] == &r.login)
				continue;
			reach((enum forged_state)state);
			wr_init(&w, packet, sizeof packet);
			wr_raw(&w, &header, sizeof header);
			msg_encode(&w, (enum msg_type)_i, nothing.zero);
			welcome = row->channel == peers[p]->channel && row->from == peers[p]->role &&
			    (row->states & table_state[state]) != 0;
			send_raw(peers[p], packet, w.len);
			closed = (struct pollfd){ .fd = peers[p]->fd, .events = 0 };
			if (!welcome) {
				ck_assert_msg(poll(&closed, 1, PATIENCE_MS) == 1, "%s in state %d on channel %zu was not refused",
				    row->name, state, p);
				ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
				ck_assert(rig_logged(&r, "event=protocol-violation"));
			} else {
				(void)rig_end(&r);
			}
			rig_remove(&r);
		}
}
END_TEST

static const struct { const char *what; size_t n; unsigned char bytes[16]; } packets[] = {
	{ "one byte", 1, { 7 } },
	{ "half a header", 7, { MSG_LOG, 0, 0, 0, 1, 0, 0 } },
	{ "header only", 8, { MSG_LOG, 0, 0, 0, 1, 0, 0, 0 } },
	{ "unknown type", 8, { 255, 255, 255, 255, 1, 0, 0, 0 } },
	{ "type 0", 8, { 0, 0, 0, 0, 1, 0, 0, 0 } },
	{ "string longer than the packet", 13, { MSG_LOG, 0, 0, 0, 1, 0, 0, 0, 1, 255, 255, 0, 0 } },
	{ "string longer than memory", 13, { MSG_LOG, 0, 0, 0, 1, 0, 0, 0, 1, 255, 255, 255, 255 } },
	{ "control byte in a string", 14, { MSG_LOG, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, '\n' } },
	{ "something left over", 15, { MSG_LOG, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 'a', 'b' } }
};

START_TEST(packets_that_are_no_messages)
{
	for (int live = 0; live <= 1; live++) {
		reach(live ? IN_LIVE : IN_LOGIN);
		send_raw(&r.log, packets[_i].bytes, packets[_i].n);
		ck_assert_msg(rig_wait(&r) == SP_EXIT_PROTOCOL, "%s", packets[_i].what);
		rig_remove(&r);
	}
}
END_TEST

START_TEST(oversized_packet)
{
	reach(IN_LOGIN);
	send_raw(&r.login, nothing.zero, sizeof nothing.zero);
	/* The kernel may refuse to carry it; then nothing has happened. */
	(void)rig_end(&r);
	rig_remove(&r);
}
END_TEST

START_TEST(descriptors_nobody_asked_for)
{
	static const struct msg_log line = { .level = 1, .text = "event=x" };

	reach(IN_LIVE);
	ck_assert_int_eq(chan_send(&r.log, MSG_LOG, 1, &line, (int[]){ STDIN_FILENO }, 1), 0);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
	rig_remove(&r);
}
END_TEST

START_TEST(chown_without_a_file)
{
	static const struct msg_chown_file c = { .owner = "boss" };

	reach(IN_LIVE);
	ck_assert_int_eq(chan_send(&r.agent, MSG_CHOWN_FILE, 1, &c, NULL, 0), 0);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
	rig_remove(&r);
}
END_TEST

START_TEST(profile_answer_with_another_id)
{
	static const struct msg_claimed claimed;
	static const struct msg_profile_ok ok = { .start = "/" };

	reach(IN_LOGIN);
	rig_login(&r, "alice", "secret");
	rig_expect(&r, &r.listener, MSG_CLAIM);
	ck_assert_int_eq(chan_answer(&r.listener, &r.m, MSG_CLAIMED, &claimed, NULL, 0), 0);
	ck_assert_int_eq(chan_send(&r.agent, MSG_PROFILE_OK, 424242, &ok, NULL, 0), 0);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
	rig_remove(&r);
}
END_TEST

START_TEST(agent_that_is_not_what_it_claims)
{
	static struct msg_client client;

	/* The rig's check fails for any pid but 1234: here the listener names another. */
	rig_start(&r, "");
	rig_ready(&r);
	client.agent_pid = 99;
	client.peer_len = client.local_len = sizeof(struct sockaddr_in);
	((struct sockaddr_in *)(void *)client.peer)->sin_family = AF_INET;
	((struct sockaddr_in *)(void *)client.local)->sin_family = AF_INET;
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(chan_send(&r.listener, MSG_CLIENT, 1, &client, pair, 1), 0);
	rig_expect(&r, &r.login, MSG_SERVE);
	msg_close(&r.m);
	rig_login(&r, "alice", "secret");
	rig_expect(&r, &r.listener, MSG_CLAIM);
	static const struct msg_claimed claimed;
	ck_assert_int_eq(chan_answer(&r.listener, &r.m, MSG_CLAIMED, &claimed, NULL, 0), 0);
	do {
		msg_close(&r.m);
		ck_assert_int_eq(chan_receive(&r.agent, &r.m, ~0u), 0);
	} while (r.m.type == MSG_LAYER);
	static const struct msg_profile_ok ok = { .start = "/" };
	ck_assert_int_eq(chan_answer(&r.agent, &r.m, MSG_PROFILE_OK, &ok, NULL, 0), 0);
	msg_close(&r.m);
	rig_expect(&r, &r.login, MSG_LOGIN_REFUSED);
	ck_assert_uint_eq(r.m.login_refused.code, 421);
	(void)rig_wait(&r);
	close(pair[0]);
	close(pair[1]);
	rig_remove(&r);
}
END_TEST

Suite *
monitor_hostile_suite(void)
{
	Suite *s = suite_create("monitor/hostile");
	TCase *t = tcase_create("hostile");

	tcase_add_loop_test(t, every_message_in_every_state, 1, MSG_COUNT);
	tcase_add_loop_test(t, packets_that_are_no_messages, 0, (int)(sizeof packets / sizeof *packets));
	tcase_add_test(t, oversized_packet);
	tcase_add_test(t, descriptors_nobody_asked_for);
	tcase_add_test(t, chown_without_a_file);
	tcase_add_test(t, profile_answer_with_another_id);
	tcase_add_test(t, agent_that_is_not_what_it_claims);
	suite_add_tcase(s, t);
	return s;
}
