/*
 * sallyctl top: the terminal.  What is drawn comes from ctl/top_model.h as text that is safe to show; ncurses knows the
 * terminal, its size and its keys.  Where there is no terminal, or one that cannot be drawn on, the same lines are
 * printed.
 */
#include "config.h"

#include <curses.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/server.h"
#include "ctl/top_model.h"

enum { HEAD_LINES = 3, FOOT_LINES = 2, PLAIN_COLUMNS = 160, KEY_ESCAPE = 27, KEY_ERASE = 127, KEY_CTRL_H = 8 };

/* What a line at the foot of the screen is asked for. */
enum question { ASK_NOTHING, ASK_FILTER, ASK_KICK, ASK_BAN };

struct view {
	const struct invocation *inv;
	struct top top;
	int64_t pause_ms, next;		/* when to look again, clock_ms() */
	size_t first;			/* the row at the top of the list */
	char selected[32];		/* the id of a session: rows change places */
	enum question question;
	struct top_session about;	/* whom the question is about, even when they have gone meanwhile */
	char input[64];
	char message[400];
	bool quit;
};

/* Asks the server one thing and hands the answer on. An exit code of the server, or a negative one. */
static int
look_at(const struct invocation *inv, const char *verb, int (*take)(struct top *, const char *, int64_t), struct top *t)
{
	char *text;
	int result = server_ask(inv, verb, "", &text);

	if (result == CTL_OK)
		result = take(t, text, clock_ms());
	free(text);
	return result;
}

static int
look(const struct invocation *inv, struct top *t)
{
	int result = look_at(inv, "who", top_take_who, t);

	return result != CTL_OK ? result : look_at(inv, "metrics", top_take_metrics, t);
}

static int
failed(const struct invocation *inv, int result)
{
	return result < 0 ? server_unreachable(inv, result) : ctl_fail(inv, result, "the server refused to answer");
}

/* ----------------------------------------------------------------------- plain text */

static void
print_all(const struct top *t)
{
	char text[TOP_LINE_SIZE];

	top_line_totals(t, text, sizeof text, PLAIN_COLUMNS);
	printf("%s\n", text);
	top_line_heading(text, sizeof text, PLAIN_COLUMNS);
	printf("%s\n", text);
	for (size_t i = 0; i < t->shown_n; i++) {
		top_line_session(t, t->shown[i], text, sizeof text, PLAIN_COLUMNS);
		printf("%s\n", text);
	}
}

static int
plain(const struct invocation *inv, unsigned pause)
{
	struct top t = { .n = 0 };
	bool once = inv->count[OPT_ONCE] > 0;
	int result;

	/* Rates need two looks; what is wrong with the first is wrong with the second. */
	if (once && look(inv, &t) == CTL_OK)
		sleep(pause);
	while ((result = look(inv, &t)) == CTL_OK) {
		print_all(&t);
		if (fflush(stdout) != 0 || once)
			break;
		putchar('\n');
		sleep(pause);
	}
	top_free(&t);
	return result == CTL_OK ? CTL_OK : failed(inv, result);
}

/* Documents of the server's: status and who by turns. */
static int
documents(const struct invocation *inv, unsigned pause)
{
	static const char *const verbs[] = { "status", "who" };
	char *text;
	int result;

	for (;;) {
		for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
			if ((result = server_ask(inv, verbs[i], "", &text)) >= 0 && text != NULL)
				puts(text);
			free(text);
			if (result != CTL_OK)
				return result < 0 ? server_unreachable(inv, result) : result;
		}
		if (fflush(stdout) != 0 || inv->count[OPT_ONCE] > 0)
			return CTL_OK;
		sleep(pause);
	}
}

/* -------------------------------------------------------------------------- drawing */

static size_t
columns(void)
{
	return COLS < 1 ? 1 : COLS > TOP_COLUMNS_MAX ? TOP_COLUMNS_MAX : (size_t)COLS;
}

static size_t
rows(void)
{
	return LINES > HEAD_LINES + FOOT_LINES ? (size_t)LINES - HEAD_LINES - FOOT_LINES : 0;
}

static void
draw_line(int y, const char *text, attr_t attributes)
{
	if (y < 0 || y >= LINES)
		return;
	move(y, 0);
	attron(attributes);
	addstr(text);
	attroff(attributes);
}

static attr_t
attributes_of(const struct view *v, const struct top_session *s)
{
	attr_t a = strcmp(s->state, "blocked") == 0 ? A_BOLD : strcmp(s->state, "ending") == 0 ? A_DIM : A_NORMAL;

	return strcmp(s->id, v->selected) == 0 ? a | A_REVERSE : a;
}

/* The selected row stays on the screen; when its session has gone, the row that took its place is selected. */
static size_t
selected_row(struct view *v, size_t before)
{
	size_t i = top_find(&v->top, v->selected);

	if (v->top.shown_n == 0) {
		v->first = 0;
		return 0;
	}
	if (i == v->top.shown_n) {
		i = before < v->top.shown_n ? before : v->top.shown_n - 1;
		(void)str_copy(v->selected, sizeof v->selected, v->top.shown[i]->id);
	}
	if (i < v->first)
		v->first = i;
	if (rows() > 0 && i >= v->first + rows())
		v->first = i - rows() + 1;
	return i;
}

static void
draw_foot(const struct view *v)
{
	static const char help[] = "q quit  s sort  r reverse  / filter  k kick  b ban  arrows select  space look now";
	char text[TOP_LINE_SIZE], who[700], line[800];

	(void)top_text(who, sizeof who, *v->about.user == '\0' ? "-" : v->about.user, 24, false);
	(void)str_copy(line, sizeof line, v->message);
	if (v->question == ASK_FILTER)
		(void)str_format(line, sizeof line, "filter: %s", v->input);
	else if (v->question == ASK_KICK)
		(void)str_format(line, sizeof line, "kick %s (%s)? y or n", v->about.id, who);
	else if (v->question == ASK_BAN)
		(void)str_format(line, sizeof line, "ban %s for (10m, 2h, 7d; nothing: for good; escape: not): %s",
		    v->about.peer, v->input);
	(void)top_text(text, sizeof text, line, columns(), false);
	draw_line(LINES - 2, text, A_BOLD);
	(void)top_text(text, sizeof text, help, columns(), false);
	draw_line(LINES - 1, text, A_NORMAL);
}

static void
draw(struct view *v)
{
	char text[TOP_LINE_SIZE];
	size_t n = rows();

	erase();
	top_line_totals(&v->top, text, sizeof text, columns());
	draw_line(0, text, A_BOLD);
	top_line_order(&v->top, text, sizeof text, columns());
	draw_line(1, text, A_NORMAL);
	top_line_heading(text, sizeof text, columns());
	draw_line(2, text, A_UNDERLINE);
	(void)selected_row(v, v->first);
	for (size_t i = 0; i < n && v->first + i < v->top.shown_n; i++) {
		const struct top_session *s = v->top.shown[v->first + i];

		top_line_session(&v->top, s, text, sizeof text, columns());
		draw_line(HEAD_LINES + (int)i, text, attributes_of(v, s));
	}
	draw_foot(v);
	refresh();
}

/* ----------------------------------------------------------------------------- keys */

static void
look_again(struct view *v)
{
	size_t row = top_find(&v->top, v->selected);
	int result = look(v->inv, &v->top);

	(void)selected_row(v, row);
	v->next = clock_ms() + v->pause_ms;
	if (result != CTL_OK)
		(void)str_format(v->message, sizeof v->message, "no answer: %s",
		    result < 0 ? sp_strerror(result) : "refused");
}

/* The server's answer, {"result": ...} or {"error": ...}, in one line. */
static void
answered(void *context, const char *key, const char *text, int64_t number)
{
	struct view *v = context;

	if (text != NULL)
		(void)str_format(v->message, sizeof v->message, "%s", text);
	else
		(void)str_format(v->message, sizeof v->message, "%s: %lld", key, (long long)number);
}

static void
order_server(struct view *v, const char *verb, const char *arguments)
{
	char *text;
	int result = server_ask(v->inv, verb, arguments, &text);

	if (result < 0 || text == NULL || !top_read_object(text, answered, v))
		(void)str_format(v->message, sizeof v->message, "%s: %s", verb,
		    result < 0 ? sp_strerror(result) : "the answer makes no sense");
	free(text);
	look_again(v);
}

static void
ban(struct view *v)
{
	char arguments[200], host[sizeof v->about.peer];

	(void)str_format(arguments, sizeof arguments, "%s%s%s", top_host(host, sizeof host, &v->about),
	    *v->input != '\0' ? "\n" : "", v->input);
	order_server(v, "ban", arguments);
}

static void
ask_about(struct view *v, enum question question)
{
	size_t i = top_find(&v->top, v->selected);

	if (i == v->top.shown_n)
		return;
	v->about = *v->top.shown[i];
	v->question = question;
	v->input[0] = '\0';
}

static void
set_filter(struct view *v, const char *text)
{
	(void)str_copy(v->top.filter, sizeof v->top.filter, text);
	top_arrange(&v->top);
}

/* Backspace takes a character away, not a byte of one. */
static void
edit(struct view *v, int key)
{
	size_t n = strlen(v->input);

	if (key == KEY_BACKSPACE || key == KEY_ERASE || key == KEY_CTRL_H) {
		while (n > 0 && ((unsigned char)v->input[n - 1] & 0xc0) == 0x80)
			n--;
		v->input[n > 0 ? n - 1 : 0] = '\0';
	} else if (key >= ' ' && key < 256 && n + 1 < sizeof v->input) {
		v->input[n] = (char)key;
		v->input[n + 1] = '\0';
	}
	if (v->question == ASK_FILTER)
		set_filter(v, v->input);
}

/* A key while something is asked. */
static void
answer(struct view *v, int key)
{
	enum question question = v->question;
	bool enter = key == '\n' || key == '\r' || key == KEY_ENTER;

	if (question == ASK_KICK) {
		v->question = ASK_NOTHING;
		if (key == 'y' || key == 'Y')
			order_server(v, "kick", v->about.id);
		return;
	}
	if (key != KEY_ESCAPE && !enter) {
		edit(v, key);
		return;
	}
	v->question = ASK_NOTHING;
	if (question == ASK_FILTER && !enter)
		set_filter(v, "");
	if (question == ASK_BAN && enter)
		ban(v);
}

static void
select_row(struct view *v, long by)
{
	long i = (long)top_find(&v->top, v->selected) + by, last = (long)v->top.shown_n - 1;

	if (last < 0)
		return;
	i = i < 0 ? 0 : i > last ? last : i;
	(void)str_copy(v->selected, sizeof v->selected, v->top.shown[i]->id);
}

static void
command(struct view *v, int key)
{
	v->message[0] = '\0';
	switch (key) {
	case 'q':
		v->quit = true;
		break;
	case 's':
		v->top.order = (v->top.order + 1) % TOP_ORDER_COUNT;
		top_arrange(&v->top);
		break;
	case 'r':
		v->top.reverse = !v->top.reverse;
		top_arrange(&v->top);
		break;
	case '/':
		v->question = ASK_FILTER;
		(void)str_copy(v->input, sizeof v->input, v->top.filter);
		break;
	case 'k':
		ask_about(v, ASK_KICK);
		break;
	case 'b':
		ask_about(v, ASK_BAN);
		break;
	case ' ':
		look_again(v);
		break;
	default:
		break;
	}
}

static bool
moved(struct view *v, int key)
{
	const struct { int key; long by; } moves[] = {
		{ KEY_UP, -1 }, { KEY_DOWN, 1 }, { KEY_PPAGE, -(long)rows() }, { KEY_NPAGE, (long)rows() },
		{ KEY_HOME, -(long)v->top.shown_n }, { KEY_END, (long)v->top.shown_n },
	};

	for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
		if (moves[i].key == key) {
			select_row(v, moves[i].by);
			return true;
		}
	return false;
}

static void
press(struct view *v, int key)
{
	/* What a terminal keeps of its screen at another size is its own affair: all of it is drawn. */
	if (key == KEY_RESIZE) {
		clearok(stdscr, TRUE);
		return;
	}
	if (v->question != ASK_NOTHING)
		answer(v, key);
	else if (!moved(v, key))
		command(v, key);
}

/* Looks and listens by turns until q. */
static void
watch(struct view *v)
{
	int64_t left;
	int key;

	while (!v->quit) {
		draw(v);
		left = v->next - clock_ms();
		timeout(left > 0 ? (int)left : 0);
		if ((key = getch()) != ERR)
			press(v, key);
		else if (!isatty(STDIN_FILENO))
			v->quit = true;
		if (clock_ms() >= v->next)
			look_again(v);
	}
}

static int
live(const struct invocation *inv, unsigned pause)
{
	struct view v = { .inv = inv, .pause_ms = (int64_t)pause * 1000 };
	SCREEN *screen;
	int result = look(inv, &v.top);

	if (result != CTL_OK)
		return failed(inv, result);
	if ((screen = newterm(NULL, stdout, stdin)) == NULL) {
		top_free(&v.top);
		return plain(inv, pause);
	}
	set_escdelay(100);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	v.next = clock_ms() + v.pause_ms;
	watch(&v);
	endwin();
	delscreen(screen);
	top_free(&v.top);
	return CTL_OK;
}

/* A terminal that lines can be drawn on, with somebody to press keys. */
static bool
can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

int
top_command(struct invocation *inv)
{
	const char *seconds = inv->argc > 0 ? inv->argv[0] : "2";
	char *end;
	unsigned long pause = strtoul(seconds, &end, 10);

	if (*seconds == '\0' || *end != '\0' || pause == 0 || pause > 3600)
		return ctl_fail(inv, CTL_USAGE, "%s: seconds from 1 to 3600 were expected", seconds);
	if (inv->json)
		return documents(inv, (unsigned)pause);
	(void)setlocale(LC_CTYPE, "");
	if (inv->count[OPT_ONCE] > 0 || !can_draw())
		return plain(inv, (unsigned)pause);
	return live(inv, (unsigned)pause);
}
