/*
 * What every command of sallyctl shares: the table's row, the parsed command
 * line, exit codes, messages.  Only files of ctl/ use it.  Everything on a
 * command line comes from the administrator who typed it; texts that come
 * from files, clients or the server are escaped before a terminal sees them.
 *
 * To add a command: a row in commands.def, a handler, and, when it needs an
 * option that no command has yet, a row in options.def.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json.h"

enum ctl_exit {
#define CTL_EXIT(name, number, meaning) name = number,
#include "ctl/exits.def"
#undef CTL_EXIT
};

/* Options: OPT_DEFAULT and so on number them; a row of commands.def or's O(DEFAULT). */
enum ctl_option {
#define OPTION(NAME, letter, longname, argument, help) OPT_##NAME,
#include "ctl/options.def"
#undef OPTION
	OPT_COUNT
};

#define O(NAME) (UINT64_C(1) << OPT_##NAME)

struct command;

/* One parsed command line. Strings belong to argv. */
struct invocation {
	const struct command *command;
	bool json;			/* --json */
	bool quiet;			/* --quiet */
	const char *config;		/* --config, or where the build put it */
	const char *socket;		/* --socket; NULL: as the configuration says, see ctl_conf_socket() */
	int argc;			/* what follows the command's name and options */
	char **argv;
	unsigned count[OPT_COUNT];	/* how often an option was given */
	const char *value[OPT_COUNT];	/* its last argument */
};

typedef int command_handler(struct invocation *);

/* A row of commands.def. */
struct command {
	const char *name;		/* one word or two: "who", "acl get" */
	command_handler *run;		/* returns an enum ctl_exit */
	const char *arguments;		/* as --help shows them */
	int least, most;		/* number of arguments; most -1: any */
	uint64_t options;
	bool server;			/* works only while the server runs */
	const char *help;		/* one sentence */
};

#define COMMAND(name, run, arguments, least, most, options, server, help) command_handler run;
#include "ctl/commands.def"
#undef COMMAND

/* All commands, ended by a row without a name. */
extern const struct command ctl_commands[];

/* The row that the first words of argv name; *used tells how many. NULL: none. */
const struct command *ctl_find(int argc, char **argv, int *used);

/* Parses options and arguments of inv->command and runs it. Returns the exit code. */
int ctl_run(struct invocation *, int argc, char **argv);

/* What an import says of a line, or of the whole file (line 0), on stderr. */
void ctl_finding(
    const struct invocation *, const char *path, unsigned line, const char *name, const char *value, const char *why);
/* Answers one HTTP request on standard input and output with the metrics in this file. Returns an exit code. */
int scrape_answer(const struct invocation *, const char *path);

/* "sallyctl acl get: TEXT" on stderr; returns code, so that handlers end with return ctl_fail(...). */
int ctl_fail(const struct invocation *, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same for "what: the system's or our reason for code". */
int ctl_fail_code(const struct invocation *, int exit_code, const char *what, int code);
/* Drops the lines of a log that the other floors write to stderr, while a command says the same in full. */
void ctl_hush_log(bool hush);

/* Prints foreign text on stdout with control bytes escaped, but for tabs and line ends. */
void ctl_print_safe(const char *text);
/* The same for a name, which is one line: tabs and line ends are escaped, too. */
void ctl_print_name(const char *name);

/* Writes the JSON text and a newline; the writer is freed. CTL_OK, or CTL_FAILED when out of memory. */
int ctl_print_json(const struct invocation *, struct json *);

/* Help texts (help.c). */
void help_all(void);
void help_group(const char *group);
void help_command(const struct command *);
/* Does any command begin with this word and have a second one? */
bool help_is_group(const char *word);
/* The known name nearest to a mistyped one, or NULL. */
const char *help_nearest(const char *word);

#endif
