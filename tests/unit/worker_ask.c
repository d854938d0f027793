#include "config.h"

#include <errno.h>
#include <string.h>

#include "daemon/worker/ask.h"
#include "privsep/msg.h"
#include "tests/unit/worker.h"

static const struct {
	const char *verb;
	enum fail_reason reason;
	int error;
	unsigned flags, code;
} rows[] = {
	{ "RETR", FAIL_POLICY, 0, 0, 550 }, { "STOR", FAIL_POLICY, 0, 0, 553 }, { "STOU", FAIL_POLICY, 0, 0, 553 },
	{ "APPE", FAIL_POLICY, 0, 0, 553 }, { "RNTO", FAIL_POLICY, 0, 0, 553 }, { "RNFR", FAIL_POLICY, 0, 0, 550 },
	{ "STOR", FAIL_POLICY, 0, LOGIN_DENY_550, 550 }, { "RETR", FAIL_POLICY, 0, LOGIN_DENY_553, 553 },
	{ "RETR", FAIL_SYSTEM, EACCES, LOGIN_DENY_553, 550 }, { "STOR", FAIL_SYSTEM, ENOSPC, 0, 452 },
	{ "STOR", FAIL_SYSTEM, EDQUOT, 0, 552 }, { "STOR", FAIL_SYSTEM, EFBIG, 0, 552 }, { "STOR", FAIL_SYSTEM, ETXTBSY, 0, 450 },
	{ "RETR", FAIL_SYSTEM, ENOENT, 0, 550 }, { "RETR", FAIL_SYSTEM, EIO, 0, 451 }, { "MKD", FAIL_SYSTEM, EEXIST, 0, 550 },
	{ "MKD", FAIL_QUOTA, 0, 0, 552 }, { "RETR", FAIL_QUOTA, 0, 0, 550 },
	{ "LIST", FAIL_BUSY, 0, 0, 450 }, { "PASV", FAIL_BUSY, 0, 0, 425 },
	{ "EPSV", FAIL_SYSTEM, EACCES, 0, 550 }, { "EPSV", FAIL_SYSTEM, ENETDOWN, 0, 425 }, { "PORT", FAIL_PEER, 0, 0, 501 },
	{ "RETR", FAIL_PEER, 0, 0, 425 }, { "RETR", FAIL_ARGUMENT, 0, 0, 554 }, { "STOR", FAIL_ARGUMENT, 0, 0, 554 },
	{ "CHMOD", FAIL_ARGUMENT, 0, 0, 504 }, { "RETR", FAIL_KIND, 0, 0, 550 }, { "STOR", FAIL_KIND, 0, 0, 553 },
	{ "MLSD", FAIL_KIND, 0, 0, 501 }, { "STOR", FAIL_PATH, 0, 0, 553 }, { "CWD", FAIL_PATH, 0, 0, 550 },
	{ "STOR", FAIL_SYSTEM, ENOENT, 0, 553 }, { "RNTO", FAIL_SYSTEM, EXDEV, 0, 553 }, { "APPE", FAIL_SYSTEM, ENOTDIR, 0, 553 },
	{ "MKD", FAIL_SYSTEM, ENAMETOOLONG, 0, 550 }, { "RNFR", FAIL_SYSTEM, ENOENT, 0, 550 },
	{ "NLST", FAIL_KEEPER, 0, 0, 451 }, { "TOR", FAIL_POLICY, 0, 0, 550 },
};

START_TEST(codes)
{
	struct msg_failed f = { .reason = (uint8_t)rows[_i].reason, .error = (uint32_t)rows[_i].error };
	const char *text;

	ck_assert_uint_eq(ask_reply_code(rows[_i].verb, &f, rows[_i].flags, &text), rows[_i].code);
	ck_assert(text[strlen(text) - 1] == '.');
}
END_TEST

/* Whatever an agent sends, the client gets a proper refusal. */
START_TEST(any_reason)
{
	for (unsigned error = 0; error < 200; error++) {
		struct msg_failed f = { .reason = (uint8_t)_i, .error = error };
		const char *text = NULL;
		unsigned code = ask_reply_code("RETR", &f, 0, &text);

		ck_assert(code >= 400 && code < 560);
		ck_assert_ptr_nonnull(text);
	}
}
END_TEST

Suite *
worker_ask_suite(void)
{
	Suite *s = suite_create("worker/ask");
	TCase *t = tcase_create("ask");

	tcase_add_loop_test(t, codes, 0, (int)(sizeof rows / sizeof rows[0]));
	tcase_add_loop_test(t, any_reason, 0, 256);
	suite_add_tcase(s, t);
	return s;
}
