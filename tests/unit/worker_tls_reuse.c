#include "config.h"

#include <check.h>
#include <string.h>

#include "common/conf.h"
#include "daemon/worker/tls_reuse.h"
#include "tests/unit/worker_tls.h"

/*
 * r: a data connection that resumes, f: one that does not, x: one that shows a ticket grown too old,
 * w: time passes until all are.
 */
static const struct {
	int mode;
	const char *history;
	const char *want;	/* y or n for each r, f, x */
} rows[] = {
	{ CONF_REUSE_NEVER, "ffrf", "yyyy" },
	{ CONF_REUSE_STRICT, "rrr", "yyy" },
	{ CONF_REUSE_STRICT, "f", "n" },
	{ CONF_REUSE_STRICT, "rfr", "yny" },
	{ CONF_REUSE_STRICT, "x", "y" },
	{ CONF_REUSE_STRICT, "wf", "y" },
	{ CONF_REUSE_STRICT, "wff", "yn" },
	{ CONF_REUSE_ADAPTIVE, "ffff", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "ffrf", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "rfr", "yyy" },
	{ CONF_REUSE_ADAPTIVE, "rrfrrf", "yyyyyy" },	/* tickets of control used up */
	{ CONF_REUSE_ADAPTIVE, "rrrf", "yyyn" },
	{ CONF_REUSE_ADAPTIVE, "frrrffrf", "yyyynnyn" },
	{ CONF_REUSE_ADAPTIVE, "rrrx", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "rrrwf", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "rrrwff", "yyyyn" },
};

START_TEST(histories)
{
	struct tls_reuse r = { .mode = rows[_i].mode, .lifetime_ms = 1000 };
	int64_t now = 10;
	size_t n = 0;

	for (const char *h = rows[_i].history; *h != '\0'; h++) {
		struct tls_reuse_facts f = { .resumed = *h == 'r', .expired = *h == 'x', .now_ms = now };

		if (*h == 'w')
			now += 1001;
		else
			ck_assert_msg(tls_reuse_judge(&r, &f) == (rows[_i].want[n++] == 'y'), "%s at %zu", rows[_i].history, n);
	}
	ck_assert_uint_eq(n, strlen(rows[_i].want));
	ck_assert_uint_eq(r.resumed + r.full, n);
}
END_TEST

/*
 * c, d: resumes with a fresh ticket of the control or of a data connection; C, D: with the last one again;
 * f: does not resume.
 */
static const struct {
	const char *history, *want;	/* y: the control connection must give a ticket */
} needs[] = {
	{ "fff", "nnn" },		/* never resumes: none would be used */
	{ "ccc", "yyy" },		/* uses each once */
	{ "cCCf", "ynnn" },		/* keeps one */
	{ "cdd", "ynn" },		/* takes them from data connections */
	{ "ccf", "yyy" },		/* has run out */
	{ "dDfc", "nnnn" },
};

START_TEST(tickets_for_the_next_transfer)
{
	struct tls_reuse r = { .mode = CONF_REUSE_ADAPTIVE, .lifetime_ms = 1000 };
	uint32_t serial = 0;

	for (size_t i = 0; needs[_i].history[i] != '\0'; i++) {
		const char c = needs[_i].history[i];
		struct tls_reuse_facts f = { .resumed = c != 'f', .from_control = c == 'c' || c == 'C' };

		if (c == 'c' || c == 'd')
			serial++;
		f.serial = c == 'f' ? 0 : serial;
		(void)tls_reuse_judge(&r, &f);
		ck_assert_msg(tls_reuse_needs_ticket(&r, &f) == (needs[_i].want[i] == 'y'), "%s at %zu", needs[_i].history, i);
	}
}
END_TEST

START_TEST(refusals_name_the_setting)
{
	struct tls_reuse r = { .mode = CONF_REUSE_STRICT };

	ck_assert_str_eq(tls_reuse_refusal(&r), "TLS session of data connection not resumed (session_reuse = strict)");
	r.mode = CONF_REUSE_ADAPTIVE;
	ck_assert_ptr_nonnull(strstr(tls_reuse_refusal(&r), "TLS session of data connection not resumed"));
	ck_assert_ptr_nonnull(strstr(tls_reuse_refusal(&r), "session_reuse = adaptive"));
}
END_TEST

Suite *
worker_tls_reuse_suite(void)
{
	Suite *s = suite_create("worker_tls_reuse");
	TCase *t = tcase_create("policy");

	tcase_add_loop_test(t, histories, 0, sizeof rows / sizeof rows[0]);
	tcase_add_loop_test(t, tickets_for_the_next_transfer, 0, sizeof needs / sizeof needs[0]);
	tcase_add_test(t, refusals_name_the_setting);
	suite_add_tcase(s, t);
	return s;
}
