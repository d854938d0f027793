/* sallyctl(8), from the tables of ctl/. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "man/mdoc.h"

enum {
#define OPTION(NAME, letter, name, argument, help) BIT_##NAME,
#include "ctl/options.def"
#undef OPTION
};
#define O(NAME) (UINT64_C(1) << BIT_##NAME)

static const struct { char letter; const char *name, *argument, *help; } options[] = {
#define OPTION(NAME, letter, name, argument, help) { letter, name, argument, help },
#include "ctl/options.def"
#undef OPTION
};

static const struct { const char *name, *arguments; uint64_t options; bool server; const char *help; } commands[] = {
#define COMMAND(name, handler, arguments, least, most, options, server, help) \
	{ name, arguments, options, server, help },
#include "ctl/commands.def"
#undef COMMAND
};

/* The options a command takes, in its heading. */
static void
print_options_of(uint64_t mask)
{
	for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
		if ((mask & UINT64_C(1) << i) == 0)
			continue;
		if (options[i].letter != 0)
			printf(" Oo Fl %c", options[i].letter);
		else
			printf(" Oo Fl \\-%s", options[i].name);
		if (options[i].argument != NULL)
			printf(" Ar %s", options[i].argument);
		printf(" Oc");
	}
}

static void
print_commands(void)
{
	mdoc_list_begin("Ds");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		printf(".It Cm %s", commands[i].name);
		print_options_of(commands[i].options);
		if (commands[i].arguments[0] != '\0') {
			fputs(" No", stdout);
			for (const char *p = commands[i].arguments; *p != '\0';) {
				size_t n = strcspn(p, " ");

				printf(" %.*s", (int)n, p);
				p += n + strspn(p + n, " ");
			}
		}
		putchar('\n');
		mdoc_text(commands[i].help);
		if (commands[i].server)
			puts("Asks the running server.");
	}
	mdoc_list_end();
}

static void
print_options(void)
{
	mdoc_list_begin("Ds");
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		char text[400];

		if (options[i].letter != 0)
			printf(".It Fl %c , \\-%s", options[i].letter, options[i].name);
		else
			printf(".It Fl \\-%s", options[i].name);
		if (options[i].argument != NULL)
			printf(" Ar %s", options[i].argument);
		putchar('\n');
		snprintf(text, sizeof text, "%c%s.",
		    options[i].help[0] >= 'a' && options[i].help[0] <= 'z' ? options[i].help[0] - 32
									   : options[i].help[0],
		    options[i].help + 1);
		mdoc_text(text);
	}
	mdoc_list_end();
}

static void
print_exits(void)
{
	static const struct { int number; const char *meaning; } exits[] = {
#define CTL_EXIT(name, number, meaning) { number, meaning },
#include "ctl/exits.def"
#undef CTL_EXIT
	};

	mdoc_list_begin("Ds");
	for (size_t i = 0; i < sizeof exits / sizeof *exits; i++)
		printf(".It %d\n%c%s.\n", exits[i].number, exits[i].meaning[0] - 32, exits[i].meaning + 1);
	mdoc_list_end();
}

/* What doctor asks, a line each. */
static void
print_checks(void)
{
	static const struct { const char *name, *title; } checks[] = {
#define CHECK(name, function, title) { #name, title },
#include "ctl/doctor.def"
#undef CHECK
	};

	mdoc_list_begin("certificates");
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
		printf(".It %s\n%c%s\n", checks[i].name, checks[i].title[0] - 32, checks[i].title + 1);
	mdoc_list_end();
}

static void
print_metrics(void)
{
	static const struct { const char *name, *type, *doc; } rows[] = {
#define METRIC(name, type, value, doc) { name, #type, doc },
#define SERIES(name, type, each, doc) { name, #type, doc },
#include "daemon/listener/metrics.def"
#undef METRIC
#undef SERIES
	};

	mdoc_list_begin("Ds");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		printf(".It sallyport_%s Pq %s\n", rows[i].name, rows[i].type);
		mdoc_text(rows[i].doc);
	}
	mdoc_list_end();
}

const struct generator ctl_generators[] = {
	{ "CTL_EXITS", print_exits },
	{ "DOCTOR", print_checks },
	{ "METRICS", print_metrics },
	{ "COMMANDS", print_commands },
	{ "OPTIONS", print_options },
	{ NULL, NULL },
};
