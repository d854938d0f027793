#include "config.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "daemon/listener/link.h"
#include "daemon/listener/state.h"
#include "privsep/chan.h"
#include "tests/unit/listener.h"

static struct server s;
static struct chan other;
static struct link *l;
static unsigned heard, ends;
static enum msg_type last;
static int verdict;

static int
hear(struct server *server, struct msg *m)
{
	ck_assert_ptr_eq(server, &s);
	heard++;
	last = m->type;
	return verdict;
}

static void
ended(struct server *server)
{
	ck_assert_ptr_eq(server, &s);
	ends++;
}

static void
begin(void)
{
	int fds[2];

	heard = ends = 0;
	verdict = 0;
	s.base = event_base_new();
	ck_assert_int_eq(chan_pair(fds), 0);
	chan_init(&other, fds[0], CH_LINK, ROLE_NEW);
	l = link_new(&s, fds[1], ROLE_OLD, hear, ended);
	ck_assert_ptr_nonnull(l);
}

static void
finish(void)
{
	link_free(l);
	chan_close(&other);
	event_base_free(s.base);
}

static void
turn(void)
{
	ck_assert_int_ge(event_base_loop(s.base, EVLOOP_NONBLOCK), 0);
}

/*
 * Two versions speak with each other: what these rows are on the wire may never change.  A row here is added with each
 * new message, and none is edited.
 */
static const struct {
	enum msg_type type;
	unsigned number;
	size_t empty;		/* bytes of the body when every field is empty */
	const char *fds;
	enum msg_role from;
} wire[] = {
	{ MSG_LINK_STARTED, 1, 4, "p", ROLE_NEW }, { MSG_LINK_REFUSED, 2, 8, "", ROLE_NEW },
	{ MSG_LINK_HELLO, 3, 12, "", ROLE_OLD }, { MSG_LINK_DOOR, 4, 9, "l", ROLE_OLD }, { MSG_LINK_HOLD, 5, 0, "f", ROLE_OLD },
	{ MSG_LINK_TOLD, 6, 0, "", ROLE_OLD }, { MSG_LINK_READY, 7, 8, "", ROLE_NEW }, { MSG_LINK_OVER, 8, 64, "", ROLE_OLD },
	{ MSG_LINK_SERVING, 9, 0, "", ROLE_NEW }, { MSG_LINK_BEGIN, 10, 24, "", ROLE_OLD },
	{ MSG_LINK_LOGIN, 11, 16, "m?", ROLE_OLD }, { MSG_LINK_ACTIVITY, 12, 37, "", ROLE_OLD },
	{ MSG_LINK_END, 13, 8, "", ROLE_OLD }, { MSG_LINK_CLAIM, 14, 40, "", ROLE_OLD },
	{ MSG_LINK_CLAIMED, 15, 9, "m?", ROLE_NEW }, { MSG_LINK_FAILED_LOGIN, 16, 8, "", ROLE_OLD },
	{ MSG_LINK_PENALTY, 17, 16, "", ROLE_OLD }, { MSG_LINK_BAN, 18, 19, "", ROLE_OLD },
	{ MSG_LINK_CLIENT, 19, 12, "t", ROLE_OLD }, { MSG_LINK_KICK, 20, 12, "", ROLE_NEW },
	{ MSG_LINK_DRAIN, 21, 13, "", ROLE_NEW }, { MSG_LINK_STOP, 22, 4, "", ROLE_NEW },
};

START_TEST(messages_stay_what_they_are)
{
	static struct msg m;
	static uint8_t packet[MSG_SIZE_MAX];
	struct wr w;

	memset(&m, 0, sizeof m);
	ck_assert_uint_eq(wire[_i].type, wire[_i].number);
	ck_assert_str_eq(msg_row(wire[_i].type)->fds, wire[_i].fds);
	ck_assert_int_eq(msg_row(wire[_i].type)->from, wire[_i].from);
	ck_assert_int_eq(msg_row(wire[_i].type)->channel, CH_LINK);
	wr_init(&w, packet, sizeof packet);
	msg_encode(&w, wire[_i].type, &m.failed);
	ck_assert_int_eq(w.error, 0);
	ck_assert_uint_eq(w.len, wire[_i].empty);
}
END_TEST

START_TEST(every_message_of_the_link_is_compared)
{
	for (unsigned t = 1; t < MSG_COUNT; t++)
		ck_assert_int_eq(msg_row(t)->channel == CH_LINK, t <= sizeof wire / sizeof *wire);
}
END_TEST

/* A later version's word is passed over; what is heard after it is heard. */
START_TEST(unknown_words_are_passed_over)
{
	static const uint8_t unknown[8] = { 0xff, 0xff };
	struct msg_link_stop stop = { .why = "" };

	ck_assert_int_eq((int)send(other.fd, unknown, sizeof unknown, 0), (int)sizeof unknown);
	link_live(l);
	ck_assert_int_eq(chan_tell(&other, MSG_LINK_STOP, &stop), 0);
	turn();
	turn();
	ck_assert_uint_eq(heard, 1);
	ck_assert_int_eq(last, MSG_LINK_STOP);
	ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Nothing that is told is lost or overtaken, and nothing waits, however slowly the other one reads. */
START_TEST(what_does_not_fit_is_kept)
{
	static struct msg m;
	static struct msg_link_end end;
	uint64_t next = 0;

	for (end.session = 0; end.session < 5000; end.session++)
		link_tell(l, MSG_LINK_END, &end, -1);
	while (next < 5001) {
		ck_assert_int_eq(chan_receive(&other, &m, ST_LIVE), 0);
		ck_assert_uint_eq(m.link_end.session, next++);
		msg_close(&m);
		/* There is room now, but others wait for it. */
		if (next == 100)
			link_tell(l, MSG_LINK_END, &end, -1);
		if (next > 100)
			turn();
	}
}
END_TEST

/* It has ended without having read what it was told: its own last word is heard all the same. */
START_TEST(last_words_are_heard)
{
	static const struct msg_link_told told;
	struct msg_link_refused m = { .exit = 78 };

	link_tell(l, MSG_LINK_TOLD, &told, -1);
	ck_assert_int_eq(chan_tell(&other, MSG_LINK_REFUSED, &m), 0);
	chan_close(&other);
	for (int i = 0; i < 4; i++)
		turn();
	ck_assert_uint_eq(heard, 1);
	ck_assert_int_eq(last, MSG_LINK_REFUSED);
	ck_assert_uint_eq(ends, 1);
}
END_TEST

START_TEST(who_is_not_to_be_believed_is_heard_no_more)
{
	static const struct msg_link_serving serving;

	verdict = SP_ESTATE;
	ck_assert_int_eq(chan_tell(&other, MSG_LINK_SERVING, &serving), 0);
	ck_assert_int_eq(chan_tell(&other, MSG_LINK_SERVING, &serving), 0);
	turn();
	turn();
	ck_assert_uint_eq(heard, 1);
	ck_assert_uint_eq(ends, 1);
	/* And told nothing. */
	link_tell(l, MSG_LINK_TOLD, &serving, -1);
}
END_TEST

Suite *
listener_link_suite(void)
{
	Suite *suite = suite_create("link");
	TCase *t = tcase_create("link");

	tcase_add_checked_fixture(t, begin, finish);
	tcase_add_loop_test(t, messages_stay_what_they_are, 0, (int)(sizeof wire / sizeof *wire));
	tcase_add_test(t, every_message_of_the_link_is_compared);
	tcase_add_test(t, unknown_words_are_passed_over);
	tcase_add_test(t, what_does_not_fit_is_kept);
	tcase_add_test(t, last_words_are_heard);
	tcase_add_test(t, who_is_not_to_be_believed_is_heard_no_more);
	suite_add_tcase(suite, t);
	return suite;
}
