/* sallyctl: the one program with which sallyport is administered. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

const struct command ctl_commands[] = {
#define COMMAND(name, run, arguments, least, most, options, server, help) \
	{ name, run, arguments, least, most, options, server, help },
#include "ctl/commands.def"
#undef COMMAND
	{ NULL, NULL, NULL, 0, 0, 0, false, NULL }
};

static const struct {
	const char *name, *argument;
	int letter;
} option_rows[OPT_COUNT] = {
#define OPTION(NAME, letter, longname, argument, help) { longname, argument, letter },
#include "ctl/options.def"
#undef OPTION
};

/* Values of getopt_long(3) for the table's options: above every letter. */
#define TABLE_BASE 1000

static const struct option common_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "config", required_argument, NULL, 'c' },
	{ "socket", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
};

#define COMMON_COUNT (sizeof(common_options) / sizeof(common_options[0]))
#define COMMON_LETTERS "jqc:s:hV"

enum { GO_ON = -1, SHOW_HELP = -2 };

/* What getopt_long(3) shall know: everybody's options and those of the command. */
struct grammar {
	struct option longs[COMMON_COUNT + OPT_COUNT + 1];
	char shorts[sizeof(COMMON_LETTERS) + 2 + 2 * OPT_COUNT];
};

static void
build_grammar(struct grammar *g, uint64_t options, const char *order)
{
	char *s = stpcpy(stpcpy(g->shorts, order), COMMON_LETTERS);
	size_t n = COMMON_COUNT;

	memcpy(g->longs, common_options, sizeof(common_options));
	for (unsigned i = 0; i < OPT_COUNT; i++) {
		if ((options & UINT64_C(1) << i) == 0)
			continue;
		g->longs[n++] = (struct option){ option_rows[i].name,
			option_rows[i].argument != NULL ? required_argument : no_argument, NULL,
			(int)(TABLE_BASE + i) };
		if (option_rows[i].letter != 0)
			*s++ = (char)option_rows[i].letter;
		if (option_rows[i].letter != 0 && option_rows[i].argument != NULL)
			*s++ = ':';
	}
	*s = '\0';
	g->longs[n] = (struct option){ NULL, 0, NULL, 0 };
}

static int
take_common(struct invocation *inv, int c)
{
	switch (c) {
	case 'j':
		inv->json = true;
		return GO_ON;
	case 'q':
		inv->quiet = true;
		return GO_ON;
	case 'c':
		inv->config = optarg;
		return GO_ON;
	case 's':
		inv->socket = optarg;
		return GO_ON;
	case 'h':
		return SHOW_HELP;
	case 'V':
		puts("sallyctl " PACKAGE_VERSION);
		return CTL_OK;
	default:
		return CTL_USAGE;
	}
}

static int
take_option(struct invocation *inv, int c)
{
	for (unsigned i = 0; i < OPT_COUNT; i++) {
		if (c != (int)(TABLE_BASE + i) && (c != option_rows[i].letter ||
		    inv->command == NULL || (inv->command->options & UINT64_C(1) << i) == 0))
			continue;
		inv->count[i]++;
		inv->value[i] = optarg;
		return GO_ON;
	}
	return take_common(inv, c);
}

/* Takes all options; GO_ON, SHOW_HELP, or an exit code. optind is behind them. */
static int
parse_options(struct invocation *inv, int argc, char **argv, const char *order)
{
	struct grammar g;
	int c, result = GO_ON;

	build_grammar(&g, inv->command == NULL ? 0 : inv->command->options, order);
	optind = 0;
	while (result == GO_ON && (c = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1)
		result = take_option(inv, c);
	return result;
}

const struct command *
ctl_find(int argc, char **argv, int *used)
{
	char words[64];

	for (int n = argc < 2 ? argc : 2; n > 0; n--) {
		if (snprintf(words, sizeof(words), "%s%s%s", argv[0], n > 1 ? " " : "", n > 1 ? argv[1] : "") >=
		    (int)sizeof(words))
			continue;
		for (const struct command *c = ctl_commands; c->name != NULL; c++)
			if (strcmp(c->name, words) == 0) {
				*used = n;
				return c;
			}
	}
	return NULL;
}

int
ctl_run(struct invocation *inv, int argc, char **argv)
{
	const struct command *c = inv->command;
	int result = parse_options(inv, argc, argv, "");

	if (result == SHOW_HELP) {
		help_command(c);
		return CTL_OK;
	}
	if (result == CTL_USAGE)
		return ctl_fail(inv, CTL_USAGE, "see sallyctl %s --help", c->name);
	if (result != GO_ON)
		return result;
	inv->argc = argc - optind;
	inv->argv = argv + optind;
	if (inv->argc < c->least || (c->most >= 0 && inv->argc > c->most))
		return ctl_fail(inv, CTL_USAGE, "too %s arguments; usage: sallyctl %s %s",
		    inv->argc < c->least ? "few" : "many", c->name, c->arguments);
	return c->run(inv);
}

/* No command of that name: say which one may have been meant. */
static int
unknown(const struct invocation *inv, int argc, char **argv)
{
	const char *nearest;

	if (argc == 0)
		return ctl_fail(inv, CTL_USAGE, "a command is missing; see sallyctl --help");
	if (help_is_group(argv[0]) && (argc == 1 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		help_group(argv[0]);
		return argc == 1 ? CTL_USAGE : CTL_OK;
	}
	nearest = help_nearest(argc > 1 && help_is_group(argv[0]) ? argv[1] : argv[0]);
	return ctl_fail(inv, CTL_USAGE, "there is no command %s%s%s%s%s%s", argv[0],
	    argc > 1 && help_is_group(argv[0]) ? " " : "", argc > 1 && help_is_group(argv[0]) ? argv[1] : "",
	    nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

/* sallyctl help, sallyctl help COMMAND */
static int
help_words(const struct invocation *inv, int argc, char **argv)
{
	const struct command *c;
	int used;

	if (argc == 0)
		help_all();
	else if ((c = ctl_find(argc, argv, &used)) != NULL)
		help_command(c);
	else if (help_is_group(argv[0]))
		help_group(argv[0]);
	else
		return unknown(inv, argc, argv);
	return CTL_OK;
}

int
main(int argc, char **argv)
{
	struct invocation inv = { .config = SP_SYSCONFDIR "/sallyport.conf" };
	int result, used, first;

	result = parse_options(&inv, argc, argv, "+");
	first = optind;
	if (result == SHOW_HELP) {
		help_all();
		result = CTL_OK;
	} else if (result == GO_ON && first < argc && strcmp(argv[first], "help") == 0)
		result = help_words(&inv, argc - first - 1, argv + first + 1);
	else if (result == GO_ON && (inv.command = ctl_find(argc - first, argv + first, &used)) == NULL)
		result = unknown(&inv, argc - first, argv + first);
	else if (result == GO_ON)
		/* getopt_long(3) wants a program name in front: the command's last word. */
		result = ctl_run(&inv, argc - first - used + 1, argv + first + used - 1);
	if (fflush(stdout) != 0 && result == CTL_OK)
		result = ctl_fail(&inv, CTL_FAILED, "standard output cannot be written");
	return result;
}
