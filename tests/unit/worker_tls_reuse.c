#include "config.h"

#include <check.h>
#include <string.h>

#include "common/conf.h"
#include "daemon/worker/tls_reuse.h"
#include "tests/unit/worker_tls.h"

/* r: a data connection that resumes, f: one that does not, x: one that shows a ticket grown too old, w: time passes until all are. */
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
	tcase_add_test(t, refusals_name_the_setting);
	suite_add_tcase(s, t);
	return s;
}
