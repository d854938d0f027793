/* --help, from the tables. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static const struct {
	const char *name, *argument, *help;
	int letter;
} option_rows[OPT_COUNT] = {
#define OPTION(NAME, letter, longname, argument, help) { longname, argument, help, letter },
#include "ctl/options.def"
#undef OPTION
};

static void
print_option(int letter, const char *name, const char *argument, const char *help)
{
	char left[64], dash[4] = "   ";

	if (letter != 0)
		snprintf(dash, sizeof(dash), "-%c,", letter);
	snprintf(left, sizeof(left), "%s --%s%s%s", dash, name, argument != NULL ? " " : "",
	    argument != NULL ? argument : "");
	printf("  %-26s %s\n", left, help);
}

static void
common_help(void)
{
	print_option('j', "json", NULL, "answer in JSON");
	print_option('q', "quiet", NULL, "no progress, no remarks");
	print_option('c', "config", "FILE", "the configuration (" SP_SYSCONFDIR "/sallyport.conf)");
	print_option(
	    's', "socket", "PATH", "the server's control socket (default: control_socket of the configuration)");
	print_option('h', "help", NULL, "this text; after a command, its own");
	print_option('V', "version", NULL, "print the version");
}

static void
exit_help(void)
{
	printf("\nExit status:\n");
#define CTL_EXIT(name, number, meaning) printf("  %-3d %s\n", number, meaning);
#include "ctl/exits.def"
#undef CTL_EXIT
}

static void
row_help(const struct command *c)
{
	char left[128];

	snprintf(left, sizeof(left), "%s%s%s", c->name, *c->arguments != '\0' ? " " : "", c->arguments);
	if (strlen(left) > 38)
		printf("  %s\n  %-38s %s\n", left, "", c->help);
	else
		printf("  %-38s %s\n", left, c->help);
}

void
help_all(void)
{
	printf("sallyctl " PACKAGE_VERSION ": administer the FTP server sallyport\n\n"
	    "Usage: sallyctl [OPTION]... COMMAND [OPTION]... [ARGUMENT]...\n\n"
	    "Commands (* asks the running server):\n");
	for (const struct command *c = ctl_commands; c->name != NULL; c++) {
		printf(c->server ? "*" : " ");
		row_help(c);
	}
	printf("\nOptions of every command:\n");
	common_help();
	exit_help();
	printf("\nsallyctl COMMAND --help tells more; so does sallyctl(8).\n");
}

void
help_group(const char *group)
{
	size_t n = strlen(group);

	printf("Commands of sallyctl %s:\n", group);
	for (const struct command *c = ctl_commands; c->name != NULL; c++)
		if (strncmp(c->name, group, n) == 0 && c->name[n] == ' ')
			row_help(c);
}

void
help_command(const struct command *c)
{
	printf("Usage: sallyctl %s [OPTION]...%s%s\n\n%s\n", c->name, *c->arguments != '\0' ? " " : "", c->arguments,
	    c->help);
	if (c->server)
		printf("Asks the running server.\n");
	printf("\nOptions:\n");
	for (unsigned i = 0; i < OPT_COUNT; i++)
		if ((c->options & UINT64_C(1) << i) != 0)
			print_option(option_rows[i].letter, option_rows[i].name, option_rows[i].argument,
			    option_rows[i].help);
	common_help();
	exit_help();
}

bool
help_is_group(const char *word)
{
	size_t n = strlen(word);

	for (const struct command *c = ctl_commands; c->name != NULL; c++)
		if (strncmp(c->name, word, n) == 0 && c->name[n] == ' ')
			return true;
	return false;
}

/* Levenshtein's distance of two short words; long ones are infinitely apart. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[33], corner, next;
	size_t n = strlen(a), m = strlen(b);

	if (n > 32 || m > 32)
		return 99;
	for (size_t j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		corner = row[0]++;
		for (size_t j = 1; j <= m; j++) {
			next = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			next = next < row[j] + 1 ? next : row[j] + 1;
			row[j] = next < row[j - 1] + 1 ? next : row[j - 1] + 1;
		}
	}
	return row[m];
}

const char *
help_nearest(const char *word)
{
	const char *best = NULL, *name, *second;
	/* Beyond a third of the word, likeness is chance. */
	unsigned least = (unsigned)(strlen(word) + 2) / 3 + 1, d;

	if (least > 3)
		least = 3;
	for (const struct command *c = ctl_commands; c->name != NULL; c++) {
		name = c->name;
		second = strchr(name, ' ');
		d = distance(word, name);
		if (second != NULL && distance(word, second + 1) < d)
			d = distance(word, second + 1);
		if (d < least) {
			least = d;
			best = c->name;
		}
	}
	return best;
}
