/* sallyctl why and sallyctl expect: the engine's answers without the server. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf_show.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/machine.h"
#include "ctl/policy.h"

static const int exits[] = { [AUTHZ_ALLOW] = CTL_OK, [AUTHZ_DENY] = CTL_NO, [AUTHZ_CANNOT_TELL] = CTL_FAILED };

/* A whole answer that needs no steps. remedy: NULL, or what helps. */
static int
say_plain(const struct invocation *inv, const char *outcome, const char *by, const char *remedy, int code)
{
	struct json j;

	if (!inv->json) {
		printf("%s  ", outcome);
		ctl_print_safe(by);
		printf("%s%s\n", remedy != NULL ? "\n      " : "", remedy != NULL ? remedy : "");
		return code;
	}
	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "outcome", outcome);
	json_str(&j, "decided_by", by);
	if (remedy != NULL)
		json_str(&j, "remedy", remedy);
	json_close(&j);
	return ctl_print_json(inv, &j) == CTL_OK ? code : CTL_FAILED;
}

static int
explain(const struct invocation *inv, struct view *v, const struct question *q)
{
	static struct asked a;
	const char *wrong = view_ask(v, q, true, &a);
	char *text = NULL;
	int r;

	if (wrong != NULL)
		return ctl_fail(inv, CTL_USAGE, "%s: %s", q->command, wrong);
	if (v->refused || v->homeless)
		return say_plain(inv, "DENY", v->refused ? v->why : v->home_why, v->refused ? v->remedy : NULL, CTL_NO);
	if (v->unsure && !inv->quiet)
		(void)ctl_fail(inv, CTL_FAILED, "%s: ask as root: whether the account is locked or expired cannot be told",
		    v->subject.user);
	if (a.never_gated)
		return say_plain(inv, "ALLOW", "no right is ever asked for this command", NULL, CTL_OK);
	r = view_explain(v, &a, inv->json, &text);
	view_leave(&a);
	if (r < 0)
		return ctl_fail_code(inv, CTL_FAILED, q->command, r);
	if (inv->json)
		puts(text);
	else
		fputs(text, stdout);
	free(text);
	return exits[r];
}

/* Commands of two words ("SITE CHMOD", "MFF modify") may come as one argument or as two. */
static void
take_command(struct question *q, int argc, char **argv, char joined[64])
{
	int next = 1;

	bool site = str_same(argv[0], "SITE");

	q->command = argv[0];
	if (argc > 2 - site && str_format(joined, 64, "%s %s", argv[0], argv[1]) == 0 &&
	    (site || authz_command(joined) != AUTHZ_UNKNOWN_COMMAND)) {
		q->command = joined;
		next = 2;
	}
	q->path = argc > next ? argv[next] : NULL;
	q->path2 = argc > next + 1 ? argv[next + 1] : NULL;
}

int
why_command(struct invocation *inv)
{
	static struct view v;
	struct question q;
	struct conf *conf;
	char joined[64];
	int code = ctl_conf_load(inv, &conf);

	if (code != CTL_OK)
		return code == CTL_CONFIG ? CTL_FAILED : code;
	view_begin(&v, inv, conf);
	take_command(&q, inv->argc - 1, inv->argv + 1, joined);
	code = view_take(&v, inv->argv[0]);
	if (code != CTL_OK)
		(void)ctl_fail(inv, CTL_FAILED, "%s: %s", inv->argv[0], v.why);
	else
		code = explain(inv, &v, &q);
	view_end(&v);
	conf_free(conf);
	return code;
}

/* -------------------------------------------------------------------- expect */

#define WORDS_MAX 6

struct expectation {
	unsigned line;
	char *words[WORDS_MAX];		/* user, command, paths */
	int count;
	bool allow;
};

struct report {
	const struct invocation *inv;
	const char *file;
	unsigned met, broken, wrong;
	struct conf *problems;		/* what is not met is added to these, and nothing printed; or NULL */
	struct json json;
};

/* The next word of a line; one in double quotes may hold blanks. */
static char *
next_word(char **rest)
{
	char *s = *rest + strspn(*rest, " \t"), *end;

	if (*s == '\0')
		return NULL;
	if (*s == '"' && (end = strchr(s + 1, '"')) != NULL)
		s++;
	else
		end = s + strcspn(s, " \t");
	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return s;
}

/* "user command path [path2] -> allow". NULL, or what is wrong. */
static const char *
parse(char *line, struct expectation *e)
{
	char *arrow = NULL, *word;

	for (char *p = line; (p = strstr(p, "->")) != NULL; p += 2)
		arrow = p;
	if (arrow == NULL)
		return "an arrow is missing: USER COMMAND PATH -> allow|deny";
	*arrow = '\0';
	arrow += 2;
	word = next_word(&arrow);
	if (word == NULL || next_word(&arrow) != NULL || (strcmp(word, "allow") != 0 && strcmp(word, "deny") != 0))
		return "allow or deny was expected behind the arrow";
	e->allow = strcmp(word, "allow") == 0;
	for (e->count = 0; e->count < WORDS_MAX && (word = next_word(&line)) != NULL; e->count++)
		e->words[e->count] = word;
	return e->count >= 2 && e->count < WORDS_MAX ? NULL : "USER COMMAND PATH [PATH2] was expected before the arrow";
}

static void
tell(struct report *r, const struct expectation *e, const char *state, const char *text)
{
	if (r->problems != NULL) {
		if (strcmp(state, "met") != 0)
			conf_problem_add(r->problems, CONF_ERROR, r->file, e->line, "expectations", text, "");
	} else if (r->inv->json) {
		json_open(&r->json, NULL, '{');
		json_unsigned(&r->json, "line", e->line);
		json_str(&r->json, "state", state);
		json_str(&r->json, "text", text);
		json_close(&r->json);
	} else if (strcmp(state, "met") != 0) {
		printf("%s:%u: %s: ", r->file, e->line, state);
		ctl_print_safe(text);
		putchar('\n');
	}
}

/* It cannot be told. q: NULL where the account is what is wrong. */
static void
tell_wrong(struct report *r, const struct expectation *e, const struct question *q, const char *wrong)
{
	char text[1700];

	r->wrong++;
	(void)str_format(text, sizeof(text), "%s%s%s: %s", e->words[0], q != NULL ? " " : "", q != NULL ? q->command : "",
	    wrong);
	tell(r, e, "wrong", text);
}

static void
check(struct report *r, struct view *v, const struct expectation *e)
{
	static struct asked a;
	struct question q;
	char joined[64], why[640], text[1700];
	const char *wrong;
	bool allow, out, kernel = r->inv->count[OPT_KERNEL] > 0;

	take_command(&q, e->count - 1, (char **)(uintptr_t)(e->words + 1), joined);
	wrong = (v->policy == NULL || strcmp(v->account.name, e->words[0]) != 0) && view_take(v, e->words[0]) != CTL_OK
		    ? v->why
		    : view_ask(v, &q, kernel, &a);
	if (wrong != NULL) {
		tell_wrong(r, e, wrong == v->why ? NULL : &q, wrong);
		return;
	}
	out = v->refused || (kernel && v->homeless);
	allow = !out && (a.never_gated || view_decide(v, &a, why, sizeof(why)));
	view_leave(&a);
	if (out || a.never_gated)
		(void)str_copy(why, sizeof(why), v->refused ? v->why : out ? v->home_why : "no right is ever asked for this command");
	if (allow && kernel && v->home_why[0] != '\0') {
		tell_wrong(r, e, &q, v->home_why);
		return;
	}
	(void)str_format(text, sizeof(text), "%s %s%s%.300s%s%.300s: expected %s, but %s", e->words[0], q.command,
	    q.path != NULL ? " " : "", q.path != NULL ? q.path : "", q.path2 != NULL ? " " : "", q.path2 != NULL ? q.path2 : "",
	    e->allow ? "allow" : "deny", why);
	r->met += allow == e->allow;
	r->broken += allow != e->allow;
	tell(r, e, allow == e->allow ? "met" : "not met", allow == e->allow ? why : text);
}

static int
check_file(struct report *r, struct view *v, FILE *in)
{
	struct expectation e = { .line = 0 };
	const char *wrong;
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, in) >= 0) {
		e.line++;
		line[strcspn(line, "\r\n")] = '\0';
		if (line[strspn(line, " \t")] == '\0' || line[strspn(line, " \t")] == '#')
			continue;
		wrong = parse(line, &e);
		if (wrong == NULL) {
			check(r, v, &e);
			continue;
		}
		r->wrong++;
		tell(r, &e, "wrong", wrong);
	}
	free(line);
	return r->wrong > 0 ? CTL_FAILED : r->broken > 0 ? CTL_NO : CTL_OK;
}

static int
finish_report(struct report *r, int code)
{
	if (!r->inv->json) {
		if (!r->inv->quiet)
			printf("%u met, %u not met, %u wrong\n", r->met, r->broken, r->wrong);
		return code;
	}
	json_close(&r->json);
	json_unsigned(&r->json, "met", r->met);
	json_unsigned(&r->json, "not_met", r->broken);
	json_unsigned(&r->json, "wrong", r->wrong);
	json_close(&r->json);
	return ctl_print_json(r->inv, &r->json) == CTL_OK ? code : CTL_FAILED;
}

static int
compare(const struct invocation *inv, struct conf *conf, const char *file, FILE *in)
{
	static struct view v;
	struct report r = { .inv = inv, .file = file };
	int code;

	view_begin(&v, inv, conf);
	if (inv->json) {
		json_init(&r.json);
		json_open(&r.json, NULL, '{');
		json_open(&r.json, "expectations", '[');
	}
	code = finish_report(&r, check_file(&r, &v, in));
	view_end(&v);
	return code;
}

void
expectations_check(const struct invocation *inv, struct conf *conf)
{
	static struct view v;
	const char *file = conf_server(conf)->expectations;
	struct report r = { .inv = inv, .file = file, .problems = conf };
	FILE *in = file == NULL ? NULL : fopen(file, "re");

	/* That it is not there is told with the configuration's other files. */
	if (in == NULL)
		return;
	view_begin(&v, inv, conf);
	(void)check_file(&r, &v, in);
	view_end(&v);
	fclose(in);
}

/*
 * Rules with mistakes meet no expectation: they are told first, as check tells them.  here: with what check finds
 * that a session or a restart would miss.
 */
static int
check_rules(struct conf *conf, bool json, bool here)
{
	policies_check(conf, false);
	if (here)
		machine_check_places(conf);
	for (size_t i = 0; i < conf_problem_count(conf); i++)
		if (conf_problem_at(conf, i)->severity == CONF_ERROR) {
			(void)conf_report(stdout, conf, json);
			return CTL_CONFIG;
		}
	return CTL_OK;
}

int
expect_command(struct invocation *inv)
{
	const char *file = inv->argc > 0 ? inv->argv[0] : "-";
	struct conf *conf;
	FILE *in;
	int code;

	/* Nobody types expectations: who gave no file has forgotten it. */
	if (inv->argc == 0 && isatty(STDIN_FILENO))
		return ctl_fail(inv, CTL_USAGE, "a FILE of expectations is missing; - stands for standard input");
	in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
	if (in == NULL)
		return ctl_fail_code(inv, CTL_FAILED, file, -errno);
	code = ctl_conf_load(inv, &conf);
	if (code == CTL_OK) {
		code = check_rules(conf, inv->json, inv->count[OPT_HERE] > 0);
		if (code == CTL_OK)
			code = compare(inv, conf, file, in);
		conf_free(conf);
	}
	if (in != stdin)
		fclose(in);
	return code;
}
