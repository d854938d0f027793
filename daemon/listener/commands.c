#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/conf_show.h"
#include "common/exitcode.h"
#include "daemon/listener/commands.h"
#include "privsep/role.h"
#include "privsep/sandbox.h"

/* What these commands take; NULL and false: not given. */
struct words {
	const char *subject, *listener;
	bool json;
};

/* Reads the words behind the command's name. false: one is not known. */
static bool
parse_words(struct words *w, int argc, char **argv, bool show)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			w->json = true;
		else if (show && strcmp(argv[i], "--for") == 0 && i + 1 < argc)
			w->subject = argv[++i];
		else if (show && strcmp(argv[i], "--listener") == 0 && i + 1 < argc)
			w->listener = argv[++i];
		else
			return false;
	}
	return true;
}

int
command_check_config(const char *conf_path, int argc, char **argv)
{
	struct words w = { .json = false };

	if (!parse_words(&w, argc, argv, false)) {
		fprintf(stderr, "Usage: sallyportd check-config [--json]\n");
		return SP_EXIT_USAGE;
	}
	return conf_check_command(stdout, conf_path, w.json);
}

int
command_show_config(const char *conf_path, int argc, char **argv)
{
	struct words w = { .json = false };

	if (!parse_words(&w, argc, argv, true)) {
		fprintf(stderr, "Usage: sallyportd show-config [--for USER[,ADDRESS]] [--listener NAME] [--json]\n");
		return SP_EXIT_USAGE;
	}
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
