/*
 * What holds for whom: account over groups over class over listener over
 * server over default, and where each value came from.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/str.h"

#define GROUPS_MAX 64		/* groups of one account that are looked at */

/* The sections that apply, the most general one first. */
struct chain {
	const struct conf_section *v[GROUPS_MAX + 4];
	size_t n;
};

static void *
member(struct settings *s, const struct conf_key *k)
{
	return (char *)s + k->offset;
}

static void
apply_value(struct conf_resolved *r, const struct conf_value *v, const char *section)
{
	const struct conf_key *k = CONF_ROW(v->key);

	if (k->type == CONF_LAYERS)
		return;
	memcpy(member(&r->s, k), v->data, k->size);
	r->origin[v->key] = (struct conf_origin){ v->file, v->line, section };
}

static void
apply_section(struct conf_resolved *r, const struct conf_section *s)
{
	for (size_t i = 0; i < s->n; i++)
		apply_value(r, &s->v[i], s->label);
}

/* ----------------------------------------------------- groups and class of a subject */

/* The parsed value of a key for the account alone: its pairs, or else its section. NULL: not set. */
static const void *
own_value(const struct conf_value *pairs, size_t pair_count, const struct conf_section *account, enum conf_key_id key)
{
	const struct conf_value *v = NULL;

	for (size_t i = 0; i < pair_count; i++)
		if (pairs[i].key == key)
			v = &pairs[i];
	if (v == NULL && pair_count == 0 && account != NULL)
		v = conf_section_get(account, key);
	return v == NULL ? NULL : v->data;
}

/*
 * A section that an account names and that is not there might have taken something away: what is
 * left is not decided on.
 */
static int
no_section(struct conf_resolved *r, const struct conf_subject *who, const char *kind, const char *name)
{
	char shown[128];

	str_escape(shown, sizeof shown, name, strlen(name));
	(void)str_format(r->error, sizeof r->error, "%s: there is no section [%s %s]",
	    who->pairs_origin != NULL ? who->pairs_origin : "account", kind, shown);
	return SP_EFORMAT;
}

/* 0, SP_EFORMAT or -E2BIG. */
static int
find_groups(const struct conf *c, const struct conf_subject *who, const struct conf_list *named, struct conf_resolved *r,
    struct chain *dst)
{
	const char *const *names = who->groups != NULL ? who->groups : named != NULL ? named->v : NULL;
	size_t count = who->groups != NULL ? who->group_count : named != NULL ? named->n : 0;

	dst->n = 0;
	if (count > GROUPS_MAX) {
		(void)str_format(r->error, sizeof r->error, "groups: more than %d are named", GROUPS_MAX);
		return -E2BIG;
	}
	for (size_t i = 0; i < count; i++) {
		const struct conf_section *s = conf_section_find(c, SC_GROUP, names[i]);

		if (s == NULL)
			return no_section(r, who, "group", names[i]);
		dst->v[dst->n++] = s;
	}
	return 0;
}

static bool
in_group(const struct conf_subject *who, const struct conf_section *const *groups, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(groups[i]->name, name) == 0)
			return true;
	for (size_t i = 0; i < who->unix_group_count; i++)
		if (strcmp(who->unix_groups[i], name) == 0)
			return true;
	return false;
}

static bool
is_member(const struct conf_section *class, const struct conf_subject *who, const struct conf_section *const *groups,
    size_t n)
{
	const struct conf_value *members = conf_section_get(class, K_members), *from = conf_section_get(class, K_from);
	const struct conf_list *list = members == NULL ? NULL : members->data;
	bool found = list == NULL && from != NULL;

	for (size_t i = 0; list != NULL && i < list->n; i++) {
		const char *word = list->v[i];

		found = found || strcmp(word, "all") == 0 || (who->user != NULL && strcmp(word, who->user) == 0) ||
		    (word[0] == '@' && in_group(who, groups, n, word + 1));
	}
	return found && (from == NULL || (who->peer != NULL && addr_nets_have(from->data, who->peer)));
}

/* Sets r->class. 0 or SP_EFORMAT. */
static int
find_class(const struct conf *c, const struct conf_subject *who, const char *named, const struct chain *groups,
    struct conf_resolved *r)
{
	const struct conf_section *s = NULL;
	const struct conf_value *v;

	for (size_t i = 0; i < groups->n && named == NULL; i++)
		if ((v = conf_section_get(groups->v[i], K_class)) != NULL)
			named = *(const char *const *)v->data;
	if (named != NULL) {
		r->class = conf_section_find(c, SC_CLASS, named);
		return r->class != NULL ? 0 : no_section(r, who, "class", named);
	}
	if (who->user != NULL)
		while ((s = conf_section_next(c, SC_CLASS, s)) != NULL && !is_member(s, who, groups->v, groups->n))
			;
	r->class = s;
	return 0;
}

/* ------------------------------------------------------------------------- layers */

static void
append_layers(struct conf_layers *to, struct conf_layer *dst, const struct conf_value *v, enum conf_key_id key,
    enum conf_scope scope, const char *section)
{
	const struct conf_layers *more = v->data;

	if (v->key != key)
		return;
	for (size_t i = 0; i < more->n; i++) {
		dst[to->n] = more->v[i];
		dst[to->n].scope = scope;
		dst[to->n++].section = section;
	}
}

/* What the account's source stores, parsed, and the section that it would be. */
struct own_pairs {
	const struct conf_value *v;
	size_t count;
	const char *label;
};

/* An array of all layers under a key in these sections and values. */
static int
gather(struct arena *a, const struct chain *chain, const struct own_pairs *own, enum conf_key_id key,
    struct conf_layers *out)
{
	size_t most = own->count;
	struct conf_layer *v;

	for (size_t i = 0; i < chain->n; i++)
		most += chain->v[i]->n;
	v = arena_alloc(a, (most + 1) * sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	*out = (struct conf_layers){ 0, v };
	for (size_t i = 0; i < chain->n; i++)
		for (size_t j = 0; j < chain->v[i]->n; j++)
			append_layers(out, v, &chain->v[i]->v[j], key, chain->v[i]->kind, chain->v[i]->label);
	for (size_t i = 0; i < own->count; i++)
		append_layers(out, v, &own->v[i], key, SC_ACCOUNT, own->label);
	return 0;
}

/* default_layer of the most special section that has one. */
static int
default_layers(struct arena *a, const struct chain *chain, struct conf_layers *out)
{
	for (size_t i = chain->n; i-- > 0;)
		if (conf_section_sets(chain->v[i], K_default_layer)) {
			struct chain one = { .v = { chain->v[i] }, .n = 1 };

			return gather(a, &one, &(const struct own_pairs){ .count = 0 }, K_default_layer, out);
		}
	return 0;
}

static int
apply_layers(struct conf_resolved *r, const struct chain *chain, const struct own_pairs *own)
{
	struct conf_layers restricted = r->s.layer;	/* from restrict_mode, if any */
	int e;

	e = gather(r->arena, chain, own, K_layer, &r->s.layer);
	if (e != 0 || (e = default_layers(r->arena, chain, &r->s.default_layer)) != 0)
		return e;
	if (restricted.n > 0) {
		struct conf_layer *v = arena_alloc(r->arena, (r->s.layer.n + restricted.n) * sizeof *v);

		if (v == NULL)
			return -ENOMEM;
		memcpy(v, restricted.v, restricted.n * sizeof *v);
		if (r->s.layer.n > 0)
			memcpy(v + restricted.n, r->s.layer.v, r->s.layer.n * sizeof *v);
		r->s.layer = (struct conf_layers){ r->s.layer.n + restricted.n, v };
	}
	if (r->s.layer.n == 0)
		r->s.layer = r->s.default_layer;
	if (r->s.layer.n > 0)
		r->origin[K_layer] = (struct conf_origin){ r->s.layer.v[0].file, r->s.layer.v[0].line, "" };
	return 0;
}

/* ------------------------------------------------------------------ special keys */

/* Appends a permission string to the layer that restrict_mode stands for. */
static int
restrict_item(struct conf_resolved *r, const char *item, const struct conf_value *v, struct conf_layer *layer)
{
	const char *place = strchr(item, '=');

	if (item[0] == '+' || item[0] == '-') {
		layer->text = arena_format(r->arena, "%s%s%s", layer->text, layer->text[0] == '\0' ? "" : " ", item);
		return layer->text == NULL ? -ENOMEM : 0;
	}
	r->s.jail = strcmp(item, "unrestricted") != 0;
	r->origin[K_jail] = r->origin[K_restrict_mode];
	if (place == NULL)
		return 0;
	/* A folder below the home, or one for all. */
	r->s.home = strncmp(item, "root=", 5) == 0 ? arena_strdup(r->arena, place + 1) :
	    arena_format(r->arena, "%s/%s", r->s.home == NULL ? "${OS_HOME}" : r->s.home, place + 1);
	r->origin[K_home] = (struct conf_origin){ v->file, v->line, r->origin[K_restrict_mode].section };
	return r->s.home == NULL ? -ENOMEM : 0;
}

/* Carries out restrict_mode: place items set jail and home, permission strings make a layer. */
static int
apply_restrict_mode(struct conf_resolved *r, const struct conf_section *class)
{
	const struct conf_value *v = class == NULL ? NULL : conf_section_get(class, K_restrict_mode);
	const char *p = v == NULL ? NULL : *(const char *const *)v->data;
	struct conf_layer *layer = arena_alloc(r->arena, sizeof *layer);
	int e = 0;

	if (layer == NULL)
		return -ENOMEM;
	if (p == NULL)
		return 0;
	*layer = (struct conf_layer){ "ups", "", "", v->file, v->line, SC_CLASS, class->label };
	/* A permission string alone stands in the place of homedir: not jailed. */
	r->s.jail = false;
	for (size_t n; e == 0 && *p != '\0'; p += n + (p[n] == ',')) {
		char *item;

		p += strspn(p, " \t");
		n = strcspn(p, ",");
		item = arena_strndup(r->arena, p, n);
		e = item == NULL ? -ENOMEM : restrict_item(r, item, v, layer);
	}
	if (layer->text[0] != '\0')
		r->s.layer = (struct conf_layers){ 1, layer };
	return e;
}

/* What cannot simply be overridden. */
static void
apply_strictest(
    const struct conf *c, struct conf_resolved *r, const struct conf_section *listener, const struct chain *groups)
{
	const struct conf_section *const places[] = { listener, conf_section_find(c, SC_SERVER, NULL) };
	const struct conf_value *v;

	/* The listener's tls; where it has none, the server's: an account may ask for more, not for less. */
	for (size_t i = 0; i < 2; i++)
		if (places[i] != NULL && (v = conf_section_get(places[i], K_tls)) != NULL) {
			if (*(const int *)v->data > r->s.tls)
				apply_value(r, v, places[i]->label);
			break;
		}
	if (r->s.certificate.n == 0 && r->s.tls == CONF_TLS_OFFER)
		r->s.tls = CONF_TLS_OFF;
	for (size_t i = 0; i < groups->n; i++)
		if ((v = conf_section_get(groups->v[i], K_enabled)) != NULL && !*(const bool *)v->data)
			apply_value(r, v, groups->v[i]->label);
}

/* ----------------------------------------------------------------------- resolving */

/* Parses the pairs. SP_EFORMAT leaves the reason in r->error. */
static int
parse_pairs(struct conf_resolved *r, const struct conf_subject *who, struct conf_value *values)
{
	const char *origin = who->pairs_origin == NULL ? "account" : who->pairs_origin;
	struct conf_why why;
	int e;

	for (size_t i = 0; i < who->pair_count; i++) {
		const struct conf_key *k = conf_key(who->pairs[i].key);
		void *data;

		if (k == NULL || (k->scopes & SC_USER) == 0) {
			(void)str_format(r->error, sizeof r->error, "%s: unknown key %.60s", origin, who->pairs[i].key);
			return SP_EFORMAT;
		}
		data = arena_alloc(r->arena, k->size);
		if (data == NULL)
			return -ENOMEM;
		e = conf_value_parse(r->arena, k, who->pairs[i].value, origin, 0, data, &why);
		if (e != 0) {
			(void)str_format(r->error, sizeof r->error, "%s: %s: %s", origin, k->name, why.what);
			return e;
		}
		values[i] =
		    (struct conf_value){ (enum conf_key_id)(k - conf_keys), 0, origin, who->pairs[i].value, data };
	}
	return 0;
}

static void
add_link(struct chain *chain, const struct conf_section *s)
{
	if (s != NULL)
		chain->v[chain->n++] = s;
}

static int
resolve(const struct conf *c, const struct conf_subject *who, struct conf_resolved *r)
{
	struct conf_value *pairs = arena_alloc(r->arena, (who->pair_count + 1) * sizeof *pairs);
	const struct conf_section *account = who->user == NULL ? NULL : conf_section_find(c, SC_ACCOUNT, who->user);
	const struct conf_section *listener =
	    who->listener == NULL ? NULL : conf_section_find(c, SC_LISTENER, who->listener);
	struct chain chain = { .n = 0 }, groups;
	const void *class_name;
	const char *label;
	int e;

	if (pairs == NULL)
		return -ENOMEM;
	if ((e = parse_pairs(r, who, pairs)) != 0)
		return e;
	if ((e = find_groups(c, who, own_value(pairs, who->pair_count, account, K_groups), r, &groups)) != 0)
		return e;
	class_name = own_value(pairs, who->pair_count, account, K_class);
	if ((e = find_class(c, who, class_name == NULL ? NULL : *(const char *const *)class_name, &groups, r)) != 0)
		return e;
	add_link(&chain, conf_section_find(c, SC_SERVER, NULL));
	add_link(&chain, listener);
	add_link(&chain, r->class);
	for (size_t i = 0; i < chain.n; i++)
		apply_section(r, chain.v[i]);
	if ((e = apply_restrict_mode(r, r->class)) != 0)
		return e;
	for (size_t i = groups.n; i-- > 0;)
		apply_section(r, groups.v[i]);
	for (size_t i = 0; i < groups.n; i++)
		add_link(&chain, groups.v[i]);
	if (who->pair_count == 0 && account != NULL) {
		apply_section(r, account);
		add_link(&chain, account);
	}
	for (size_t i = 0; i < who->pair_count; i++)
		apply_value(r, &pairs[i], "");
	apply_strictest(c, r, listener, &groups);
	label = who->user == NULL ? "account" : arena_format(r->arena, "account %s", who->user);
	if (label == NULL)
		return -ENOMEM;
	return apply_layers(r, &chain, &(const struct own_pairs){ pairs, who->pair_count, label });
}

int
conf_resolve(const struct conf *c, const struct conf_subject *who, struct conf_resolved *r)
{
	int e;

	memset(r, 0, offsetof(struct conf_resolved, error) + 1);
	r->s = c->base;
	for (size_t i = 0; i < K_COUNT; i++)
		r->origin[i] = (struct conf_origin){ CONF_BY_DEFAULT, 0, "" };
	r->arena = arena_new();
	e = r->arena == NULL ? -ENOMEM : resolve(c, who, r);
	if (e != 0)
		conf_resolved_free(r);
	return e;
}

void
conf_resolved_free(struct conf_resolved *r)
{
	arena_free(r->arena);
	r->arena = NULL;
}

const struct settings *
conf_server(const struct conf *c)
{
	return &c->server.s;
}

int
conf_prepare_listeners(struct conf *c)
{
	for (struct conf_section *s = c->first[__builtin_ctz((unsigned)SC_LISTENER)]; s != NULL; s = s->next_of_kind) {
		struct conf_subject who = { .listener = s->name };
		int e;

		if (s->resolved == NULL)
			s->resolved = arena_alloc(c->arena, sizeof *s->resolved);
		else
			conf_resolved_free(s->resolved);
		if (s->resolved == NULL)
			return -ENOMEM;
		e = conf_resolve(c, &who, s->resolved);
		if (e != 0)
			return e;
	}
	return 0;
}

const struct settings *
conf_listener(const struct conf *c, const char *name)
{
	const struct conf_section *s = conf_section_find(c, SC_LISTENER, name);

	return s == NULL || s->resolved == NULL ? &c->server.s : &s->resolved->s;
}

int
conf_refresh(struct conf *c)
{
	static const struct conf_subject nobody;

	conf_resolved_free(&c->server);
	return conf_resolve(c, &nobody, &c->server);
}

/* -------------------------------------------------------------- from monitor to agent */

/* Is the value one that a role without account sections cannot see? */
static bool
is_personal(const struct conf_resolved *r, const struct conf_key *k, const struct conf_origin *o)
{
	return k->type != CONF_LAYERS && (k->scopes & SC_USER) != 0 && strcmp(o->file, CONF_BY_DEFAULT) != 0 &&
	    (r->class != NULL || strcmp(o->section, "server") != 0) && strncmp(o->section, "listener ", 9) != 0;
}

int
conf_pack(const struct conf_resolved *r, enum conf_audience role, char *dst, size_t size)
{
	size_t len = 0;

	dst[0] = '\0';
	for (int i = 0; i < K_COUNT; i++) {
		const struct conf_key *k = CONF_ROW(i);
		char value[CONF_STRING_MAX + 1];
		int e;

		if ((k->audience & role) == 0 || !is_personal(r, k, &r->origin[i]))
			continue;
		conf_value_text(&r->s, i, value, sizeof value);
		if (strchr(value, '\n') != NULL)
			return SP_EFORMAT;
		e = str_format(dst + len, size - len, "%s=%s\n", k->name, value);
		if (e != 0)
			return e;
		len += strlen(dst + len);
	}
	return 0;
}

void
conf_each_subject(const struct conf *c, conf_subject_look *look, void *context)
{
	static const enum conf_scope kinds[] = { SC_LISTENER, SC_GROUP, SC_ACCOUNT };

	look(context, &(const struct conf_subject){ .user = NULL }, NULL);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		for (const struct conf_section *s = NULL; (s = conf_section_next(c, kinds[i], s)) != NULL;) {
			const char *name = conf_section_name(s);
			const struct conf_subject who = {
				.listener = kinds[i] == SC_LISTENER ? name : NULL,
				.user = kinds[i] == SC_ACCOUNT ? name : NULL,
				.groups = kinds[i] == SC_GROUP ? &name : NULL, .group_count = kinds[i] == SC_GROUP
			};

			look(context, &who, s);
		}
}

int
conf_unpack(const struct conf *c, const char *listener, const char *packed, struct conf_resolved *r)
{
	struct conf_pair pairs[K_COUNT];
	struct conf_subject who = { .listener = listener, .pairs = pairs, .pairs_origin = "profile" };
	char *copy = strdup(packed), *line = copy, *end, *equal;
	int e = copy == NULL ? -ENOMEM : 0;

	for (; e == 0 && *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		equal = strchr(line, '=');
		if (end == NULL || equal == NULL || equal > end || who.pair_count == K_COUNT) {
			e = SP_EFORMAT;
			break;
		}
		*end = *equal = '\0';
		pairs[who.pair_count++] = (struct conf_pair){ line, equal + 1 };
	}
	if (e == 0)
		e = conf_resolve(c, &who, r);
	free(copy);
	return e;
}
