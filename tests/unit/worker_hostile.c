/* Forged agents and monitors: every violation ends this session, with 421 and its own exit code, and nothing else. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "tests/unit/worker.h"
#include "tests/unit/worker_fake.h"

/* Requests to forge an answer to, and what brings them about. */
static const struct {
	enum msg_type at;
	const char *line;
	bool login;
	enum msg_type honest;		/* the answer that would be right */
} rows[] = {
	{ MSG_PREPARE, "USER user", false, MSG_PREPARED },
	{ MSG_LOGIN, "USER open", false, MSG_LOGIN_OK },
	{ MSG_CHANGE_DIR, "CWD x", true, MSG_WHERE },
	{ MSG_FACTS, "SIZE x", true, MSG_OBJECT },
	{ MSG_MLST, "MLST x", true, MSG_TEXT },
	{ MSG_DELETE, "DELE x", true, MSG_DONE },
	{ MSG_LISTEN, "EPSV", true, MSG_LISTENING },
	{ MSG_DIGEST, "XMD5 x", true, MSG_READING },
};

#define ROWS ((int)(sizeof rows / sizeof rows[0]))

static void
one(int row, enum forgery forgery, enum msg_type forged)
{
	struct fake_options o = { .forgery = forgery, .forged = forged, .at = rows[row].at };
	struct fake f;
	int code, end;

	if (rows[row].login)
		fake_login(&f, &o);
	else
		fake_start(&f, &o);
	if (rows[row].at == MSG_LOGIN && forgery != FORGE_NOTHING)
		ck_assert(rows[row].line != NULL);
	code = fake_ask(&f, rows[row].line);
	ck_assert_msg(code == 421, "forgery %d of row %d with %s: %d", forgery, row, msg_name(forged), code);
	ck_assert_int_eq(fake_reply(&f), 0);
	end = fake_stop(&f);
	ck_assert_msg(end == (forgery == FORGE_CLOSE ? SP_EXIT_ORPHAN : SP_EXIT_PROTOCOL), "forgery %d of row %d: exit %d", forgery, row, end);
}

/* Every message of the table in place of the answer, except those that may come. */
START_TEST(wrong_type)
{
	for (unsigned type = 1; type < MSG_COUNT; type++) {
		if (type == rows[_i].honest || type == MSG_FAILED || type == MSG_END_AFTER || type == MSG_END_SESSION)
			continue;
		if (rows[_i].at == MSG_LOGIN && type == MSG_LOGIN_REFUSED)
			continue;
		one(_i, FORGE_TYPE, type);
	}
}
END_TEST

START_TEST(broken_message)
{
	for (enum forgery g = FORGE_UNKNOWN; g <= FORGE_LONG; g++)
		if (g != FORGE_ID || rows[_i].honest == MSG_DONE)
			one(_i, g, MSG_NONE);
	one(_i, FORGE_CLOSE, MSG_NONE);
}
END_TEST

START_TEST(wrong_fds)
{
	for (int i = 0; i < ROWS; i++) {
		if (rows[i].at != MSG_LISTEN && rows[i].at != MSG_DIGEST)
			continue;
		one(i, FORGE_NO_FD, MSG_NONE);
		one(i, FORGE_TWO_FDS, MSG_NONE);
		one(i, FORGE_FOLDER_FD, MSG_NONE);
		if (rows[i].at == MSG_LISTEN)
			one(i, FORGE_BLOCKING, MSG_NONE);
	}
}
END_TEST

Suite *
worker_hostile_suite(void)
{
	Suite *s = suite_create("worker/hostile");
	TCase *t = tcase_create("hostile");

	tcase_add_loop_test(t, wrong_type, 0, ROWS);
	tcase_add_loop_test(t, broken_message, 0, ROWS);
	tcase_add_test(t, wrong_fds);
	suite_add_tcase(s, t);
	return s;
}
