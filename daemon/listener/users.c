#include "config.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/server.h"
#include "daemon/listener/users.h"

/*
 * Numbers that Debian's policy (9.2.2) and systemd leave to nobody in particular: above those of people and
 * packages.
 */
#define FREE_FIRST	64101
#define FREE_LAST	64999
#define ROLES		3

static const struct user {
	const char *key, *name;		/* the setting, its default */
} users[ROLES] = {
	{ "worker_user", "sallyport" }, { "monitor_user", "sallyport-monitor" }, { "keeper_user", "sallyport-keeper" },
};

static const char *
setting_of(const struct settings *s, size_t i)
{
	const char *const text[ROLES] = { s->worker_user, s->monitor_user, s->keeper_user };

	return text[i];
}

/* ------------------------------------------------------------------- choosing */

/* The next number that is nobody's, from `from` on; 0: there is none. */
static unsigned
free_number(unsigned from)
{
	for (unsigned n = from; n <= FREE_LAST; n++)
		if (getpwuid(n) == NULL && getgrgid(n) == NULL)
			return n;
	return 0;
}

void
users_choose(struct conf *c)
{
	unsigned next = FREE_FIRST;
	char text[32], why[128];

	for (size_t i = 0; geteuid() == 0 && i < ROLES; i++) {
		const char *now = setting_of(conf_server(c), i);
		struct role_id id;
		unsigned n;

		if (now == NULL || strcmp(now, users[i].name) != 0 || role_find_user(now, &id) != -ENOENT)
			continue;
		n = free_number(next);
		next = n + 1;
		if (n == 0 || str_format(text, sizeof text, "%u:%u", n, n) != 0 ||
		    conf_set(c, SC_SERVER, NULL, users[i].key, text, why, sizeof why) != 0)
			return;		/* users_find() names what is missing */
		fprintf(stderr, "sallyportd: there is no user %s; using number %u, which nobody else has\n", users[i].name, n);
	}
}

/* -------------------------------------------------------------------- finding */

static void
say_missing(const char *settings, const char *commands, bool root)
{
	struct log_line l;

	log_begin(&l, EVENT_ROLE_USER_UNUSABLE);
	log_str(&l, FIELD_SETTING, settings);
	if (*commands != '\0')
		log_str(&l, FIELD_HINT, commands);
	if (root)
		log_str(&l, FIELD_REASON, "a role that runs as root is not separated from root");
	log_end(&l);
}

/* All that cannot be used, and the commands that create what is missing. */
static void
report(const struct settings *s, const int *result)
{
	char *settings = NULL, *commands = NULL;
	size_t n = 0, m = 0;
	FILE *what = open_memstream(&settings, &n), *create = open_memstream(&commands, &m);
	bool root = false;

	for (size_t i = 0; what != NULL && create != NULL && i < ROLES; i++) {
		if (result[i] == 0)
			continue;
		fprintf(what, "%s%s = %s", ftell(what) > 0 ? ", " : "", users[i].key, setting_of(s, i));
		root = root || result[i] == SP_EDENIED;
		if (result[i] != SP_EDENIED)
			fprintf(create, "%suseradd --system --no-create-home --shell /usr/sbin/nologin %s", ftell(create) > 0 ? " && " : "",
			    setting_of(s, i));
	}
	if (what != NULL)
		fclose(what);
	if (create != NULL)
		fclose(create);
	if (settings != NULL && commands != NULL)
		say_missing(settings, commands, root);
	free(settings);
	free(commands);
}

int
users_find(struct server *s)
{
	struct role_id *const id[ROLES] = { &s->worker, &s->monitor, &s->keeper_id };
	int result[ROLES] = { 0 }, first = 0;

	for (size_t i = 0; i < ROLES; i++) {
		if (!s->root) {
			*id[i] = s->self;
			continue;
		}
		result[i] = role_find_user(setting_of(s->settings, i), id[i]);
		if (result[i] == 0 && id[i]->uid == 0)
			result[i] = SP_EDENIED;
		if (first == 0)
			first = result[i];
	}
	if (first != 0)
		report(s->settings, result);
	return first;
}
