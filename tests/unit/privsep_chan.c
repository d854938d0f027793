#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"
#include "privsep/chan.h"
#include "tests/hostile/forge.h"
#include "tests/unit/privsep.h"
#include "tests/unit/root.h"

static struct chan worker, agent;
static struct msg m;

static void
connect_both(void)
{
	int ends[2];

	ck_assert_int_eq(chan_pair(ends), 0);
	chan_init(&worker, ends[0], CH_FILES, ROLE_WORKER);
	chan_init(&agent, ends[1], CH_FILES, ROLE_AGENT);
}

static void
disconnect(void)
{
	chan_close(&worker);
	chan_close(&agent);
}

/* How often the bytes stand in what this process may write, besides its stack: .data, .bss and heap. */
static int
in_memory(const char *bytes, size_t n)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int found = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof line, maps) != NULL) {
		unsigned long from, to;
		char rights[8];

		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || strncmp(rights, "rw", 2) != 0 ||
		    strstr(line, "[stack]") != NULL)
			continue;
		for (const char *p = (const char *)from; (p = memmem(p, to - (unsigned long)p, bytes, n)) != NULL; p++)
			found++;
	}
	fclose(maps);
	return found;
}

START_TEST(asking_and_answering)
{
	static struct msg_facts ask = { .path = "/a" };
	static struct msg_object answer = { .size = 42, .mtime = 7 };
	uint32_t id;

	ck_assert_int_eq(chan_tell(&worker, MSG_FACTS, &ask), 0);
	ck_assert_int_eq(chan_receive(&agent, &m, ST_LIVE), 0);
	ck_assert_int_eq(m.type, MSG_FACTS);
	ck_assert_str_eq(m.facts.path, "/a");
	id = m.id;
	ck_assert_int_eq(chan_answer(&agent, &m, MSG_OBJECT, &answer, NULL, 0), 0);
	ck_assert_int_eq(chan_receive(&worker, &m, ST_AWAIT), 0);
	ck_assert_uint_eq(m.id, id);
	ck_assert_uint_eq(m.object.size, 42);
}
END_TEST

/* The answer waits in the socket before it is asked for, so that one process can play both. */
START_TEST(call_takes_the_answer_to_its_request_only)
{
	static struct msg_facts ask = { .path = "/a" };
	static struct msg_object answer = { .size = 42 };

	ck_assert_int_eq(chan_send(&agent, MSG_OBJECT, 1, &answer, NULL, 0), 0);
	ck_assert_int_eq(chan_call(&worker, MSG_FACTS, &ask, &m, MSG_OBJECT, MSG_NONE), 0);
	ck_assert_int_eq(m.type, MSG_OBJECT);
	ck_assert_int_eq(chan_send(&agent, MSG_OBJECT, 1, &answer, NULL, 0), 0);
	ck_assert_int_eq(chan_call(&worker, MSG_FACTS, &ask, &m, MSG_OBJECT, MSG_NONE), SP_EREPLY);
}
END_TEST

START_TEST(refusals_carry_a_reason)
{
	static struct msg_facts ask = { .path = "/a" };
	static char longer[4000];

	memset(longer, 'x', sizeof longer - 1);
	m.id = 1;
	ck_assert_int_eq(chan_refuse(&agent, &m, FAIL_SYSTEM, ENOENT, longer), 0);
	ck_assert_int_eq(chan_call(&worker, MSG_FACTS, &ask, &m, MSG_OBJECT, MSG_NONE), 0);
	ck_assert_int_eq(m.type, MSG_FAILED);
	ck_assert_uint_eq(m.failed.reason, FAIL_SYSTEM);
	ck_assert_uint_eq(m.failed.error, ENOENT);
	ck_assert_uint_eq(strlen(m.failed.text), 1024);
}
END_TEST

START_TEST(closed_channels_say_so)
{
	static struct msg_facts ask = { .path = "/a" };

	chan_close(&agent);
	ck_assert_int_eq(chan_tell(&worker, MSG_FACTS, &ask), SP_ECLOSED);
	ck_assert_int_eq(chan_receive(&worker, &m, ST_AWAIT), SP_ECLOSED);
	chan_close(&worker);
	ck_assert_int_eq(chan_tell(&worker, MSG_FACTS, &ask), SP_ECLOSED);
	ck_assert_int_eq(chan_receive(&worker, &m, ST_AWAIT), SP_ECLOSED);
}
END_TEST

START_TEST(a_full_channel_does_not_block_who_must_not)
{
	static struct msg_facts ask;
	int r = 0, sent = 0;

	memset(ask.path, 'x', 4096);
	ck_assert_int_eq(fcntl(worker.fd, F_SETFL, O_NONBLOCK), 0);
	while ((r = chan_tell(&worker, MSG_FACTS, &ask)) == 0 && sent++ < 100000)
		;
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_int_gt(sent, 5);
}
END_TEST

START_TEST(received_descriptors_close_on_exec)
{
	static struct msg_reading answer = { .size = 1 };
	int fd = forge_fd('r');

	ck_assert_int_eq(chan_send(&agent, MSG_READING, 1, &answer, &fd, 1), 0);
	close(fd);
	ck_assert_int_eq(chan_receive(&worker, &m, ST_AWAIT), 0);
	ck_assert_uint_eq(m.fd_count, 1);
	ck_assert_int_eq(fcntl(m.fd[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	msg_close(&m);
}
END_TEST

/* Which descriptor fits which letter: all against all. */
START_TEST(kinds_of_descriptors)
{
	static const struct { char made; const char *fits; } kinds[] = {
		{ 'r', "rf" }, { 'w', "wf" }, { 'd', "df" }, { 't', "tf" }, { 'l', "lf" }, { 'c', "cf" }, { 'm', "mwf" }, { 's', "wf" },
		{ 'x', "f" }, { 'u', "f" },
	};
	static const char letters[] = "rwdtlcmf";
	int fd = forge_fd(kinds[_i].made);

	for (const char *k = letters; *k != '\0'; k++)
		ck_assert_msg(chan_fd_is(fd, *k) == (strchr(kinds[_i].fits, *k) != NULL), "a descriptor made as %c, asked as %c",
		    kinds[_i].made, *k);
	close(fd);
	ck_assert(!chan_fd_is(fd, 'f') || fcntl(fd, F_GETFD) >= 0);
}
END_TEST

/* One seal is half a promise: memory that can still be cut kills whoever has mapped it. */
START_TEST(memory_needs_both_seals)
{
	static const int seals[] = { 0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW };

	for (size_t i = 0; i < sizeof seals / sizeof *seals; i++) {
		int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
		ck_assert_int_eq(chan_fd_is(fd, 'm'), i + 1 == sizeof seals / sizeof *seals);
		close(fd);
	}
}
END_TEST

/* A place in the tree is no open file, neither for reading nor for writing. */
START_TEST(places_are_no_files)
{
	int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert(!chan_fd_is(fd, 'r'));
	ck_assert(!chan_fd_is(fd, 'w'));
	ck_assert(chan_fd_is(fd, 'f'));
	close(fd);
}
END_TEST

/* What was a secret is not left in the buffer of the channel, whichever way it went. */
START_TEST(secrets_leave_no_copy)
{
	static struct chan monitor, peer;
	static struct msg_login login = { .user = "alice" };
	static const char marker[] = "correct horse battery staple";
	int ends[2];

	if (needs_plain_build(__func__))
		return;
	ck_assert_int_eq(chan_pair(ends), 0);
	chan_init(&peer, ends[0], CH_LOGIN, ROLE_WORKER);
	chan_init(&monitor, ends[1], CH_LOGIN, ROLE_MONITOR);
	ck_assert_int_eq(secret_set(&login.password, marker, sizeof marker - 1), 0);
	ck_assert_int_eq(chan_tell(&peer, MSG_LOGIN, &login), 0);
	secret_clear(&login.password);
	ck_assert_int_eq(in_memory(marker, sizeof marker - 1), 0);
	ck_assert_int_eq(chan_receive(&monitor, &m, ST_LOGIN), 0);
	ck_assert_str_eq(m.login.password.data, marker);
	secret_clear(&m.login.password);
	ck_assert_int_eq(in_memory(marker, sizeof marker - 1), 0);
	chan_close(&peer);
	chan_close(&monitor);
}
END_TEST

Suite *
privsep_chan_suite(void)
{
	Suite *s = suite_create("chan");
	TCase *t = tcase_create("pair"), *k = tcase_create("kinds");

	tcase_add_checked_fixture(t, connect_both, disconnect);
	tcase_add_test(t, asking_and_answering);
	tcase_add_test(t, call_takes_the_answer_to_its_request_only);
	tcase_add_test(t, refusals_carry_a_reason);
	tcase_add_test(t, closed_channels_say_so);
	tcase_add_test(t, a_full_channel_does_not_block_who_must_not);
	tcase_add_test(t, received_descriptors_close_on_exec);
	tcase_add_loop_test(k, kinds_of_descriptors, 0, 10);
	tcase_add_test(k, memory_needs_both_seals);
	tcase_add_test(k, places_are_no_files);
	tcase_add_test(k, secrets_leave_no_copy);
	suite_add_tcase(s, t);
	suite_add_tcase(s, k);
	return s;
}
