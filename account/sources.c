#include "config.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "account/account.h"
#include "account/hashes.h"
#include "account/password.h"
#include "account/refusal.h"
#include "account/source.h"
#include "account/turn.h"
#include "account/unix.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

static const struct account_source *const built_in[] = {
	&source_config, &source_passwd_file, &source_external, &source_anonymous, &source_shadow, &source_pam
};

/* Modules: their libraries are mapped only where accounts names them. */
static const char *const modules[] = { "database", "postgresql" };

static const char *const reason_words[] = {
#define REASON_ROW(name, word, meaning) word,
	ACCOUNT_REASONS(REASON_ROW)
#undef REASON_ROW
};

static const char *const result_words[] = {
#define RESULT_ROW(name, word) word,
	ACCOUNT_RESULTS(RESULT_ROW)
#undef RESULT_ROW
};

const char *
account_reason_word(enum account_reason r)
{
	return (unsigned)r < REASON_COUNT ? reason_words[r] : "?";
}

const char *
account_result_word(enum account_result r)
{
	return (size_t)r < sizeof result_words / sizeof *result_words ? result_words[r] : "?";
}

/* Loads the module from the folder of the running program, wherever that is installed. */
static const struct account_source *
load_module(const char *name)
{
	char path[PATH_MAX], symbol[64];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash;
	void *module, *source;

	path[n < 0 ? 0 : n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || str_format(symbol, sizeof symbol, "source_%s", name) != 0 ||
	    str_format(slash, sizeof path - (size_t)(slash - path), "/sallyport-source-%s.so", name) != 0)
		return NULL;
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	source = module == NULL ? NULL : dlsym(module, symbol);
	if (source == NULL)
		log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, dlerror(), 0);
	return source;
}

const struct account_source *
account_source_named(const char *name)
{
	for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
		if (str_same(built_in[i]->name, name))
			return built_in[i];
	if (account_sources_linked != NULL) {
		for (size_t i = 0; account_sources_linked[i] != NULL; i++)
			if (str_same(account_sources_linked[i]->name, name))
				return account_sources_linked[i];
		return NULL;
	}
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
		if (str_same(modules[i], name))
			return load_module(modules[i]);
	return NULL;
}

static bool
is_open(const struct account_sources *s, const struct account_source *source)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->entry[i].source == source)
			return true;
	return false;
}

/* Opens those of a list that are not open yet. */
static int
open_listed(struct account_sources *s, const struct conf_list *names)
{
	for (size_t i = 0; i < names->n; i++) {
		const struct account_source *source = account_source_named(names->v[i]);
		void *state = NULL;
		int r;

		if (source == NULL || s->count == ACCOUNT_SOURCES_MAX) {
			log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, names->v[i], 0);
			return SP_EFORMAT;
		}
		if (is_open(s, source))
			continue;
		r = source->open == NULL ? 0 : source->open(s->conf, &state);
		if (r != 0) {
			log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, source->name, r);
			return r;
		}
		s->entry[s->count++] = (struct account_opened){ source, state };
	}
	return 0;
}

int
account_sources_open(struct account_sources *s, const struct conf *conf)
{
	const struct settings *server = conf_server(conf);
	int r;

	*s = (struct account_sources){ .conf = conf };
	unix_warm_up();
	password_set_cost((unsigned)server->password_cost);
	r = turn_open(server->password_memory);
	if (r == 0)
		r = unix_forbid_groups(server->refused_groups.v, server->refused_groups.n);
	if (r == 0)
		r = open_listed(s, &server->accounts);
	for (const struct conf_section *l = NULL; r == 0 && (l = conf_section_next(conf, SC_LISTENER, l)) != NULL;) {
		struct conf_subject subject = { .listener = conf_section_name(l) };
		struct conf_resolved resolved;

		r = conf_resolve(conf, &subject, &resolved);
		if (r == 0) {
			r = open_listed(s, &resolved.s.accounts);
			conf_resolved_free(&resolved);
		}
	}
	return r;
}

/* A listener may have accounts of its own. */
static void
look_at_hashes(const struct account_sources *s, const char *listener, const struct settings *base)
{
	const struct account_query q = { .user = "", .listener = listener, .base = base, .host = "" };

	hashes_update(s, &q);
}

int
account_sources_warm_up(struct account_sources *s)
{
	int r = hashes_open();

	if (r != 0)
		return r;
	look_at_hashes(s, "", conf_server(s->conf));
	for (const struct conf_section *l = NULL; (l = conf_section_next(s->conf, SC_LISTENER, l)) != NULL;) {
		struct conf_subject subject = { .listener = conf_section_name(l) };
		struct conf_resolved resolved;

		if (conf_resolve(s->conf, &subject, &resolved) != 0)
			continue;
		look_at_hashes(s, subject.listener, &resolved.s);
		conf_resolved_free(&resolved);
	}
	refusal_prepare(s);
	return 0;
}

void
account_sources_close(struct account_sources *s)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->entry[i].source->close != NULL)
			s->entry[i].source->close(s->entry[i].state);
	s->count = 0;
}
