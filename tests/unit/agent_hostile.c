/*
 * A worker in the client's hands: every message of the table in every state of
 * the agent, and packets that are no messages.  The session ends with a log
 * line that names the message; nothing is done; nobody else notices.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "common/str.h"
#include "common/wire.h"
#include "tests/unit/agent.h"

static const unsigned states[] = { ST_LIVE, ST_TRANSFER, ST_LISTING, ST_RENAMING };
#define STATES (sizeof states / sizeof states[0])

/* Brings a fresh agent into a state. */
static void
reach(unsigned state)
{
	struct msg_list_open l = { .path = "", .format = LIST_LONG };

	agent_test_make();
	make_file("f", "content");
	agent_test_start();
	if (state == ST_TRANSFER)
		expect_path(MSG_STORE, "f", MSG_WRITING);
	else if (state == ST_LISTING)
		expect(MSG_LIST_OPEN, &l, MSG_DONE);
	else if (state == ST_RENAMING)
		expect_path(MSG_RENAME_FROM, "f", MSG_DONE);
}

/* What the agent is in, seen as the mask that its receiver has. */
static unsigned
mask_of(unsigned state)
{
	return state == ST_TRANSFER ? ST_TRANSFER : state | ST_LIVE;
}

static void
expect_violation(const char *message)
{
	char want[64];

	agent_test_end(SP_EXIT_PROTOCOL);
	(void)str_format(want, sizeof want, "message=%s ", message);
	ck_assert_msg(strstr(at->log[(at->log_count + 15) % 16], "event=protocol-violation") != NULL &&
	    strstr(at->log[(at->log_count + 15) % 16], want) != NULL, "%s: %s", message, at->log[(at->log_count + 15) % 16]);
}

/* The header is enough: neither place nor time is a question of the body. */
static void
say_header(unsigned type)
{
	uint8_t packet[8];
	struct wr w;

	wr_init(&w, packet, sizeof packet);
	wr_u32(&w, type);
	wr_u32(&w, 1);
	ck_assert_int_eq(send(at->files.fd, packet, sizeof packet, 0), sizeof packet);
}

/* Every type of every channel that the worker must not send, or not now. */
START_TEST(messages_out_of_place_end_the_session)
{
	unsigned type = (unsigned)_i / STATES, state = states[(unsigned)_i % STATES];
	const struct msg_row *row = msg_row(type);

	if (row == NULL || (row->channel == CH_FILES && row->from == ROLE_WORKER && (row->states & mask_of(state)) != 0))
		return;
	reach(state);
	say_header(type);
	if (row->channel == CH_ANY)
		agent_test_end(SP_EXIT_PROTOCOL);
	else
		expect_violation(row->name);
}
END_TEST

/* What a rename began with is forgotten when anything else is asked. */
START_TEST(nothing_comes_between_the_halves_of_a_rename)
{
	const struct msg_rename_to to = { .path = "g" };

	reach(ST_RENAMING);
	expect_path(MSG_FACTS, "f", MSG_OBJECT);
	ck_assert_int_eq(chan_send(&at->files, MSG_RENAME_TO, 99, &to, NULL, 0), 0);
	expect_violation(msg_name(MSG_RENAME_TO));
}
END_TEST

/* Messages of the worker, in their place, cut at every length below their own. */
START_TEST(short_messages_end_the_session)
{
	unsigned type = (unsigned)_i;
	const struct msg_row *row = msg_row(type);
	uint8_t packet[8 + 4];
	struct wr w;

	if (row == NULL || row->channel != CH_FILES || row->from != ROLE_WORKER || (row->states & ST_LIVE) == 0 || row->size <= 1)
		return;
	for (size_t len = 0; len < 4; len++) {
		reach(ST_LIVE);
		wr_init(&w, packet, sizeof packet);
		wr_u32(&w, type);
		wr_u32(&w, 1);
		wr_raw(&w, "\xff\xff\xff\xff", 4);
		ck_assert_int_eq(send(at->files.fd, packet, 8 + len, 0), 8 + len);
		if (row->size == 2 && len == 1) {	/* one byte is all it has: it is whole */
			chan_close(&at->files);
			agent_test_end(SP_EXIT_OK);
		} else {
			expect_violation(row->name);
		}
	}
}
END_TEST

/* A path that is cut, one with NUL, bytes behind the end, a descriptor that was not announced. */
static const struct {
	const char *bytes;
	size_t len;
	bool with_fd;
} bad_bodies[] = {
	{ "\x05\x00\x00\x00" "ab", 6, false },
	{ "\x03\x00\x00\x00" "a\0b", 7, false },
	{ "\x00\x00\x00\x00", 4, false },
	{ "\xff\xff\xff\x7f" "a", 5, false },
	{ "\x01\x00\x00\x00" "ax", 6, false },
	{ "\x01\x00\x00\x00" "f", 5, true },
};

START_TEST(bad_bodies_end_the_session)
{
	uint8_t packet[64];
	struct wr w;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec v = { packet, 0 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };

	reach(ST_LIVE);
	wr_init(&w, packet, sizeof packet);
	wr_u32(&w, MSG_DELETE);
	wr_u32(&w, 1);
	wr_raw(&w, bad_bodies[_i].bytes, bad_bodies[_i].len);
	v.iov_len = w.len;
	if (bad_bodies[_i].with_fd) {
		h.msg_control = &control;
		h.msg_controllen = sizeof control.space;
		*CMSG_FIRSTHDR(&h) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &at->files.fd, sizeof(int));
	}
	ck_assert_int_gt(sendmsg(at->files.fd, &h, 0), 0);
	agent_test_end(SP_EXIT_PROTOCOL);
}
END_TEST

START_TEST(packets_that_are_no_messages_end_the_session)
{
	static const char *const packets[] = { "x", "abcdefgh", "\xff\xff\xff\xff\xff\xff\xff\xff" };

	reach(ST_LIVE);
	ck_assert_int_gt(send(at->files.fd, packets[_i], strlen(packets[_i]), 0), 0);
	agent_test_end(SP_EXIT_PROTOCOL);
}
END_TEST

/* Values within their bounds that mean nothing. */
START_TEST(senseless_values_are_refused)
{
	struct msg_list_open l = { .path = "", .format = 77, .options = UINT32_MAX, .facts = UINT32_MAX };
	struct msg_retrieve r = { .path = "f", .offset = UINT64_MAX };
	struct msg_store s = { .path = "f", .offset = UINT64_MAX };
	struct msg_acl_set a = { .path = "f", .kind = 9, .acl = "u::rw" };
	struct msg_set_time t = { .path = "f", .mtime = UINT64_MAX };
	struct msg_explain e = { .command = "", .path = "f" };
	struct msg_list_next next = { "" };

	agent_test_make();
	at->settings = "explain_denials=yes\n";
	make_file("f", "content");
	agent_test_start();
	expect_failed(MSG_LIST_OPEN, &l, FAIL_ARGUMENT, 0);
	l.format = LIST_LONG;
	expect(MSG_LIST_OPEN, &l, MSG_DONE);
	expect(MSG_LIST_NEXT, &next, MSG_LINES);
	expect(MSG_LIST_NEXT, &next, MSG_FAILED);
	expect_failed(MSG_RETRIEVE, &r, FAIL_ARGUMENT, 0);
	expect_failed(MSG_STORE, &s, FAIL_ARGUMENT, 0);
	expect_failed(MSG_ACL_SET, &a, FAIL_KIND, 0);
	expect(MSG_SET_TIME, &t, MSG_OBJECT);
	expect_failed(MSG_EXPLAIN, &e, FAIL_ARGUMENT, 0);
	expect_path_failed(MSG_DELETE, "a\nb", FAIL_PATH, EINVAL);
	expect_path_failed(MSG_RENAME_FROM, "/", FAIL_KIND, 0);
	expect_path_failed(MSG_REMOVE_DIR, "/", FAIL_KIND, 0);
	expect_path_failed(MSG_MAKE_DIR, "/", FAIL_SYSTEM, EEXIST);
	expect_path_failed(MSG_STORE, "/", FAIL_KIND, 0);
	expect_file("f", "content");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Without its monitor an agent does not go on, whatever its worker wants. */
START_TEST(the_monitors_end_ends_the_agent)
{
	reach(ST_TRANSFER);
	chan_close(&at->monitor);
	agent_test_await();
	agent_test_end(SP_EXIT_ORPHAN);
}
END_TEST

/* Nobody logged in yet: another agent takes the place of this one. */
START_TEST(a_spare_gives_its_channel_back)
{
	static const struct msg_agent_retire retire;

	agent_test_make();
	agent_test_spawn();
	ck_assert_int_eq(chan_call(&at->monitor, MSG_AGENT_RETIRE, &retire, &at->reply, MSG_AGENT_RETIRED, MSG_NONE), 0);
	ck_assert_int_eq(at->reply.type, MSG_AGENT_RETIRED);
	/* What the worker sends arrives at the new owner. */
	ck_assert_int_eq(send(at->files.fd, "x", 1, 0), 1);
	{
		char c = 0;

		ck_assert_int_eq(recv(at->reply.fd[0], &c, 1, 0), 1);
		ck_assert_int_eq(c, 'x');
	}
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Nothing is served before the profile. */
START_TEST(a_spare_serves_nobody)
{
	static const struct msg_agent_end end;

	agent_test_make();
	make_file("f", "content");
	agent_test_spawn();
	{
		struct msg_delete d = { .path = "f" };

		tell(MSG_DELETE, &d);
	}
	usleep(100000);
	expect_file("f", "content");
	ck_assert_int_eq(chan_tell(&at->monitor, MSG_AGENT_END, &end), 0);
	agent_test_end(SP_EXIT_NOAUTH);
}
END_TEST

/* Whatever a monitor sends, a spare's memory has an end. */
START_TEST(layers_are_bounded)
{
	static struct msg_layer layer = { .dialect = "sftpplus", .origin = "x", .more = 1 };
	size_t sent = 0;

	agent_test_make();
	agent_test_spawn();
	memset(layer.text, 'x', layer.text_len = sizeof layer.text);
	while (sent < 8u << 20 && chan_tell(&at->monitor, MSG_LAYER, &layer) == 0)
		sent += layer.text_len;
	ck_assert_uint_gt(sent, 7u << 20);
	agent_test_end(SP_EXIT_OS);
}
END_TEST

START_TEST(a_layer_that_is_no_text_is_none)
{
	static struct msg_layer layer = { .dialect = "sftpplus", .origin = "x" };
	/* What stands behind the NUL would be lost, and a right stays that it takes away. */
	static const char text[] = "allow-full-control\n\0/secret/*, deny-full-control";

	agent_test_make();
	agent_test_spawn();
	memcpy(layer.text, text, layer.text_len = sizeof text - 1);
	ck_assert_int_eq(chan_tell(&at->monitor, MSG_LAYER, &layer), 0);
	agent_test_end(SP_EXIT_OS);
}
END_TEST

START_TEST(root_is_nobody_to_become)
{
	static struct msg_profile p;
	int fd;

	agent_test_make();
	agent_test_spawn();
	fd = open(at->dir, O_RDONLY | O_DIRECTORY);
	(void)str_copy(p.user, sizeof p.user, "root");
	p.peer_len = p.local_len = 16;
	p.peer[0] = p.local[0] = AF_INET;
	ck_assert_int_eq(chan_send(&at->monitor, MSG_PROFILE, 1, &p, &fd, 1), 0);
	close(fd);
	agent_test_end(SP_EXIT_SANDBOX);
}
END_TEST

START_TEST(an_announced_end_reaches_the_worker)
{
	struct msg_agent_end end = { .text = "Server is going down." };

	agent_test_begin(EVERYTHING);
	ck_assert_int_eq(chan_tell(&at->monitor, MSG_AGENT_END, &end), 0);
	ck_assert_int_eq(chan_receive(&at->files, &at->reply, ST_LIVE), 0);
	ck_assert_int_eq(at->reply.type, MSG_END_AFTER);
	ck_assert_str_eq(at->reply.end_after.text, "Server is going down.");
	expect_path(MSG_FACTS, ".", MSG_OBJECT);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_hostile_suite(void)
{
	Suite *s = suite_create("agent: a hostile worker");
	TCase *c = tcase_create("hostile");

	tcase_add_loop_test(c, messages_out_of_place_end_the_session, 0, MSG_COUNT * (int)STATES);
	tcase_add_test(c, nothing_comes_between_the_halves_of_a_rename);
	tcase_add_loop_test(c, short_messages_end_the_session, 0, MSG_COUNT);
	tcase_add_loop_test(c, bad_bodies_end_the_session, 0, sizeof bad_bodies / sizeof bad_bodies[0]);
	tcase_add_loop_test(c, packets_that_are_no_messages_end_the_session, 0, 3);
	tcase_add_test(c, senseless_values_are_refused);
	tcase_add_test(c, the_monitors_end_ends_the_agent);
	tcase_add_test(c, a_spare_gives_its_channel_back);
	tcase_add_test(c, a_spare_serves_nobody);
	tcase_add_test(c, layers_are_bounded);
	tcase_add_test(c, a_layer_that_is_no_text_is_none);
	tcase_add_test(c, root_is_nobody_to_become);
	tcase_add_test(c, an_announced_end_reaches_the_worker);
	suite_add_tcase(s, c);
	return s;
}
