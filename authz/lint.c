/* Puts the findings of all languages together; see lint.h. */
#include "authz/lint_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "authz/sftpplus.h"

const struct lint_row lint_rows[LINT_ID_COUNT] = {
#define LINT(name, word, severity, text, remedy) { word, LINT_##severity, text, remedy },
#include "authz/lint.def"
#undef LINT
};

static const struct language {
	const struct dialect *dialect;
	void (*look)(struct layer *, const struct lint_run *);
	void (*folders)(const struct layer *, lint_folder_found *, void *);
	void (*names)(const struct layer *, lint_folder_found *, void *);
} languages[] = {
	{ &dialect_sftpplus, lint_sftpplus, folders_sftpplus, names_sftpplus },
	{ &dialect_pyftpdlib, lint_pyftpdlib, folders_pyftpdlib, names_pyftpdlib },
	{ &dialect_ups, lint_ups, NULL, NULL },
};

static const struct language *
language_of(const struct layer *l)
{
	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
		if (languages[i].dialect == l->dialect)
			return &languages[i];
	return NULL;
}

void
lint_report(lint_found *found, void *context, enum lint_id id, const char *file, unsigned line, const char *fmt, ...)
{
	struct lint_finding f = { .id = id, .file = file, .line = line };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f.text, sizeof(f.text), fmt, ap);
	va_end(ap);
	found(context, &f);
}

/* Differences that are in the nature of the languages are not worth a word. */
#define TALKED_ABOUT                                                                                              \
	(AUTHZ_READ | AUTHZ_LIST | AUTHZ_CREATE | AUTHZ_OVERWRITE | AUTHZ_APPEND | AUTHZ_DELFILE | AUTHZ_DELDIR | \
	    AUTHZ_MKDIR | AUTHZ_RENFROM | AUTHZ_RENTO | AUTHZ_CHMOD | AUTHZ_MTIME)

void
lint_contradiction(const struct lint_run *run, const struct source *s, unsigned line, uint32_t rights, const char *rule)
{
	uint32_t lost = rights & ~run->others & TALKED_ABOUT;
	char words[200];

	if (lost)
		LINT_AT(run, CONTRADICTS, s, line, "%s gives %s, which %s never gives", rule,
		    authz_rights_text(lost, words, sizeof(words)), run->taker);
}

static void
look_at_layer(struct authz_policy *p, size_t n, lint_found *found, void *context)
{
	struct lint_run run = { p, found, context, AUTHZ_ALL, "another layer" };
	const struct language *lang = language_of(&p->layers[n]);
	int least = 32;

	if (!lang || p->layers[n].error)
		return;
	for (size_t i = 0; i < p->layer_count; i++) {
		uint32_t most = layer_most(&p->layers[i]);

		if (i == n || p->layers[i].prefix || p->layers[i].error)
			continue;
		run.others &= most;
		if (__builtin_popcount(most & TALKED_ABOUT) < least) {
			least = __builtin_popcount(most & TALKED_ABOUT);
			run.taker = p->layers[i].dialect->name;
		}
	}
	lang->look(&p->layers[n], &run);
}

static void
look_at_anonymous(struct authz_policy *p, lint_found *found, void *context)
{
	uint32_t all = p->layer_count ? AUTHZ_ALL : 0;
	char words[200];

	if (strcmp(p->subject.user, "anonymous") != 0 && strcmp(p->subject.user, "ftp") != 0)
		return;
	for (size_t i = 0; i < p->layer_count; i++)
		all &= layer_most(&p->layers[i]);
	all &= AUTHZ_OVERWRITE | AUTHZ_APPEND | AUTHZ_DELFILE | AUTHZ_DELDIR | AUTHZ_RENFROM | AUTHZ_CHMOD;
	if (all)
		lint_report(found, context, LINT_ID_ANONYMOUS_WRITES, p->layers[0].sources[0].file,
		    p->layers[0].sources[0].line, "anonymous clients have: %s",
		    authz_rights_text(all, words, sizeof(words)));
}

void
lint(struct authz_policy *p, lint_found *found, void *context)
{
	for (size_t i = 0; i < p->layer_count; i++)
		look_at_layer(p, i, found, context);
	lint_renames(p, found, context);
	look_at_anonymous(p, found, context);
}

void
lint_folders(struct authz_policy *p, lint_folder_found *found, void *context)
{
	for (size_t i = 0; i < p->layer_count; i++) {
		const struct language *lang = language_of(&p->layers[i]);

		if (lang && lang->folders && !p->layers[i].error)
			lang->folders(&p->layers[i], found, context);
	}
}

void
lint_names(struct authz_policy *p, lint_folder_found *found, void *context)
{
	for (size_t i = 0; i < p->layer_count; i++) {
		const struct language *lang = language_of(&p->layers[i]);

		if (lang && lang->names && !p->layers[i].error)
			lang->names(&p->layers[i], found, context);
	}
}

bool
lint_user_in_glob(const struct authz_policy *p, const char **file, unsigned *line)
{
	for (size_t i = 0; i < p->layer_count; i++) {
		const struct sftpplus *s = p->layers[i].state;

		if (p->layers[i].dialect != &dialect_sftpplus || p->layers[i].error)
			continue;
		for (uint32_t k = 0; k < s->rule_count; k++) {
			const struct path_rule *r = &s->rules[k];

			if (r->regex || !memmem(r->expression.at, r->expression.len, "${USER}", 7))
				continue;
			*file = r->set.source->file;
			*line = r->set.source->line + r->set.line;
			return true;
		}
	}
	return false;
}
