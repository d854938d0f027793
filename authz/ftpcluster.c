/*
 * ftpcluster's permissions (dialects 4): letters stand in .permissions files of
 * the tree, the nearest file that speaks of the user decides, owners may do
 * what they like, number 0 may do everything.
 *
 *	layer = ftpcluster
 */
#include "authz/ftpcluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define CACHE_SIZE 32			/* control files kept, for the folders a session walks through */
#define BUILT_IN_LETTERS 3u		/* "lr" on the root */

enum found { FOUND_BUILT_IN, FOUND_OWN, FOUND_EVERYBODY, FOUND_MALFORMED, FOUND_SILENT };

struct cached {
	char *folder;			/* malloc'ed; NULL: free */
	struct authz_identity identity;
	struct cluster_file file;
	uint32_t used;
};

/* The answer for one folder. */
struct answer {
	enum found found;
	uint32_t letters;
	size_t depth;			/* length of the path of the folder whose file spoke */
	unsigned line;
	bool bad;
};

struct cluster {
	struct cached cache[CACHE_SIZE];
	uint32_t clock;
	char *text;			/* where files are read to */
	struct answer last;		/* of the decision being explained */
	uint32_t listing;		/* for which last_folder is kept */
	char *last_folder;
	bool owner_known, owns_folder;	/* of last_folder */
	const char *moved_at;		/* the path that last was found for, of cluster_moved(); the caller's */
};

enum { BY_LETTERS, BY_ADMINISTRATOR, BY_CONTROL_FILE, BY_OWNER, BY_FOLDER_OWNER, BY_FILES_BELOW, BY_LETTERS_MOVED };

static int
cluster_compile(struct layer *l, struct compiler *c)
{
	struct lines line;
	char q[QUOTED_MAX];

	l->state = arena_alloc(l->policy->arena, sizeof(struct cluster));
	if (!l->state)
		return -ENOMEM;
	lines_begin(&line, l->sources[0].text);
	while (lines_next(&line)) {
		struct span s = span_trim((struct span){ line.start, line.len });

		if (s.len)
			complain(c, &l->sources[0], line.number, 1, false,
			    "nothing: rules stand in the .permissions files of the tree", "not a rule: %s",
			    quoted(s, q));
	}
	return 0;
}

static void
cluster_release(struct layer *l)
{
	struct cluster *s = l->state;

	for (size_t i = 0; i < CACHE_SIZE; i++)
		free(s->cache[i].folder);
	free(s->text);
	free(s->last_folder);
}

static bool
is_administrator(const struct authz_policy *p)
{
	return p->subject.dialect_uid == 0 && !(p->subject.choices & AUTHZ_CLUSTER_NO_ADMIN);
}

/* ------------------------------------------------------------- control files */

struct place {
	const char *folder;
};

static void
log_mistake(void *context, unsigned line, bool whole_file, const char *what, struct span text)
{
	const struct place *p = context;
	struct log_line l;

	log_begin(&l, EVENT_PERMISSIONS_FILE_WRONG);
	log_str(&l, FIELD_PATH, p->folder);
	log_num(&l, FIELD_LINE, line);
	log_str(&l, FIELD_REASON, what);
	log_bytes(&l, FIELD_TEXT, text.at, text.len);
	log_str(&l, FIELD_EFFECT,
	    whole_file ? "nobody gets anything from this file" : "this subject gets nothing from this file");
	log_end(&l);
}

static struct cached *
cache_slot(struct cluster *s, const char *folder)
{
	struct cached *oldest = &s->cache[0];

	for (size_t i = 0; i < CACHE_SIZE; i++) {
		if (s->cache[i].folder && strcmp(s->cache[i].folder, folder) == 0)
			return &s->cache[i];
		if (!s->cache[i].folder || s->cache[i].used < oldest->used)
			oldest = &s->cache[i];
	}
	free(oldest->folder);
	memset(oldest, 0, sizeof(*oldest));
	return oldest;
}

static void
fill_slot(struct layer *l, struct cached *c, const char *folder, int result, size_t len)
{
	struct cluster *s = l->state;
	struct place place = { folder };

	if (result < 0) {
		memset(&c->file, 0, sizeof(c->file));
		c->file.malformed = true;
		log_problem(EVENT_PERMISSIONS_FILE_UNREADABLE, folder, result);
	} else
		cluster_parse(s->text, len, l->policy->subject.dialect_uid, &c->file, log_mistake, &place);
}

/* The control file of a folder; NULL when there is none. */
static const struct cluster_file *
control_file(struct layer *l, const char *folder)
{
	static const struct cluster_file unreadable = { .malformed = true };
	struct cluster *s = l->state;
	const struct authz_tree *tree = &l->policy->tree;
	struct authz_identity found = { 0 };
	struct cached *c;
	size_t len = 0;
	int r;

	if (!tree->control)
		return NULL;
	if (!s->text && !(s->text = malloc(AUTHZ_CONTROL_MAX + 1)))
		return &unreadable;
	c = cache_slot(s, folder);
	r = tree->control(
	    tree->context, folder, CLUSTER_PERMISSIONS, c->folder ? &c->identity : NULL, &found, s->text, &len);
	if (r == -ENOENT || r == -ENOTDIR) {
		free(c->folder);
		memset(c, 0, sizeof(*c));
		return NULL;
	}
	c->used = ++s->clock;
	if (r == 1 && c->folder)
		return &c->file;
	if (r > 0 || len > AUTHZ_CONTROL_MAX)
		r = -EIO;
	fill_slot(l, c, folder, r, len);
	c->identity = found;
	free(c->folder);
	/* What could not be read is read again next time. */
	c->folder = r < 0 ? NULL : strdup(folder);
	return &c->file;
}

/* What one file says; FOUND_SILENT: nothing about this user. */
static bool
ask_file(const struct cluster_file *f, uint32_t choices, struct answer *a)
{
	const struct cluster_entry *e = f->own.present ? &f->own : &f->everybody;

	a->letters = 0;
	a->bad = false;
	a->line = f->malformed_line;
	if (f->malformed) {
		a->found = FOUND_MALFORMED;
		return true;
	}
	if (!e->present) {
		a->found = FOUND_SILENT;
		a->line = 0;
		return (choices & AUTHZ_CLUSTER_SILENT_NONE) != 0;
	}
	a->found = e == &f->own ? FOUND_OWN : FOUND_EVERYBODY;
	a->letters = e->bad ? 0 : e->letters;
	a->bad = e->bad;
	a->line = e->line;
	return true;
}

/* The nearest file that speaks of the user decides (4.3). */
static void
find_letters(struct layer *l, const char *folder, size_t len, struct answer *a)
{
	char path[4096 + 1];

	memset(a, 0, sizeof(*a));
	if (len >= sizeof(path)) {
		a->found = FOUND_MALFORMED;
		return;
	}
	memcpy(path, folder, len);
	for (; len; len = path_parent(path, len)) {
		const struct cluster_file *f;

		path[len] = '\0';
		f = control_file(l, path);
		a->depth = len;
		if (f && ask_file(f, l->policy->subject.choices, a))
			return;
	}
	a->found = FOUND_BUILT_IN;
	a->letters = BUILT_IN_LETTERS;
}

/* During one listing the folder's letters are looked up once. */
static void
letters_of_folder(struct layer *l, const char *folder, size_t len)
{
	struct cluster *s = l->state;
	uint32_t listing = l->policy->listing;

	if (listing && s->listing == listing && s->last_folder && strlen(s->last_folder) == len &&
	    memcmp(s->last_folder, folder, len) == 0)
		return;
	find_letters(l, folder, len, &s->last);
	s->owner_known = false;
	if (listing) {
		free(s->last_folder);
		s->last_folder = strndup(folder, len);
		s->listing = listing;
	} else
		s->listing = 0;
}

/* ---------------------------------------------------------------- decision */

static bool
is_control_name(const char *path, size_t len)
{
	size_t parent = path_parent(path, len);
	struct span name = { path + (parent > 1 ? parent + 1 : 1), 0 };

	if (len <= 1)
		return false;
	name.len = (size_t)(path + len - name.at);
	return span_is(name, CLUSTER_PERMISSIONS) || span_is(name, CLUSTER_PASSWD);
}

static bool
owns(struct layer *l, const char *path, size_t len)
{
	const struct authz_policy *p = l->policy;
	uint32_t owner = AUTHZ_NOBODY;
	char copy[4096 + 1];

	if (!p->tree.owner || p->subject.dialect_uid == AUTHZ_NOBODY || len >= sizeof(copy))
		return false;
	memcpy(copy, path, len);
	copy[len] = '\0';
	return p->tree.owner(p->tree.context, copy, &owner) == 0 && owner == p->subject.dialect_uid;
}

static void
turn_to(const struct layer *l, const struct authz_object *o)
{
	const struct authz_tree *t = &l->policy->tree;

	if (t->turn)
		t->turn(t->context, o->place);
}

#define OWNER_RIGHTS \
	(AUTHZ_READ | AUTHZ_STAT | AUTHZ_OVERWRITE | AUTHZ_APPEND | AUTHZ_DELFILE | AUTHZ_DELDIR | AUTHZ_RENFROM | \
	AUTHZ_CHMOD | AUTHZ_MTIME | AUTHZ_GETACL | AUTHZ_SETACL | AUTHZ_READLINK)
#define OWNED_FOLDER_RIGHTS (AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_CHDIR)
/* All of lrwdmsn; never CHOWN. */
#define FOLDER_OWNER_RIGHTS                                                                                    \
	(AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_CHDIR | AUTHZ_STAT | AUTHZ_READ | AUTHZ_READLINK | AUTHZ_GETACL | \
	    AUTHZ_CREATE | AUTHZ_APPNEW | AUTHZ_OVERWRITE | AUTHZ_APPEND | AUTHZ_DELFILE | AUTHZ_DELDIR |      \
	    AUTHZ_MKDIR | AUTHZ_RENFROM | AUTHZ_RENTO | AUTHZ_RENREPL)

/* During one listing this is looked up once, as the letters are: letters_of_folder() comes before. */
static bool
owns_folder(struct layer *l, const char *path, size_t len)
{
	struct cluster *s = l->state;

	if (!s->listing || !s->owner_known)
		s->owns_folder = owns(l, path, len);
	s->owner_known = true;
	return s->owns_folder;
}

static uint32_t
by_ownership(struct layer *l, const struct request *r, size_t folder_len, uint32_t rights, struct authz_hit *hit)
{
	if ((rights & r->want) == r->want)
		return rights;
	if (r->kind != AUTHZ_MISSING && owns(l, r->path, r->len)) {
		rights |= OWNER_RIGHTS;
		if (r->kind == AUTHZ_FOLDER)
			rights |= OWNED_FOLDER_RIGHTS;
		if (rights & AUTHZ_RENTO)
			rights |= AUTHZ_RENREPL;
		hit->a = BY_OWNER;
	}
	if ((rights & r->want) != r->want && owns_folder(l, r->path, folder_len)) {
		rights |= FOLDER_OWNER_RIGHTS;
		hit->a = BY_FOLDER_OWNER;
	}
	return rights;
}

static uint32_t
cluster_layer_rights(struct layer *l, const struct request *r, struct authz_hit *hit)
{
	struct cluster *s = l->state;
	size_t folder = r->self ? r->len : path_parent(r->path, r->len);

	if (is_administrator(l->policy)) {
		hit->a = BY_ADMINISTRATOR;
		return AUTHZ_ALL;
	}
	if (is_control_name(r->path, r->len)) {
		hit->a = BY_CONTROL_FILE;
		return 0;
	}
	if (folder == 0)
		folder = r->len;	/* the root is its own folder */
	letters_of_folder(l, r->path, folder);
	hit->a = BY_LETTERS;
	return by_ownership(l, r, folder, cluster_rights(s->last.letters, l->policy->subject.choices), hit) |
	       AUTHZ_PASSWD;
}

static uint32_t
cluster_session(struct layer *l, struct authz_hit *hit)
{
	hit->a = is_administrator(l->policy) ? BY_ADMINISTRATOR : BY_LETTERS;
	return is_administrator(l->policy) ? AUTHZ_ALL : AUTHZ_PASSWD;
}

/* Letters stand in the tree, which may change: all that any file there could give, and what ownership gives. */
static uint32_t
cluster_most(const struct layer *l)
{
	if (is_administrator(l->policy))
		return AUTHZ_ALL;
	return cluster_rights((1u << cluster_letter_count) - 1, l->policy->subject.choices) | OWNER_RIGHTS |
	    FOLDER_OWNER_RIGHTS | AUTHZ_PASSWD;
}

/* ------------------------------------------------------------- explanation */

static void
cite_letters(const struct layer *l, const struct request *r, const struct answer *a, struct text *t)
{
	switch (a->found) {
	case FOUND_BUILT_IN:
		text_add(t, "the built-in lr on the root");
		return;
	case FOUND_MALFORMED:
		text_add(t, "malformed or unreadable ");
		break;
	case FOUND_SILENT:
		text_add(t, "nothing about this user in ");
		break;
	case FOUND_OWN:
	case FOUND_EVERYBODY:
		break;
	}
	text_add_escaped(t, r->path, a->depth == 1 ? 0 : a->depth);
	text_add(t, "/" CLUSTER_PERMISSIONS);
	if (a->line)
		text_add(t, ":%u", a->line);
	if (a->found != FOUND_OWN && a->found != FOUND_EVERYBODY)
		return;
	if (a->found == FOUND_OWN)
		text_add(t, ": %u ", l->policy->subject.dialect_uid);
	else
		text_add(t, ": * ");
	for (size_t i = 0; i < cluster_letter_count; i++)
		if (a->letters & 1u << i)
			text_add(t, "%c", cluster_letters[i].letter);
	if (a->letters == 0)
		text_add(t, a->bad ? "(an unknown letter: nothing)" : "(nothing)");
}

/* The letter that is missing; for overwriting, which half of w and d. */
static void
cite_missing(uint32_t missing, uint32_t letters, struct text *t)
{
	bool w = letters & 1u << 2, d = letters & 1u << 3;

	for (size_t i = 0; i < cluster_letter_count; i++)
		if (cluster_letters[i].rights & missing) {
			text_add(t, "letter %c is missing in ", cluster_letters[i].letter);
			return;
		}
	if (missing & (AUTHZ_OVERWRITE | AUTHZ_APPEND | AUTHZ_RENREPL))
		text_add(t, "overwriting needs w and d, %s missing in ", w == d ? "both are" : w ? "d is" : "w is");
	else
		text_add(t, "only the %s may %s; ",
		    missing & (AUTHZ_SYMLINK | AUTHZ_UMASK | AUTHZ_USERADM) ? "administrator" : "owner",
		    authz_right_word(missing));
}

static void
cluster_cite(
    const struct layer *l, const struct request *r, const struct authz_hit *hit, uint32_t missing, struct text *t)
{
	const struct cluster *s = l->state;
	static const char *const why[] = {
		[BY_ADMINISTRATOR] = "number 0 is the administrator",
		[BY_CONTROL_FILE] = "control files are for the administrator only",
		[BY_OWNER] = "the user owns the object",
		[BY_FOLDER_OWNER] = "the user owns the directory",
		[BY_FILES_BELOW] = "any control file in it",
	};

	if (hit->a == BY_LETTERS_MOVED) {
		struct request at = { .path = s->moved_at };

		cite_letters(l, &at, &s->last, t);
		return;
	}
	if (hit->a != BY_LETTERS && (!missing || hit->a == BY_CONTROL_FILE)) {
		text_add(t, "%s", why[hit->a]);
		return;
	}
	if (!r) {
		text_add(t, missing ? "only the administrator may" : "everybody may change the own password");
		return;
	}
	if (missing)
		cite_missing(missing, s->last.letters, t);
	cite_letters(l, r, &s->last, t);
}

/* Files have one answer unless ownership gives single ones more; folders may have files of their own. */
static bool
cluster_uniform(struct layer *l, const char *folder, enum authz_kind kind, uint32_t *rights, uint32_t *inside)
{
	struct cluster *s = l->state;
	size_t len = strlen(folder);

	*rights = *inside = AUTHZ_ALL;
	if (is_administrator(l->policy))
		return true;
	if (kind != AUTHZ_FILE)
		return false;
	letters_of_folder(l, folder, len);
	*rights = cluster_rights(s->last.letters, l->policy->subject.choices);
	if (l->policy->subject.dialect_uid != AUTHZ_NOBODY && l->policy->tree.owner)
		return false;
	return true;
}

static bool
cluster_judges_paths(const struct layer *l)
{
	return !is_administrator(l->policy);
}

/* Control files are moved along, and are not heeded beyond the layer. What they say there is not looked for. */
static bool
cluster_escapes(struct layer *l, const char *from, const char *to, const uint32_t *but, struct authz_hit *hit)
{
	(void)from;
	*hit = (struct authz_hit){ .a = BY_FILES_BELOW };
	return !to && !but && !is_administrator(l->policy);
}

/*
 * A file in the directory itself goes along; where it says nothing of the account, those above count, here and
 * there.
 */
static uint32_t
cluster_moved(struct layer *l, const struct move *mv, bool there, struct authz_hit *hit)
{
	const struct authz_policy *p = l->policy;
	struct cluster *s = l->state;
	const struct cluster_file *f;
	uint32_t rights;

	/* What lies behind a link stays where it is, and its rules with it. */
	if (is_administrator(p) || !p->tree.control || mv->from->kind != AUTHZ_FOLDER)
		return AUTHZ_ALL;
	turn_to(l, mv->from);
	s->moved_at = mv->from->path;
	s->listing = 0;
	memset(&s->last, 0, sizeof(s->last));
	s->last.depth = strlen(s->moved_at);
	f = control_file(l, s->moved_at);
	if (!f || !ask_file(f, p->subject.choices, &s->last)) {
		s->moved_at = there ? mv->to->path : mv->from->path;
		turn_to(l, there ? mv->to : mv->from);
		find_letters(l, s->moved_at, path_parent(s->moved_at, strlen(s->moved_at)), &s->last);
	}
	hit->a = BY_LETTERS_MOVED;
	rights = cluster_rights(s->last.letters, p->subject.choices);
	return mv->own ? rights | FOLDER_OWNER_RIGHTS : rights;
}

const struct dialect dialect_ftpcluster = {
	.name = "ftpcluster",
	.compile = cluster_compile,
	.rights = cluster_layer_rights,
	.session = cluster_session,
	.cite = cluster_cite,
	.uniform = cluster_uniform,
	.escapes = cluster_escapes,
	.rules_move = true,
	.moved = cluster_moved,
	.judges_paths = cluster_judges_paths,
	.most = cluster_most,
	.release = cluster_release,
};
