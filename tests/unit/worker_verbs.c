/* The table itself, and every command in every state. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/worker/feat.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/session.h"
#include "daemon/worker/verbs.h"
#include "tests/unit/worker.h"
#include "tests/unit/worker_fake.h"

/* Each row can be found by its name in any case, and says everything it must. */
START_TEST(row)
{
	const struct verb *v = &verb_table[_i];
	char lower[VERB_NAME_MAX + 1] = "";

	for (size_t i = 0; v->name[i] != '\0'; i++) {
		ck_assert_uint_lt(i, VERB_NAME_MAX);
		lower[i] = (char)(v->name[i] | 0x20);
	}
	ck_assert_ptr_eq(verb_find(v->name, strlen(v->name)), v);
	ck_assert_ptr_eq(verb_find(lower, strlen(lower)), v);
	ck_assert_uint_ne(v->states & BOTH, 0);
	ck_assert(v->doc[strlen(v->doc) - 1] == '.');
	if (v->argument == ARG_REQUIRED || v->argument == ARG_PATH || v->argument == ARG_NUMBER)
		ck_assert_ptr_nonnull(strstr(v->syntax, "<SP>"));
	for (size_t i = 0; i < VERB_MESSAGES && v->uses[i] != MSG_NONE; i++) {
		const struct msg_row *m = msg_row(v->uses[i]);

		ck_assert(m->channel == CH_FILES || m->channel == CH_LOGIN);
		ck_assert_int_eq(m->from, ROLE_WORKER);
	}
}
END_TEST

START_TEST(site_row)
{
	const struct verb *v = &site_table[_i];

	ck_assert_ptr_eq(site_find(v->name, strlen(v->name)), v);
	ck_assert(v->doc[strlen(v->doc) - 1] == '.');
}
END_TEST

START_TEST(aliases)
{
	const struct verb *v;
	const char *text;

	for (size_t i = 0; (text = verb_alias(i, &v)) != NULL; i++)
		ck_assert_ptr_eq(verb_find(text, strlen(text)), v);
	ck_assert_ptr_eq(verb_find("XCWD", 4), &verb_table[VERB_CWD]);
	ck_assert_ptr_null(verb_find("XXXX", 4));
	ck_assert_ptr_null(verb_find("", 0));
}
END_TEST

/* The gate is computed from the messages. Nothing is possible that no rule grants; what asks for no right is. */
START_TEST(gates)
{
	uint32_t umask = 1u << 20, password = 1u << 23, administer = 1u << 24;

	uint32_t read = 1u << 0, stat = 1u << 1, mtime = 1u << 16, rename = 1u << 13, chmod = 1u << 15;

	ck_assert(verb_possible(&verb_table[VERB_NOOP], 0) && verb_possible(&verb_table[VERB_PASV], 0));
	ck_assert(verb_possible(&verb_table[VERB_RETR], read) && !verb_possible(&verb_table[VERB_RETR], ~read));
	ck_assert(verb_possible(&site_table[SITE_CHMOD], chmod) && !verb_possible(&site_table[SITE_CHMOD], ~chmod));
	ck_assert(verb_possible(&verb_table[VERB_MDTM], stat) && verb_possible(&verb_table[VERB_MDTM], mtime));
	ck_assert(!verb_possible(&verb_table[VERB_MDTM], ~(stat | mtime)));
	ck_assert(verb_possible(&verb_table[VERB_RNTO], rename));
	ck_assert(verb_possible(&site_table[SITE_UMASK], umask) && !verb_possible(&site_table[SITE_UMASK], ~umask));
	ck_assert(verb_possible(&site_table[SITE_PSWD], password) && !verb_possible(&site_table[SITE_PSWD], ~password));
	ck_assert(verb_possible(&site_table[SITE_PASSWD], password) && verb_possible(&site_table[SITE_PASSWD], administer));
	ck_assert(!verb_possible(&site_table[SITE_PASSWD], umask) && !verb_possible(&site_table[SITE_USERADD], password));
}
END_TEST

START_TEST(facts)
{
	char text[256] = "";
	struct piece p = { sizeof text, 0, text };

	static const char *const broken[] = { ";", ";;;", "size", "type;size", "ty pe;", "type=;", "type;;", " type;", "*;", "\xff;" };
	uint32_t mask = FACT_PERM;

	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
		ck_assert_msg(!feat_parse_facts(broken[i], &mask) && mask == FACT_PERM, "%s", broken[i]);
	ck_assert(feat_parse_facts("Size;TYPE;nonsense;UNIX.mode;", &mask));
	ck_assert_uint_eq(mask, FACT_SIZE | FACT_TYPE | FACT_MODE);
	ck_assert(feat_parse_facts("", &mask) && mask == 0);
	feat_facts(&p, FACT_TYPE | FACT_SIZE, false);
	ck_assert_str_eq(text, "type;size;");
}
END_TEST

/* ----------------------------------------------------------------- every verb in every state */

/* Arguments that each command understands; NULL: any will do. */
static const char *
good_argument(const struct verb *v)
{
	static const struct {
		enum verb_id id;
		const char *text;
	} rows[] = {
		{ VERB_PORT, "127,0,0,1,200,200" }, { VERB_EPRT, "|1|127.0.0.1|51400|" }, { VERB_TYPE, "I" }, { VERB_STRU, "F" },
		{ VERB_MODE, "S" }, { VERB_MFMT, "20260101000000 name" }, { VERB_MFF, "Modify=20260101000000; name" },
		{ VERB_OPTS, "UTF8 ON" }, { VERB_SITE, "HELP" }, { VERB_RANG, "1 2" }, { VERB_USER, "user" }, { VERB_HOST, "ftp.example.org" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (v == &verb_table[rows[i].id])
			return rows[i].text;
	return v->argument == ARG_NUMBER ? "5" : v->argument == ARG_NONE || v->argument == ARG_OPTIONAL ? "" : "name";
}

enum walk_state { WALK_START, WALK_USER, WALK_LIVE, WALK_DATA, WALK_RENAMING, WALK_STATES };

static void
enter(struct fake *f, enum walk_state state)
{
	if (state < WALK_LIVE)
		fake_start(f, NULL);
	else
		fake_login(f, NULL);
	if (state == WALK_USER)
		ck_assert_int_eq(fake_ask(f, "USER user"), 331);
	if (state == WALK_DATA)
		ck_assert_int_eq(fake_ask(f, "EPSV"), 229);
	if (state == WALK_RENAMING)
		ck_assert_int_eq(fake_ask(f, "RNFR name"), 350);
}

/* What the table alone says about the reply. 0: the handler decides. */
static int
expected(const struct verb *v, enum walk_state state, bool fits)
{
	bool live = state >= WALK_LIVE;

	if (!live && (v->states & BEFORE) == 0)
		return 530;
	if (live && (v->states & AFTER) == 0)
		return 503;
	if (!fits)
		return 501;
	if (v->handler == verb_unavailable)
		return 502;
	return (v->states & DATA) != 0 && state != WALK_DATA ? 425 : 0;
}

/* An argument that the table refuses, NULL: there is none. */
static const char *
bad_argument(const struct verb *v)
{
	switch (v->argument) {
	case ARG_NONE: return "x";
	case ARG_REQUIRED: case ARG_PATH: return "";
	case ARG_NUMBER: return "99999999999999999999";
	default: return NULL;
	}
}

/* Sends the command; the transfer it may start is broken off by closing the session. */
static int
try(struct fake *f, const struct verb *v, const char *argument)
{
	char line[256];

	snprintf(line, sizeof line, "%s%s%s", v->name, *argument == '\0' ? "" : " ", argument);
	return fake_ask(f, line);
}

START_TEST(walk)
{
	const struct verb *v = &verb_table[_i];

	for (enum walk_state state = 0; state < WALK_STATES; state++) {
		struct fake f;
		int code, want = expected(v, state, true);

		enter(&f, state);
		code = try(&f, v, good_argument(v));
		if (want != 0)
			ck_assert_msg(code == want, "%s in state %d: %d, not %d", v->name, state, code, want);
		else
			ck_assert_msg(code >= 150 && code < 600, "%s in state %d: %d", v->name, state, code);
		if (want == 0)
			ck_assert_msg(code != 500 && code != 502, "%s in state %d: %d", v->name, state, code);
		if (code != 150 && code != 221 && code != 421 && !(v == &verb_table[VERB_REIN] && state >= WALK_LIVE)) {
			if (bad_argument(v) != NULL)
				ck_assert_int_eq(try(&f, v, bad_argument(v)), expected(v, state, false));
			ck_assert_int_eq(fake_ask(&f, "NOOP"), 200);
			ck_assert(fake_silent(&f, 5));
		}
		ck_assert_int_ge(fake_stop(&f), 0);
	}
}
END_TEST

/* Every command sent while a download runs: it waits, except those that are served at once. */
START_TEST(walk_in_transfer)
{
	const struct verb *v = &verb_table[_i];
	bool now = (v->states & NOW) != 0, ends = v == &verb_table[VERB_ABOR];
	struct fake f;
	char line[256];
	int data, code;

	fake_login(&f, NULL);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR big"), 150);
	snprintf(line, sizeof line, "%s %s\r\n", v->name, now ? "" : good_argument(v));
	if (strlen(good_argument(v)) == 0)
		snprintf(line, sizeof line, "%s\r\n", v->name);
	fake_send(&f, line, strlen(line));
	if (now)
		ck_assert_int_eq(fake_reply(&f), ends ? 426 : 211);
	else
		ck_assert(fake_silent(&f, 30));
	ck_assert_int_ge(fake_drain(data, NULL, 0), ends ? -1 : FAKE_BIG);
	code = fake_reply(&f);
	ck_assert_int_eq(code, 226);
	if (!now) {
		code = fake_reply(&f);
		ck_assert_msg(code >= 150 && code < 600, "%s after the transfer: %d", v->name, code);
	}
	ck_assert_int_ge(fake_stop(&f), 0);
}
END_TEST

START_TEST(walk_site)
{
	const struct verb *v = &site_table[_i];
	struct fake f;
	char line[128];
	int code;

	fake_login(&f, NULL);
	snprintf(line, sizeof line, "SITE %s", v->name);
	code = fake_ask(&f, line);
	if (v->argument == ARG_OPTIONAL)
		ck_assert(code == 200 || code == 214);
	else
		ck_assert_int_eq(code, 501);
	snprintf(line, sizeof line, "HELP SITE %s", v->name);
	ck_assert_int_eq(fake_ask(&f, line), 214);
	ck_assert_ptr_nonnull(strstr(f.text, v->doc));
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

Suite *
worker_verbs_suite(void)
{
	Suite *s = suite_create("worker/verbs");
	TCase *t = tcase_create("table"), *w = tcase_create("walk");

	tcase_add_loop_test(t, row, 0, VERB_COUNT);
	tcase_add_loop_test(t, site_row, 0, SITE_COUNT);
	tcase_add_test(t, aliases);
	tcase_add_test(t, gates);
	tcase_add_test(t, facts);
	suite_add_tcase(s, t);
	tcase_add_loop_test(w, walk, 0, VERB_COUNT);
	tcase_add_loop_test(w, walk_in_transfer, 0, VERB_COUNT);
	tcase_add_loop_test(w, walk_site, 0, SITE_COUNT);
	suite_add_tcase(s, w);
	return s;
}
