/*
 * The generic receiver against every forged packet of every row: the error
 * must be the expected one, no descriptor may be left open, and what is right must
 * arrive.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "tests/hostile/forge.h"
#include "tests/unit/run.h"

static struct packet packet;
static struct msg m;

static unsigned
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Sends the packet to a fresh receiver and returns what it says. */
static int
receive(const struct msg_row *row, const struct packet *p)
{
	struct chan c;
	int ends[2], r;

	ck_assert_int_eq(chan_pair(ends), 0);
	/* In the wrong direction: to the one who alone may send it. */
	chan_init(&c, ends[1], p->channel, p->sender == ROLE_ANY && row->from != ROLE_ANY ? row->from : forge_receiver(row));
	ck_assert_int_eq(forge_send(ends[0], p), 0);
	r = chan_receive(&c, &m, p->states);
	close(ends[0]);
	chan_close(&c);
	return r;
}

START_TEST(right_ones_arrive)
{
	const struct msg_row *row = msg_row((unsigned)_i);
	unsigned before = open_descriptors();

	for (int full = 0; full < 2; full++) {
		int r;

		forge_right(&packet, (unsigned)_i, full != 0);
		r = receive(row, &packet);
		ck_assert_msg(r == 0, "%s (%s): %s", row->name, packet.what, sp_strerror(r));
		ck_assert_int_eq(m.type, _i);
		ck_assert_uint_eq(m.id, 7);
		ck_assert_uint_eq(m.fd_count, strlen(packet.kinds));
		msg_close(&m);
	}
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(forged_ones_are_refused)
{
	const struct msg_row *row = msg_row((unsigned)_i);
	unsigned before = open_descriptors(), tried = 0;

	for (unsigned way = 0; forge(&packet, (unsigned)_i, way); way++) {
		int r;

		if (packet.what == NULL)
			continue;
		r = receive(row, &packet);
		ck_assert_msg(r == packet.error, "%s %s (way %u): \"%s\" instead of \"%s\"", row->name, packet.what, way,
		    sp_strerror(r), sp_strerror(packet.error));
		ck_assert_uint_eq(m.fd_count, 0);
		tried++;
	}
	ck_assert_uint_gt(tried, 20);
	ck_assert_msg(open_descriptors() == before, "%s: descriptors of a refused packet stay open", row->name);
}
END_TEST

START_TEST(optional_descriptors_may_be_absent)
{
	const struct msg_row *row = msg_row((unsigned)_i);
	size_t n = strlen(row->fds);
	int r;

	if (n == 0 || row->fds[n - 1] != '?')
		return;
	forge_right(&packet, (unsigned)_i, false);
	packet.kinds[strlen(packet.kinds) - 1] = '\0';
	r = receive(row, &packet);
	ck_assert_msg(r == 0, "%s: %s", row->name, sp_strerror(r));
	msg_close(&m);
}
END_TEST

/* An answer that carries another id than the request's is a replay. */
START_TEST(replayed_answers_are_refused)
{
	static struct msg_space ask = { .path = "/" };
	struct chan c;
	struct packet *p = &packet;
	int ends[2];

	ck_assert_int_eq(chan_pair(ends), 0);
	chan_init(&c, ends[1], CH_FILES, ROLE_WORKER);
	forge_right(p, MSG_OBJECT, false);
	ck_assert_int_eq(forge_send(ends[0], p), 0);
	ck_assert_int_eq(chan_call(&c, MSG_SPACE, &ask, &m, MSG_OBJECT, MSG_NONE), SP_EREPLY);
	/* And the right id with the wrong type. */
	c.last_id = 6;
	forge_right(p, MSG_DONE, false);
	ck_assert_int_eq(forge_send(ends[0], p), 0);
	ck_assert_int_eq(chan_call(&c, MSG_SPACE, &ask, &m, MSG_OBJECT, MSG_NONE), SP_EREPLY);
	close(ends[0]);
	ck_assert_int_eq(chan_call(&c, MSG_SPACE, &ask, &m, MSG_OBJECT, MSG_NONE), SP_ECLOSED);
	chan_close(&c);
}
END_TEST

/* What one's own side would send wrong is not sent at all. */
START_TEST(wrong_bodies_are_not_sent)
{
	static struct msg_log line = { .text = "two\nlines" };
	static struct msg_facts path;
	struct chan c;
	int ends[2];

	ck_assert_int_eq(chan_pair(ends), 0);
	chan_init(&c, ends[1], CH_LOG, ROLE_WORKER);
	ck_assert_int_eq(chan_tell(&c, MSG_LOG, &line), SP_EFORMAT);
	ck_assert_int_eq(chan_tell(&c, MSG_FACTS, &path), SP_EFORMAT);
	close(ends[0]);
	memcpy(line.text, "one", 4);
	ck_assert_int_eq(chan_tell(&c, MSG_LOG, &line), SP_ECLOSED);
	chan_close(&c);
}
END_TEST

static Suite *
hostile_suite(void)
{
	Suite *s = suite_create("hostile");
	TCase *t = tcase_create("chan_receive");

	tcase_add_loop_test(t, right_ones_arrive, MSG_NONE + 1, MSG_COUNT);
	tcase_add_loop_test(t, forged_ones_are_refused, MSG_NONE + 1, MSG_COUNT);
	tcase_add_loop_test(t, optional_descriptors_may_be_absent, MSG_NONE + 1, MSG_COUNT);
	tcase_add_test(t, replayed_answers_are_refused);
	tcase_add_test(t, wrong_bodies_are_not_sent);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	static Suite *(*const suites[])(void) = { hostile_suite };

	return tests_run(suites, 1);
}
