#include "config.h"

#include <check.h>
#include <string.h>

#include "common/conf.h"
#include "daemon/worker/tls_reuse.h"
#include "tests/unit/worker_tls.h"

/* The serial that control's ticket has in these stories; those of data connections are higher. */
#define CONTROL 1

/*
 * What data connections showed, and how they went.  Downloads bring a ticket, uploads do not.
 * C: the control connection's ticket for a download, U: for an upload, B: for a download that broke off;
 * N: another ticket of the control connection; d: the ticket of the download before; s: one that a stranger was given;
 * o: a ticket of some other session; x: one of this session that has grown too old; f: nothing.
 * w: time passes until all are too old; W: until control's is, or may be.
 */
static const struct {
	int mode;
	const char *history;
	const char *want;	/* y or n for each connection */
} rows[] = {
	{ CONF_REUSE_NEVER, "ffCf", "yyyy" },
	{ CONF_REUSE_NEVER, "CCCfos", "yyyyyy" },
	{ CONF_REUSE_STRICT, "CCUd", "yyyy" },
	{ CONF_REUSE_STRICT, "f", "n" },
	{ CONF_REUSE_STRICT, "o", "n" },
	{ CONF_REUSE_STRICT, "CfC", "yny" },
	{ CONF_REUSE_STRICT, "x", "y" },
	{ CONF_REUSE_STRICT, "wf", "y" },
	{ CONF_REUSE_STRICT, "wff", "yn" },
	/* What a refused connection was given does not help the next one. */
	{ CONF_REUSE_STRICT, "Cfs", "ynn" },
	/* Nobody is held to what it never could. */
	{ CONF_REUSE_ADAPTIVE, "ffff", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "ffdf", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "CfC", "yyy" },
	/* Who takes tickets from downloads has them in a cache, and another connection may have been quicker. */
	{ CONF_REUSE_ADAPTIVE, "Cddddf", "yyyyyy" },
	{ CONF_REUSE_ADAPTIVE, "CNCNCNf", "yyyyyyy" },
	/* A cache would show the same in uploads only: they bring nothing newer. */
	{ CONF_REUSE_ADAPTIVE, "UUUUUf", "yyyyyy" },
	{ CONF_REUSE_ADAPTIVE, "CUf", "yyy" },
	/* The control connection's own ticket again and again, though there are newer ones: it is not in a cache. */
	{ CONF_REUSE_ADAPTIVE, "CCCf", "yyyn" },
	{ CONF_REUSE_ADAPTIVE, "CUUf", "yyyn" },
	{ CONF_REUSE_ADAPTIVE, "CCCffCf", "yyynnyn" },
	{ CONF_REUSE_ADAPTIVE, "fCUCffCf", "yyyynnyn" },
	/* Whatever it shows, it is no stranger without any. */
	{ CONF_REUSE_ADAPTIVE, "CCCo", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "CCCx", "yyyy" },
	/* After that all is open again. */
	{ CONF_REUSE_ADAPTIVE, "CCCof", "yyyyy" },
	{ CONF_REUSE_ADAPTIVE, "CCCdf", "yyyyy" },
	{ CONF_REUSE_ADAPTIVE, "CCCoCCCf", "yyyyyyyn" },
	/* Libraries throw tickets of broken connections away. */
	{ CONF_REUSE_ADAPTIVE, "CCCBf", "yyyyy" },
	{ CONF_REUSE_ADAPTIVE, "CCBf", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "CCCwf", "yyyy" },
	{ CONF_REUSE_ADAPTIVE, "CCCWf", "yyyy" },
};

static void
show(struct tls_reuse_facts *f, char c, uint32_t serial)
{
	switch (c) {
	case 'C':
	case 'U':
	case 'B':
	case 'N':
		*f = (struct tls_reuse_facts){ .resumed = true, .trusted = true, .from_control = true, .offered = true };
		f->serial = c == 'N' ? CONTROL + 1 : CONTROL;
		break;
	case 'd':
	case 's':
		*f = (struct tls_reuse_facts){ .resumed = true, .trusted = c == 'd', .offered = true, .serial = serial };
		break;
	default:
		*f = (struct tls_reuse_facts){ .expired = c == 'x', .offered = c == 'x' || c == 'o' };
	}
}

START_TEST(histories)
{
	struct tls_reuse r = { .mode = rows[_i].mode, .lifetime_ms = 10000 };
	struct tls_reuse_facts f;
	uint32_t serial = CONTROL + 1;
	int64_t now = 10;
	size_t n = 0;
	bool good;

	for (const char *h = rows[_i].history; *h != '\0'; h++) {
		if (*h == 'w' || *h == 'W') {
			now += *h == 'w' ? r.lifetime_ms + 1 : r.lifetime_ms - TLS_REUSE_MARGIN_MS;
			continue;
		}
		show(&f, *h, serial);
		f.now_ms = now;
		good = tls_reuse_judge(&r, &f);
		ck_assert_msg(good == (rows[_i].want[n++] == 'y'), "%s at %zu", rows[_i].history, n);
		if (good)
			tls_reuse_ended(&r, *h != 'B', *h == 'U' || *h == 'B' ? 0 : ++serial);
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
	int mode;
	const char *history, *want;	/* y: the control connection must give a ticket */
} needs[] = {
	{ CONF_REUSE_ADAPTIVE, "fff", "nnn" },		/* never resumes: none would be used */
	{ CONF_REUSE_ADAPTIVE, "cccc", "nyyy" },	/* uses each once; at first that is not known */
	{ CONF_REUSE_ADAPTIVE, "cfcc", "nyyy" },
	{ CONF_REUSE_ADAPTIVE, "cCCf", "nnnn" },	/* keeps one */
	{ CONF_REUSE_ADAPTIVE, "cdd", "nnn" },		/* takes them from data connections */
	{ CONF_REUSE_ADAPTIVE, "ccf", "nyy" },		/* has run out */
	{ CONF_REUSE_ADAPTIVE, "dDfc", "nnnn" },
	/* Where a full handshake is refused there is no time to find out. */
	{ CONF_REUSE_STRICT, "ccc", "yyy" },
	{ CONF_REUSE_STRICT, "cCC", "ynn" },
};

START_TEST(tickets_for_the_next_transfer)
{
	struct tls_reuse r = { .mode = needs[_i].mode, .lifetime_ms = 1000 };
	uint32_t serial = 0;

	for (size_t i = 0; needs[_i].history[i] != '\0'; i++) {
		const char c = needs[_i].history[i];
		struct tls_reuse_facts f = { .resumed = c != 'f', .trusted = true, .from_control = c == 'c' || c == 'C' };

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
