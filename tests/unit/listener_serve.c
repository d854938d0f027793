#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/exitcode.h"
#include "daemon/listener/commands.h"
#include "tests/unit/listener.h"

#define WORDS_MAX 8

/* Runs serve_configuration() with the words of a line. */
static int
serve(struct conf *c, const char *line)
{
	static char text[256];
	char *argv[WORDS_MAX + 1], *rest = text;
	int argc = 0;

	snprintf(text, sizeof text, "%s", line);
	while (argc < WORDS_MAX && (argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	argv[argc] = NULL;
	return serve_configuration(c, argc, argv);
}

static const struct {
	const char *line;
	int result;
	const char *account, *layer, *listen;
} lines[] = {
	{ "serve /tmp", 0, "anonymous", "elr", "*:2121" },
	{ "serve --port 3021 /tmp", 0, "anonymous", "elr", "*:3021" },
	{ "serve /tmp --user bob:secret", 0, "bob", "elradfmwMT", "*:2121" },
	{ "serve /tmp --user bob:se:cret --read-only", 0, "bob", "elr", "*:2121" },
	{ "serve", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /tmp /usr", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /proc/nonexistent", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /etc/passwd", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /tmp --user bob", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /tmp --user :secret", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /tmp --user bob:", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /tmp --port ftp", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /tmp --port 70000", SP_EXIT_USAGE, NULL, NULL, NULL },
	{ "serve /tmp --no-such-option", SP_EXIT_USAGE, NULL, NULL, NULL },
};

START_TEST(command_lines)
{
	struct conf *c = conf_new();
	const struct conf_section *account;
	struct conf_subject subject = { .user = lines[_i].account };
	struct conf_resolved r;
	int got = serve(c, lines[_i].line);

	ck_assert_msg(got == lines[_i].result, "%s: %d", lines[_i].line, got);
	if (got == 0) {
		account = conf_section_next(c, SC_ACCOUNT, NULL);
		ck_assert_str_eq(conf_section_name(account), lines[_i].account);
		ck_assert_str_eq(conf_server(c)->listen.v[0], lines[_i].listen);
		ck_assert_int_eq(conf_resolve(c, &subject, &r), 0);
		ck_assert_uint_eq(r.s.layer.n, 1);
		ck_assert_str_eq(r.s.layer.v[0].dialect, "pyftpdlib");
		ck_assert_str_eq(r.s.layer.v[0].text, lines[_i].layer);
		ck_assert_str_eq(r.s.home, "/tmp");
		ck_assert_int_eq(r.s.jail, true);
		conf_resolved_free(&r);
	}
	conf_free(c);
}
END_TEST

Suite *
listener_serve_suite(void)
{
	Suite *suite = suite_create("serve");
	TCase *t = tcase_create("arguments");

	tcase_add_loop_test(t, command_lines, 0, (int)(sizeof lines / sizeof lines[0]));
	suite_add_tcase(suite, t);
	return suite;
}
