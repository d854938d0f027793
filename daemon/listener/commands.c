#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "daemon/listener/commands.h"
#include "privsep/role.h"
#include "privsep/sandbox.h"

static int
load(const char *path, struct conf **conf)
{
	int n;

	*conf = conf_new();
	if (*conf == NULL)
		return SP_EXIT_OS;
	n = conf_load(*conf, path);
	if (n < 0)
		fprintf(stderr, "sallyportd: %s: %s\n", path, sp_strerror(n));
	for (size_t i = 0; i < conf_problem_count(*conf); i++) {
		char text[2048];

		/* What is longer than this is cut. */
		(void)conf_problem_text(conf_problem_at(*conf, i), text, sizeof text);
		puts(text);
	}
	return n == 0 ? SP_EXIT_OK : SP_EXIT_CONFIG;
}

int
command_check_config(const char *conf_path, int argc, char **argv)
{
	struct conf *c;
	int r;

	if (argc != 1) {
		fprintf(stderr, "sallyportd %s takes no argument\n", argv[0]);
		return SP_EXIT_USAGE;
	}
	r = load(conf_path, &c);
	if (r == SP_EXIT_OK)
		printf("%s: no mistakes\n", conf_path);
	conf_free(c);
	return r;
}

static void
print_settings(const struct conf_resolved *r)
{
	for (int k = 0; k < K_COUNT; k++) {
		const struct conf_origin *o = &r->origin[k];
		char text[4096];

		conf_value_text(&r->s, (enum conf_key_id)k, text, sizeof text);
		printf("%-26s = %s\t# %s", conf_keys[k].name, text, o->file);
		if (o->line != 0)
			printf(":%u [%s]", o->line, o->section);
		putchar('\n');
	}
}

int
command_show_config(const char *conf_path, int argc, char **argv)
{
	struct conf_subject subject = { 0 };
	struct conf_resolved resolved;
	struct addr peer;
	struct conf *c;
	char *comma;
	int r;

	if (argc != 1 && (argc != 3 || strcmp(argv[1], "--for") != 0)) {
		fprintf(stderr, "Usage: sallyportd show-config [--for USER[,ADDRESS]]\n");
		return SP_EXIT_USAGE;
	}
	r = load(conf_path, &c);
	if (r != SP_EXIT_OK)
		return r;
	if (argc == 3) {
		comma = strchr(argv[2], ',');
		if (comma != NULL && addr_parse(&peer, comma + 1, 0) != 0) {
			fprintf(stderr, "sallyportd: %s: not an address\n", comma + 1);
			return SP_EXIT_USAGE;
		}
		subject.peer = comma == NULL ? NULL : &peer;
		if (comma != NULL)
			*comma = '\0';
		subject.user = argv[2];
	}
	if (conf_resolve(c, &subject, &resolved) != 0) {
		fprintf(stderr, "sallyportd: %s\n", resolved.error);
		return SP_EXIT_CONFIG;
	}
	print_settings(&resolved);
	conf_resolved_free(&resolved);
	conf_free(c);
	return SP_EXIT_OK;
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
