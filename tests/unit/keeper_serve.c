#include "config.h"

#include <openssl/crypto.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fdutil.h"
#include "daemon/keeper/serve.h"
#include "privsep/chan.h"
#include "privsep/tlsfiles.h"
#include "tests/unit/keeper.h"
#include "tests/unit/tls_pair.h"

/* A keeper in a child of its own, and the listener's end. */
static struct chan listener;
static pid_t keeper_pid;

static void
start(void)
{
	int fds[2];

	ck_assert_int_eq(chan_pair(fds), 0);
	keeper_pid = fork();
	if (keeper_pid == 0) {
		close(fds[0]);
		_exit(keeper_serve(fds[1]));
	}
	close(fds[1]);
	chan_init(&listener, fds[0], CH_KEEPER, ROLE_LISTENER);
}

static void
stop(void)
{
	int status;

	chan_close(&listener);
	ck_assert_int_eq(waitpid(keeper_pid, &status, 0), keeper_pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static struct chan
attach(void)
{
	struct chan c;
	struct msg_attach body = { { 0 } };
	int fds[2];

	ck_assert_int_eq(chan_pair(fds), 0);
	ck_assert_int_eq(chan_send(&listener, MSG_ATTACH, 1, &body, &fds[1], 1), 0);
	close(fds[1]);
	chan_init(&c, fds[0], CH_SIGN, ROLE_WORKER);
	return c;
}

/* The listener's next message that is not a log line. */
static void
answer(struct msg *m)
{
	do
		ck_assert_int_eq(chan_receive(&listener, m, ST_AWAIT | ST_LIVE), 0);
	while (m->type == MSG_KEEPER_LOG);
}

static void
load(uint32_t number)
{
	struct tls_pair p = tls_pair_make("P-256", "ftp.example.org");
	char *key = tls_pair_key_pem(&p), *cert = tls_pair_cert_pem(&p), path[] = "/tmp/keeper-key-XXXXXX";
	struct msg_load_key q = { .key = number, .name = "test" };
	struct msg m;
	int file = mkstemp(path), fds[2];

	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(write(file, key, strlen(key)), (ssize_t)strlen(key));
	ck_assert_int_eq(write(file, cert, strlen(cert)), (ssize_t)strlen(cert));
	close(file);
	fds[0] = open(path, O_RDONLY | O_CLOEXEC);
	fds[1] = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	ck_assert_int_eq(chan_send(&listener, MSG_LOAD_KEY, 7, &q, fds, 2), 0);
	answer(&m);
	ck_assert_int_eq(m.type, MSG_KEY_LOADED);
	ck_assert_uint_eq(m.id, 7);
	ck_assert(fd_is_sealed(m.fd[0]));
	msg_close(&m);
	close(fds[0]);
	close(fds[1]);
	OPENSSL_free(key);
	OPENSSL_free(cert);
	tls_pair_free(&p);
}

static struct msg_sign
good_request(uint32_t key)
{
	struct msg_sign q = { .key = key, .algorithm = 0x0403, .message_len = 130 };

	memset(q.message, ' ', 64);
	memcpy(q.message + 64, "TLS 1.3, server CertificateVerify", 34);
	return q;
}

/* Asks once; the type of the answer, or the error. */
static int
ask(struct chan *c, const struct msg_sign *q)
{
	struct msg m;
	int r = chan_call(c, MSG_SIGN, q, &m, MSG_SIGNATURE, MSG_NONE);

	return r == 0 ? (int)m.type : r;
}

START_TEST(many_workers)
{
	struct chan c[20];
	struct msg_sign q = good_request(1);

	start();
	load(1);
	for (int i = 0; i < 20; i++)
		c[i] = attach();
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(ask(&c[i], &q), MSG_SIGNATURE);
	for (int i = 0; i < 20; i++)
		chan_close(&c[i]);
	stop();
}
END_TEST

START_TEST(forbidden_request_costs_the_channel_only)
{
	struct chan bad, good;
	struct msg_sign q = good_request(1);
	struct msg m;

	start();
	load(1);
	bad = attach();
	good = attach();
	q.message[70] ^= 1;
	ck_assert_int_eq(ask(&bad, &q), MSG_FAILED);
	ck_assert_int_eq(chan_receive(&bad, &m, ST_AWAIT), SP_ECLOSED);
	q.message[70] ^= 1;
	ck_assert_int_eq(ask(&good, &q), MSG_SIGNATURE);
	do
		ck_assert_int_eq(chan_receive(&listener, &m, ST_LIVE), 0);
	while (strstr(m.keeper_log.text, "keeper-refused") == NULL);
	chan_close(&bad);
	chan_close(&good);
	stop();
}
END_TEST

static const struct {
	const char *what;
	size_t len;
	uint8_t bytes[16];
} malformed[] = {
	{ "no header", 2, { 1, 0 } },
	{ "unknown type", 8, { 0xff, 0xff, 0, 0, 1, 0, 0, 0 } },
	{ "no body", 8, { MSG_SIGN, 0, 0, 0, 1, 0, 0, 0 } },
	{ "another channel's message", 8, { MSG_ATTACH, 0, 0, 0, 1, 0, 0, 0 } },
	{ "keeper's own message", 8, { MSG_DONE, 0, 0, 0, 1, 0, 0, 0 } },
};

START_TEST(malformed_message_costs_the_channel_only)
{
	struct chan bad, good;
	struct msg_sign q = good_request(1);
	struct msg m;

	start();
	load(1);
	bad = attach();
	good = attach();
	ck_assert_int_eq(send(bad.fd, malformed[_i].bytes, malformed[_i].len, 0), (ssize_t)malformed[_i].len);
	ck_assert_int_eq(chan_receive(&bad, &m, ST_AWAIT), SP_ECLOSED);
	ck_assert_int_eq(ask(&good, &q), MSG_SIGNATURE);
	chan_close(&bad);
	chan_close(&good);
	stop();
}
END_TEST

START_TEST(unknown_key_is_only_refused)
{
	struct chan c;
	struct msg_sign q = good_request(9);

	start();
	load(1);
	c = attach();
	ck_assert_int_eq(ask(&c, &q), MSG_FAILED);
	q.key = 1;
	ck_assert_int_eq(ask(&c, &q), MSG_SIGNATURE);
	chan_close(&c);
	stop();
}
END_TEST

/* Has the keeper said so in its log? */
static bool
budget_was_logged(void)
{
	struct msg m;

	return recv(listener.fd, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) > 0 &&
	    chan_receive(&listener, &m, ST_LIVE) == 0 && strstr(m.keeper_log.text, "keeper-budget") != NULL;
}

/* What so many signatures cost: the time that passed, and the keeper's processor time. Microseconds. */
static struct cost {
	int64_t passed, worked;
}
cost_of(struct chan *c, const struct msg_sign *q, int times)
{
	struct timespec t[4];
	clockid_t keeper;

	ck_assert_int_eq(clock_getcpuclockid(keeper_pid, &keeper), 0);
	clock_gettime(CLOCK_MONOTONIC, &t[0]);
	clock_gettime(keeper, &t[1]);
	for (int i = 0; i < times; i++)
		ck_assert_int_eq(ask(c, q), MSG_SIGNATURE);
	clock_gettime(CLOCK_MONOTONIC, &t[2]);
	clock_gettime(keeper, &t[3]);
	return (struct cost){ (t[2].tv_sec - t[0].tv_sec) * 1000000 + (t[2].tv_nsec - t[0].tv_nsec) / 1000,
		(t[3].tv_sec - t[1].tv_sec) * 1000000 + (t[3].tv_nsec - t[1].tv_nsec) / 1000 };
}

/*
 * A quarter of the processor is left to it.  A busy machine makes the time
 * longer and the work not, so that this cannot fail there; one that has used
 * up nothing is answered at once, which a busy machine does now and then.
 */
START_TEST(budget_slows_one_channel_down)
{
	struct chan greedy, modest;
	struct msg_sign q = good_request(1);
	struct cost cost = { INT64_MAX, 0 };

	start();
	load(1);
	greedy = attach();
	modest = attach();
	do
		(void)cost_of(&greedy, &q, 100);
	while (!budget_was_logged());
	cost = cost_of(&greedy, &q, 1000);
	ck_assert_msg(cost.passed > cost.worked * 2, "%d us for %d us of work", (int)cost.passed, (int)cost.worked);
	cost.passed = INT64_MAX;
	for (int i = 0; i < 1000 && cost.passed > 10000; i++)
		cost = cost_of(&modest, &q, 1);
	ck_assert_msg(cost.passed <= 10000, "%d us", (int)cost.passed);
	chan_close(&greedy);
	chan_close(&modest);
	stop();
}
END_TEST

START_TEST(worker_that_reads_no_answers_holds_nobody_up)
{
	struct chan deaf, good;
	struct msg_sign q = good_request(1);
	int r = 0;

	start();
	load(1);
	deaf = attach();
	good = attach();
	for (int i = 0; i < 2000 && r == 0; i++)
		r = chan_tell(&deaf, MSG_SIGN, &q);
	ck_assert_int_eq(ask(&good, &q), MSG_SIGNATURE);
	chan_close(&deaf);
	chan_close(&good);
	stop();
}
END_TEST

START_TEST(reload_keeps_old_keys_for_old_channels)
{
	struct chan old, fresh;
	struct msg_forget_keys forget = { .below = 2 };
	struct msg_sign first = good_request(1), second = good_request(2);
	int r;

	start();
	load(1);
	old = attach();
	load(2);
	ck_assert_int_eq(chan_tell(&listener, MSG_FORGET_KEYS, &forget), 0);
	fresh = attach();
	ck_assert_int_eq(ask(&fresh, &second), MSG_SIGNATURE);
	ck_assert_int_eq(ask(&old, &first), MSG_SIGNATURE);
	chan_close(&old);
	/* Once the keeper has seen the end of the old channel, its key is gone. */
	while ((r = ask(&fresh, &first)) == MSG_SIGNATURE)
		;
	ck_assert_int_eq(r, MSG_FAILED);
	chan_close(&fresh);
	stop();
}
END_TEST

Suite *
keeper_serve_suite(void)
{
	Suite *s = suite_create("keeper_serve");
	TCase *t = tcase_create("service");

	tcase_add_test(t, many_workers);
	tcase_add_test(t, forbidden_request_costs_the_channel_only);
	tcase_add_loop_test(t, malformed_message_costs_the_channel_only, 0, sizeof malformed / sizeof malformed[0]);
	tcase_add_test(t, unknown_key_is_only_refused);
	tcase_add_test(t, budget_slows_one_channel_down);
	tcase_add_test(t, worker_that_reads_no_answers_holds_nobody_up);
	tcase_add_test(t, reload_keeps_old_keys_for_old_channels);
	suite_add_tcase(s, t);
	return s;
}
