/*
 * From the configuration to the engine: how a layer's section becomes a scope,
 * and the settings that choose between readings of unclear rules.  Inline, so
 * that a role may use it without linking the engine.
 */
#ifndef AUTHZ_SETTINGS_H
#define AUTHZ_SETTINGS_H

#include <string.h>
#include <sys/stat.h>

#include "authz/authz.h"
#include "common/conf.h"

/* s: the resolved settings of the account, for its primary group. */
static inline enum authz_scope
authz_scope_of(const struct conf_layer *l, const struct settings *s)
{
	static const struct { enum conf_scope section; enum authz_scope scope; } rows[] = {
		{ SC_CLASS, AUTHZ_SCOPE_CLASS }, { SC_GROUP, AUTHZ_SCOPE_GROUP }, { SC_ACCOUNT, AUTHZ_SCOPE_ACCOUNT },
	};
	const char *group = l->scope == SC_GROUP && strncmp(l->section, "group ", 6) == 0 ? l->section + 6 : NULL;

	if (group && s->groups.n > 0 && strcmp(group, s->groups.v[0]) != 0)
		return AUTHZ_SCOPE_OTHER_GROUP;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (l->scope == rows[i].section)
			return rows[i].scope;
	return AUTHZ_SCOPE_SERVER;
}

/* The subject's choices; keys and words are those of choices.def. */
static inline uint32_t
authz_choices_of(const struct settings *s)
{
	uint32_t choices = 0;

#define CHOICE(NAME, bit, key, value, other, text) choices |= s->key == 1 ? (uint32_t)AUTHZ_##NAME : 0;
#include "authz/choices.def"
#undef CHOICE
	return choices;
}

/*
 * Does the setting download_only keep a file from a session that runs as who? NULL, or why.  The mode is looked at as
 * chmod(2) left it.
 */
static inline const char *
authz_withheld(const struct settings *s, mode_t mode, uid_t owner, uid_t who)
{
	if (s->download_only == CONF_DOWNLOAD_WORLD && (mode & S_IROTH) == 0)
		return "download_only = world_readable: others may not read the file (o+r)";
	if (s->download_only == CONF_DOWNLOAD_OTHERS && owner == who)
		return "download_only = not_own: the file belongs to the user that the session runs as";
	return NULL;
}

#endif
