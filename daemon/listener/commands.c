#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/conf_show.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "daemon/listener/commands.h"
#include "privsep/role.h"
#include "privsep/sandbox.h"

/* What these commands take; NULL and false: not given. */
struct words {
	const char *subject, *listener;
	bool json, elsewhere;
};

/* Reads the words behind the command's name. false: one is not known. */
static bool
parse_words(struct words *w, int argc, char **argv, bool show)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			w->json = true;
		else if (!show && strcmp(argv[i], "--elsewhere") == 0)
			w->elsewhere = true;
		else if (show && strcmp(argv[i], "--for") == 0 && i + 1 < argc)
			w->subject = argv[++i];
		else if (show && strcmp(argv[i], "--listener") == 0 && i + 1 < argc)
			w->listener = argv[++i];
		else
			return false;
	}
	return true;
}

/* The program of that name beside this one, or the installed one. */
static const char *
find_sallyctl(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - sizeof "sallyctl");
	char *slash;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		if (slash != NULL && str_copy(slash + 1, sizeof "sallyctl", "sallyctl") == 0 && access(path, X_OK) == 0)
			return path;
	}
	return SP_BINDIR "/sallyctl";
}

int
command_check_config(const char *conf_path, int argc, char **argv)
{
	struct words w = { .json = false };
	char path[4096];
	const char *program;

	if (!parse_words(&w, argc, argv, false)) {
		fprintf(stderr, "Usage: sallyportd check-config [--elsewhere] [--json]\n");
		return SP_EXIT_USAGE;
	}
	/*
	 * Rules, certificates and accounts are for a program that has the libraries; without it the files' own
	 * rules remain.
	 */
	program = find_sallyctl(path, sizeof path);
	if (access(program, X_OK) == 0)
		execl(program, "sallyctl", "--config", conf_path, "check", w.elsewhere ? "--elsewhere" : w.json ? "--json" : NULL,
		    w.elsewhere && w.json ? "--json" : NULL, NULL);
	return conf_check_command(stdout, conf_path, w.json);
}

/*
 * What holds for an account is known to its source, a database for instance, and no source is part of this program.
 * Does not return unless that fails.  sallyctl's exit codes for a wrong command line and a wrong configuration are
 * ours.
 */
static int
ask_sallyctl(const char *conf_path, const struct words *w)
{
	const char *argv[12] = { "sallyctl", "--config", conf_path, "config", "show", "--for", w->subject };
	size_t n = 7;
	char path[4096];
	const char *program = find_sallyctl(path, sizeof path);

	if (w->listener != NULL) {
		argv[n++] = "--listener";
		argv[n++] = w->listener;
	}
	if (w->json)
		argv[n++] = "--json";
	execv(program, (char *const *)(uintptr_t)argv);
	fprintf(stderr, "sallyportd: %s: %s\n", program, strerror(errno));
	return SP_EXIT_OS;
}

int
command_show_config(const char *conf_path, int argc, char **argv)
{
	struct words w = { .json = false };

	if (!parse_words(&w, argc, argv, true)) {
		fprintf(stderr, "Usage: sallyportd show-config [--for USER[,ADDRESS]] [--listener NAME] [--json]\n");
		return SP_EXIT_USAGE;
	}
	if (w.subject != NULL && w.subject[0] != ',')
		return ask_sallyctl(conf_path, &w);
	return conf_show_command(stdout, conf_path, w.subject, w.listener, w.json);
}

int
command_print_roles(const char *conf_path, int argc, char **argv)
{
	(void)conf_path;
	if (argc != 1) {
		fprintf(stderr, "sallyportd %s takes no argument\n", argv[0]);
		return SP_EXIT_USAGE;
	}
	role_print(stdout);
	sandbox_print(stdout);
	return SP_EXIT_OK;
}
