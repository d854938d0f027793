/* Conversations: what a client sends and which replies it gets. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "daemon/worker/session.h"
#include "tests/unit/worker.h"
#include "tests/unit/worker_fake.h"

/* Lines and the code of the reply to each, and a text that must be in it; logged in first when login is set. */
static const struct talk {
	bool login;
	struct {
		const char *line;
		int code;
		const char *text;
	} step[10];
} talks[] = {
	/* Login, RFC 959 */
	{ false, { { "PASS x", 503, NULL }, { "USER user", 331, NULL }, { "PASS wrong", 530, NULL }, { "PASS secret", 503, NULL },
	    { "USER user", 331, NULL }, { "PASS secret", 230, NULL }, { "PWD", 257, "257 \"/\"" } } },
	{ false, { { "USER nobody", 331, NULL }, { "PASS x", 530, "Login incorrect." }, { "RETR x", 530, NULL } } },
	{ false, { { "USER tls", 530, "AUTH TLS" }, { "PASS secret", 503, NULL } } },
	{ false, { { "USER open", 232, NULL }, { "PWD", 257, NULL }, { "USER open", 331, NULL }, { "PASS any", 230, NULL },
	    { "USER other", 530, "REIN" } } },
	{ false, { { "USER user", 331, NULL }, { "REIN", 220, NULL }, { "PASS secret", 503, NULL }, { "ACCT x", 202, NULL } } },
	{ false, { { "HOST ftp.example.org", 220, NULL }, { "HOST a b", 501, NULL }, { "USER user", 331, NULL }, { "HOST x", 503, NULL } } },
	{ false, { { "P@SW x", 503, NULL }, { "USER user", 331, NULL }, { "p@sw secret", 230, NULL } } },
	{ false, { { "FEAT", 211, "\n UTF8\n" }, { "OPTS UTF8 ON", 200, NULL }, { "opts utf8", 200, NULL }, { "SYST", 215, "UNIX Type: L8" },
	    { "CLNT x", 200, NULL }, { "TYPE A", 200, NULL }, { "STAT", 211, NULL }, { "STAT x", 530, NULL } } },
	/* Types in every spelling */
	{ true, { { "TYPE a", 200, NULL }, { "TYPE A N", 200, NULL }, { "TYPE AN", 200, NULL }, { "TYPE I N", 200, NULL },
	    { "TYPE L 8", 200, NULL }, { "TYPE l8", 200, NULL }, { "TYPE I ", 200, NULL }, { "TYPE E", 504, NULL }, { "TYPE Q", 501, NULL } } },
	{ true, { { "STRU F", 200, NULL }, { "STRU R", 504, NULL }, { "STRU X", 501, NULL }, { "MODE s", 200, NULL }, { "MODE B", 504, NULL },
	    { "ALLO 100", 200, NULL }, { "ALLO 100 R 10", 200, NULL }, { "ALLO x", 501, NULL } } },
	/* Folders and files */
	{ true, { { "CWD /a\"b", 250, NULL }, { "PWD", 257, "257 \"/a\"\"b\"" }, { "MKD new", 257, "257 \"new\"" }, { "CWD missing", 550, NULL },
	    { "CWD denied", 550, "rule 7" }, { "CDUP", 250, NULL }, { "XCUP", 250, NULL }, { "RMD x", 250, NULL }, { "DELE x", 250, NULL } } },
	{ true, { { "RNTO x", 503, NULL }, { "RNFR missing", 550, NULL }, { "RNTO x", 503, NULL }, { "RNFR x", 350, NULL }, { "RNTO y", 250, NULL },
	    { "RNTO y", 503, NULL } } },
	{ true, { { "RNFR x", 350, NULL }, { "NOOP", 200, NULL }, { "RNTO y", 250, NULL }, { "RNFR x", 350, NULL }, { "SIZE x", 213, NULL },
	    { "RNTO y", 503, NULL } } },
	{ true, { { "SIZE x", 213, "213 8" }, { "SIZE folder", 550, NULL }, { "MDTM x", 213, "213 19700102000000" }, { "MDTM missing", 550, NULL } } },
	{ true, { { "MDTM 20260101000000 x", 213, "Modify=20260101000000; x" }, { "MDTM 20260101000000+60 x", 213, "Modify=20251231230000; x" },
	    { "MDTM 20260101000000 missing", 213, "19700102" }, { "MDTM 20260101000000", 213, "19700102" }, { "MFMT 20260101000000 x", 213, "Modify=" },
	    { "MFMT 2026 x", 501, NULL }, { "MFMT 20260101000000", 501, NULL }, { "MFMT 20260101000000 missing", 550, NULL } } },
	{ true, { { "MFF Modify=20260101000000;UNIX.mode=644; a b", 213, "Modify=20260101000000;UNIX.mode=0644; a b" }, { "MFF Create=1; x", 504, NULL },
	    { "MFF UNIX.mode=999; x", 501, NULL }, { "MFF x", 501, NULL }, { "MFF UNIX.group=users; x", 213, NULL }, { "AVBL", 213, "213 8" } } },
	{ true, { { "MLST x", 250, "\n type=file" }, { "MLST missing", 550, NULL }, { "OPTS MLST size;type;", 200, "MLST OPTS type;size;" },
	    { "FEAT", 211, "MLST type*;size*;modify;" }, { "OPTS MLST", 200, NULL }, { "OPTS X", 501, NULL }, { "STAT x", 213, "name" } } },
	/* Data connections */
	{ true, { { "PORT 127,0,0,1,200,1", 200, NULL }, { "PORT 10,0,0,1,200,1", 501, NULL }, { "PORT 127,0,0,1,0,21", 501, NULL },
	    { "PORT 127,0,0,1,200", 501, NULL }, { "PORT 127,0,0,256,200,1", 501, NULL }, { "PORT 127,0,0,1,200,1,1", 501, NULL },
	    { "EPRT |1|127.0.0.1|51201|", 200, NULL }, { "EPRT |3|127.0.0.1|51201|", 522, NULL }, { "EPRT |1|::1|51201|", 501, NULL },
	    { "EPRT |1|127.0.0.1|99999|", 501, NULL } } },
	{ true, { { "EPRT |2|::1|51201|", 522, "(1)" }, { "EPRT 1|127.0.0.1|51201|", 501, NULL }, { "EPSV 2", 522, "(1)" }, { "EPSV 1", 229, NULL },
	    { "PASV", 227, "(127,0,0,1," }, { "EPSV x", 501, NULL }, { "EPSV ALL", 200, NULL }, { "PASV", 503, NULL },
	    { "EPSV", 229, NULL }, { "PORT 127,0,0,1,200,1", 503, NULL } } },
	{ true, { { "REST 5", 350, "5" }, { "REST 0", 350, NULL }, { "REST -1", 501, NULL }, { "REST 99999999999999999999", 501, NULL },
	    { "REST 9223372036854775807", 350, NULL }, { "RANG 1 5", 350, NULL }, { "RANG 5 1", 501, NULL }, { "RANG 1 0", 350, NULL },
	    { "RANG 5", 501, NULL }, { "ABOR", 226, NULL } } },
	/* Checksums of "one\ntwo\n" */
	{ true, { { "XCRC x", 250, "250 12BA0BE6" }, { "HASH x", 213, "213 SHA-256 0-7 " }, { "OPTS HASH md5", 200, "MD5" }, { "RANG 0 3", 350, NULL },
	    { "HASH x", 213, "213 MD5 0-3 5bbf5a52328e7439ae6e719dfe712200 x" }, { "XMD5 \"x\" 0 4", 250, "5bbf5a52328e7439ae6e719dfe712200" },
	    { "XMD5 x", 250, NULL }, { "XSHA1 missing", 550, NULL }, { "OPTS HASH x", 504, NULL }, { "XMD5 \"x\" 9 20", 501, NULL } } },
	/* SITE */
	{ true, { { "SITE CHMOD 644 a b", 200, NULL }, { "SITE CHMOD u+x a", 501, NULL }, { "SITE CHMOD 644", 501, NULL }, { "SITE UMASK", 200, NULL },
	    { "SITE UMASK 022", 200, NULL }, { "SITE UMASK 999", 501, NULL }, { "SITE IDLE 30", 200, "30" }, { "SITE IDLE 99999", 501, NULL }, { "SITE X", 500, NULL } } },
	{ true, { { "SITE UTIME 20260101000000 a b", 200, NULL }, { "SITE UTIME 202601010000 a", 200, NULL },
	    { "SITE UTIME a b 20260101000000 20260101000000 20260101000000 UTC", 200, NULL }, { "SITE UTIME a", 501, NULL },
	    { "SITE UTIME a 20260101000000 20260101000000 UTC", 501, NULL }, { "SITE UTIME 20260101000000 missing", 550, NULL } } },
	{ true, { { "SITE SYMLINK a b", 200, NULL }, { "SITE SYMLINK \"a b\" \"c d\"", 200, NULL }, { "SITE SYMLINK a", 501, NULL },
	    { "SITE READLINK a", 200, NULL }, { "SITE CHOWN a:b c", 200, NULL }, { "SITE CHGRP a c", 200, NULL }, { "SITE CHGRP a", 501, NULL } } },
	{ true, { { "SITE GETFACL -e default a", 200, NULL }, { "SITE GETFACL default", 200, NULL }, { "SITE SETFACL u::rw,g::r,o::- a", 200, NULL },
	    { "SITE SETFACL u::rw", 501, NULL }, { "SITE DELDEFACL a", 200, NULL }, { "SITE WHY RETR /a", 200, NULL }, { "SITE WHY RETR", 501, NULL } } },
	{ true, { { "SITE PASSWD neu", 200, NULL }, { "SITE PSWD wrong neu", 550, NULL }, { "SITE PSWD neu alt", 200, NULL }, { "SITE PASSWD bob neu", 200, NULL },
	    { "SITE USERADD bob pw /home", 200, NULL }, { "SITE USERADD bob", 501, NULL }, { "SITE PASSWD a b c", 501, NULL } } },
	{ true, { { "HELP", 214, "RETR" }, { "HELP RETR", 214, "<SP> path" }, { "HELP X", 501, NULL }, { "LANG", 200, NULL }, { "LANG en-US", 200, NULL },
	    { "LANG fr", 504, NULL }, { "SMNT x", 502, NULL }, { "XYZ", 500, NULL }, { "NOOP ignored", 200, NULL }, { "PWD ", 257, NULL } } },
	/* Disguises of ABOR, Telnet */
	{ true, { { "\377\364\377\362ABOR", 226, NULL }, { "\362ABOR", 226, NULL }, { "\364\362ABOR", 226, NULL }, { "  aBoR", 226, NULL } } },
	/* What people read has no control bytes; a name that a program takes from a reply has all of its own. */
	{ true, { { "OPTS HASH a\033[2J", 504, "a?[2J" }, { "MFMT 20260101000000 a\033[2J", 213, "; a\033[2J" } } },
};

START_TEST(conversation)
{
	const struct talk *t = &talks[_i];
	struct fake f;

	if (t->login)
		fake_login(&f, NULL);
	else
		fake_start(&f, NULL);
	for (size_t i = 0; i < 10 && t->step[i].line != NULL; i++) {
		int code = fake_ask(&f, t->step[i].line);

		ck_assert_msg(code == t->step[i].code, "%s: %d, not %d: %s", t->step[i].line, code, t->step[i].code, f.text);
		if (t->step[i].text != NULL)
			ck_assert_msg(strstr(f.text, t->step[i].text) != NULL, "%s: no \"%s\" in %s", t->step[i].line, t->step[i].text, f.text);
	}
	ck_assert(fake_silent(&f, 5));
	ck_assert_int_ge(fake_stop(&f), 0);
}
END_TEST

START_TEST(endings)
{
	struct fake f;

	fake_start(&f, NULL);
	ck_assert_int_eq(fake_ask(&f, "QUIT"), 221);
	ck_assert_int_eq(fake_reply(&f), 0);
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_NOAUTH);
	fake_login(&f, NULL);
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_OK);
	fake_start(&f, NULL);
	ck_assert_int_eq(fake_ask(&f, "USER last"), 331);
	ck_assert_int_eq(fake_ask(&f, "PASS x"), 530);
	ck_assert_int_eq(fake_reply(&f), 0);
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_AUTHFAIL);
}
END_TEST

/* Where nothing depends on it, the monitor is not asked at USER: its answer would be forged here. */
START_TEST(user_alone)
{
	struct fake_options o = { .no_tls = true, .forgery = FORGE_UNKNOWN, .at = MSG_PREPARE };
	struct fake f;

	fake_start(&f, &o);
	ck_assert_int_eq(fake_ask(&f, "USER tls"), 331);
	ck_assert_int_eq(fake_ask(&f, "PASS secret"), 230);
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_OK);
}
END_TEST

/*
 * The connection goes to another session; what was said behind REIN is not served here, nor read where that could
 * be.
 */
START_TEST(rein)
{
	static const char *const lines[] = { "REIN\r\n", "REIN\r\nMKD x\r\n", "NOOP\r\nrein \r\nMKD x\r\n", "RE\377\361IN\r\nMKD x\r\n" };
	static const int codes[][3] = { { 220, 0, 0 }, { 220, 0, 0 }, { 200, 220, 0 }, { 421, 0, 0 } };
	struct fake f;

	fake_login(&f, NULL);
	fake_send(&f, lines[_i], strlen(lines[_i]));
	for (int i = 0; i < 3; i++) {
		int code = fake_reply(&f);

		/* An end with bytes unread is a reset. */
		ck_assert_msg(code == codes[_i][i] || (codes[_i][i] == 0 && code < 0), "%d: %d", i, code);
	}
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_OK);
}
END_TEST

START_TEST(foreign)
{
	static const char *const lines[] = { "GET / HTTP/1.1", "post /x", "EHLO x", "SSH-2.0-OpenSSH_9", "OPTIONS * HTTP/1.0" };
	struct fake f;

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		fake_start(&f, NULL);
		ck_assert_int_eq(fake_ask(&f, lines[i]), 421);
		ck_assert_ptr_null(strstr(f.text, "HTTP"));
		ck_assert_int_eq(fake_reply(&f), 0);
		ck_assert_int_eq(fake_stop(&f), SP_EXIT_NOAUTH);
	}
	fake_start(&f, NULL);
	for (int i = 1; i < SESSION_UNKNOWN_MAX; i++)
		ck_assert_int_eq(fake_ask(&f, "XYZZY"), 500);
	ck_assert_int_eq(fake_ask(&f, "XYZZY"), 421);
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_NOAUTH);
}
END_TEST

START_TEST(bad_lines)
{
	static char line[20000];
	struct fake f;

	fake_login(&f, NULL);
	fake_send(&f, "NO\0OP\r\n", 7);
	ck_assert_int_eq(fake_reply(&f), 501);
	fake_send(&f, "NO\rOP\r\n", 7);
	ck_assert_int_eq(fake_reply(&f), 501);
	memset(line, 'A', sizeof line);
	memcpy(line + 5000, "\rDELE x", 7);
	memcpy(line + sizeof line - 2, "\r\n", 2);
	for (int i = 1; i < SESSION_LONG_MAX; i++) {
		fake_send(&f, line, sizeof line);
		ck_assert_int_eq(fake_reply(&f), 500);
		ck_assert_int_eq(fake_ask(&f, "NOOP"), 200);
	}
	fake_send(&f, line, sizeof line);
	ck_assert_int_eq(fake_reply(&f), 421);
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_OK);
}
END_TEST

/* Many commands in one packet, and one command in many. */
START_TEST(pipelining)
{
	static const char many[] = "USER user\r\nPASS secret\r\nPWD\r\nXYZ\r\nNOOP\r\nQUIT\r\n";
	struct fake f;

	fake_start(&f, NULL);
	fake_send(&f, many, sizeof many - 1);
	ck_assert_int_eq(fake_reply(&f), 331);
	ck_assert_int_eq(fake_reply(&f), 230);
	ck_assert_int_eq(fake_reply(&f), 257);
	ck_assert_int_eq(fake_reply(&f), 500);
	ck_assert_int_eq(fake_reply(&f), 200);
	ck_assert_int_eq(fake_reply(&f), 221);
	ck_assert_int_eq(fake_stop(&f), 0);
	fake_start(&f, NULL);
	for (const char *p = "NOOP\r\n"; *p != '\0'; p++) {
		usleep(1000);
		fake_send(&f, p, 1);
	}
	ck_assert_int_eq(fake_reply(&f), 200);
	fake_stop(&f);
}
END_TEST

START_TEST(idle)
{
	struct fake_options o = { .idle_s = 1 };
	struct fake f;

	fake_login(&f, &o);
	ck_assert_int_eq(fake_reply(&f), 421);
	ck_assert_int_eq(fake_reply(&f), 0);
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_OK);
}
END_TEST

/* The server wants the session to end: at once when it is idle, after the transfer otherwise. */
START_TEST(end_after)
{
	struct fake_options at_rest = { .end_after = MSG_LOGIN }, busy = { .end_after = MSG_RETRIEVE };
	struct fake f;
	int data;

	fake_login(&f, &at_rest);
	ck_assert_int_eq(fake_reply(&f), 421);
	ck_assert_ptr_nonnull(strstr(f.text, "Maintenance."));
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_OK);
	fake_login(&f, &busy);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR big"), 150);
	ck_assert(fake_silent(&f, 100));
	ck_assert_int_eq(fake_drain(data, NULL, 0), FAKE_BIG);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(fake_reply(&f), 421);
	ck_assert_int_eq(fake_stop(&f), SP_EXIT_OK);
}
END_TEST

Suite *
worker_session_suite(void)
{
	Suite *s = suite_create("worker/session");
	TCase *t = tcase_create("session");

	tcase_add_loop_test(t, conversation, 0, (int)(sizeof talks / sizeof talks[0]));
	tcase_add_test(t, endings);
	tcase_add_test(t, user_alone);
	tcase_add_loop_test(t, rein, 0, 4);
	tcase_add_test(t, foreign);
	tcase_add_test(t, bad_lines);
	tcase_add_test(t, pipelining);
	tcase_add_test(t, idle);
	tcase_add_test(t, end_after);
	suite_add_tcase(s, t);
	return s;
}
