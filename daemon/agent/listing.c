#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "daemon/agent/format.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/listing.h"
#include "daemon/agent/match.h"
#include "daemon/agent/names.h"
#include "daemon/agent/temporary.h"


/* A sub-folder that LIST -R comes to later. */
struct pending {
	struct pending *next;
	unsigned depth;
	char path[];
};

enum head { HEAD_NONE, HEAD_SELF, HEAD_PARENT };	/* lines before the entries, in the order they come */

struct listing {
	enum list_format format;
	unsigned options;
	uint32_t facts;
	bool single;		/* one line about agent->place, made when it was opened */
	bool of_folder;		/* the lines are a folder's entries, or a folder's own */
	int failed;		/* how it ends once the lines before have been sent; 0: not yet */
	enum fail_reason why;	/* with SP_EDENIED */
	char why_text[128];
	bool with_stat;		/* the kernel is asked about each entry */
	enum head head;
	uint64_t lines;
	unsigned depth;
	struct pending *pending, **tail;
	bool can_change;	/* the kernel lets us add and remove names here */
	struct statx self;	/* of the folder */
	struct format format_state;
	char owner[33];
	size_t top_len;		/* of the path of the listing's first folder */
	size_t typed_len;	/* the same, as the client named it */
	size_t prefix_len;
	char path[ROOT_PATH_MAX + 1];	/* of the folder being read */
	char typed[ROOT_PATH_MAX + 1];	/* the same, over the links of the first folder */
	char pattern[ROOT_NAME_MAX + 1];
	char prefix[ROOT_PATH_MAX + 2];	/* of NLST: as typed */
	struct authz_listing rules;
	struct entries entries;
};

/* Found by subject_listing(), used by the handler right after. */
static char wanted_pattern[ROOT_NAME_MAX + 1];

/* -------------------------------------------------------------------- subject */

/* A name with wild cards is about its folder; the pattern is remembered. 0 or a code of root_find(). */
static int
find_pattern(struct agent *a, const struct msg *m, const char *path)
{
	static char folder[ROOT_PATH_MAX + 1];
	const char *slash = strrchr(path, '/');
	int r = root_pattern_folder(path, folder);

	if (r <= 0)
		return r;
	(void)str_copy(wanted_pattern, sizeof wanted_pattern, slash == NULL ? path : slash + 1);
	root_leave(&a->place);
	return subject_find(a, gate_operation(m->type), folder, ROOT_FOLLOW, &a->place);
}

int
subject_listing(struct agent *a, const struct msg *m, const char *path)
{
	int r;

	wanted_pattern[0] = '\0';
	r = subject_find(a, gate_operation(m->type), path[0] == '\0' ? "." : path, ROOT_FOLLOW, &a->place);
	/* MLSD names one folder and knows no wild cards (RFC 3659, 2.2.2): what is missing is missing. */
	if (m->type == MSG_LIST_OPEN && m->list_open.format == LIST_FACTS)
		return r;
	if (r == 0 && a->place.error == 0 && !a->place.found)
		r = find_pattern(a, m, path);
	return r;
}

/* Who is shown as owner. */
static void
name_owners(const struct agent *a, struct listing *l, const struct statx *st)
{
	static char own_name[33];
	const char *name;

	if (a->set->list_owner != CONF_OWNER_NAMES)
		return;
	name = policy_owner_name(a, own_name, sizeof own_name);
	l->format_state.owner = name != NULL ? name : names_user(st->stx_uid);
	l->format_state.group = names_group(st->stx_gid);
}

/* -------------------------------------------------------------------- entries */

static char *
end_line(const struct listing *l, char *p, const struct statx *st)
{
	if ((l->options & LIST_CLASSIFY) != 0 && S_ISDIR(st->stx_mode))
		*p++ = '/';
	else if ((l->options & LIST_CLASSIFY) != 0 && S_ISLNK(st->stx_mode))
		*p++ = '@';
	else if ((l->options & LIST_CLASSIFY) != 0 && S_ISREG(st->stx_mode) && (st->stx_mode & 0111) != 0)
		*p++ = '*';
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

/* A line in the listing's format. e->perm is filled in by the caller where facts are wanted. */
static char *
put_line(const struct agent *a, struct listing *l, char *p, const struct format_entry *e)
{
	if (l->format == LIST_FACTS) {
		name_owners(a, l, e->st);
		p = format_facts(&l->format_state, p, e, l->facts);
		*p++ = '\r';
		*p++ = '\n';
		return p;
	}
	if (l->format == LIST_LONG) {
		name_owners(a, l, e->st);
		p = format_long(&l->format_state, p, e);
	} else {
		p = format_name(p, l->prefix, l->prefix_len);
		if (l->depth > 0) {
			const char *below = l->path + l->top_len + (l->top_len > 1);

			p = format_name(p, below, strlen(below));
			*p++ = '/';
		}
		p = format_name(p, e->name, e->name_len);
	}
	return end_line(l, p, e->st);
}

static int
remember_folder(struct agent *a, struct listing *l, const char *name)
{
	size_t have = strlen(l->path), n = strlen(name);
	struct pending *f;

	/*
	 * Deeper folders are entries and no more; and what lies at a path too long for any command nobody could
	 * name.
	 */
	if (l->depth >= a->set->list_max_depth || have + 1 + n > ROOT_PATH_MAX)
		return 0;
	f = malloc(sizeof *f + have + n + 2);
	if (f == NULL)
		return -ENOMEM;
	memcpy(f->path, l->path, have);
	if (have > 1)
		f->path[have++] = '/';
	memcpy(f->path + have, name, n + 1);
	f->depth = l->depth + 1;
	f->next = *l->tail;
	*l->tail = f;
	l->tail = &f->next;
	return 0;
}

/* Is the entry left out, whatever it is? */
static bool
is_hidden(struct agent *a, struct listing *l, const struct entry *e)
{
	if (root_is_reserved(e->name)) {
		temporary_sweep(a, l->entries.fd, e->name);
		return true;
	}
	if (l->pattern[0] != '\0' && !match_name(l->pattern, e->name))
		return true;
	/* A pattern that begins with a dot asks for them as -a does. */
	return a->set->hide_dot_files && e->name[0] == '.' && (l->options & (LIST_ALL | LIST_ALMOST_ALL)) == 0 && l->pattern[0] != '.';
}

/* The entry's line, when it may be seen. *end moves behind it. 0 or a negative code. */
static int
put_seen(struct agent *a, struct listing *l, const struct entry *entry, const struct looked *seen, char **end)
{
	struct format_entry e = { .name = entry->name, .target = seen->target, .st = &seen->st };
	bool folder = S_ISDIR(seen->st.stx_mode);

	if (!authz_listing_shows(&l->rules, entry->name, folder || seen->link == LINK_TO_FOLDER))
		return 0;
	if (l->lines == (uint64_t)a->set->list_max_entries)
		return agent_refuse(a, FAIL_ARGUMENT, "there are more entries than one listing may have (list_max_entries)");
	l->lines++;
	e.name_len = strlen(entry->name);
	tree_list_entry(&a->tree, seen->link == LINK_NONE ? entry->name : NULL, seen->st.stx_uid);
	if (l->format == LIST_FACTS && (l->facts & FACT_PERM) != 0)
		e.perm = listing_look_perm(a, &l->rules, entry->name, seen, l->can_change,
		    (l->self.stx_mode & S_ISVTX) != 0 && l->self.stx_uid != a->uid);
	*end = put_line(a, l, *end, &e);
	return folder && (l->options & LIST_RECURSIVE) != 0 ? remember_folder(a, l, entry->name) : 0;
}

/* One entry. As put_seen(). */
static int
put_entry(struct agent *a, struct listing *l, const struct entry *entry, char **end)
{
	static struct looked seen;

	if (is_hidden(a, l, entry))
		return 0;
	if (l->with_stat)
		return listing_look(a, l->entries.fd, l->path, &l->rules, entry, &seen) != 0 ? 0 : put_seen(a, l, entry, &seen, end);
	seen.link = LINK_NONE;
	seen.target = NULL;
	seen.st.stx_mode = entry->type == DT_DIR ? S_IFDIR : S_IFREG;
	return put_seen(a, l, entry, &seen, end);
}

/* -------------------------------------------------------------------- folders */

/* How the client reaches a folder of the listing. Below the first one no link is followed. */
static int
set_typed(struct listing *l, const struct place *p)
{
	const char *below = p->path + l->top_len;

	if (l->top_len == 0) {
		l->typed_len = p->typed_len;
		return str_copy(l->typed, sizeof l->typed, p->typed);
	}
	return str_format(l->typed + l->typed_len, sizeof l->typed - l->typed_len, "%s%s", l->typed_len > 1 ? "/" : "",
	    below + (*below == '/')) != 0 ? -ENAMETOOLONG : 0;
}

/* Begins with the folder at a place that was found and decided. */
static int
enter(struct listing *l, const struct place *p, uint32_t granted, struct authz_policy *policy)
{
	entries_key *key = l->options & LIST_BY_TIME ? entries_by_time : l->options & LIST_BY_SIZE ? entries_by_size : NULL;
	int fd = root_open(p, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fd;
	if (l->with_stat && faccessat(fd, ".", X_OK, 0) < 0) {
		int r = -errno;	/* names could be told, facts not */

		close(fd);
		return r;
	}
	memcpy(l->path, p->path, p->path_len + 1);
	l->self = p->st;
	if (l->format == LIST_FACTS && (l->facts & FACT_PERM) != 0)
		l->can_change = listing_may_change(fd);
	authz_listing_begin(&l->rules, policy, l->typed, l->path, granted);
	l->tail = &l->pending;
	return entries_open(&l->entries, fd, key, (l->options & LIST_REVERSE) != 0);
}

/* A folder below the first one. 1: it has begun; 0: it is left out; or a negative code. */
static int
enter_below(struct agent *a, struct listing *l, const struct place *p)
{
	uint32_t wanted = l->format == LIST_NAMES ? AUTHZ_LIST : AUTHZ_LIST | AUTHZ_TRAVERSE, granted;
	int r;

	/* It has changed in the meantime. */
	if (p->error != 0 || !root_is_folder(p) || set_typed(l, p) != 0)
		return 0;
	tree_at(&a->tree, p);
	granted = authz_rights(a->policy, &(struct authz_object){ .path = l->typed, .resolved = p->path, .kind = AUTHZ_FOLDER });
	if ((granted & wanted) == 0)
		return 0;
	r = enter(l, p, granted, a->policy);
	policy_list(a, l->typed, l->path, l->entries.fd);
	return r == 0 ? 1 : r == -EACCES || r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? 0 : r;
}

/* The next folder of a recursive one. 1: there is one; 0: none; or a negative code. */
static int
next_folder(struct agent *a, struct listing *l)
{
	struct pending *f;
	bool named;
	int r = 0;

	entries_close(&l->entries);
	while (r == 0 && (f = l->pending) != NULL) {
		l->pending = f->next;
		l->depth = f->depth;
		named = root_find(&a->root, "/", f->path, ROOT_NAME, &a->place) == 0;
		free(f);
		/*
		 * What no client could name, for a line end in it or its length, is an entry, and does not end the
		 * others.
		 */
		if (!named)
			continue;
		r = enter_below(a, l, &a->place);
		root_leave(&a->place);
	}
	return r;
}

/* ls -R: an empty line and the folder's name before its entries. */
static char *
put_heading(const struct listing *l, char *p)
{
	const char *below = l->path + l->top_len + (l->top_len > 1);

	*p++ = '\r';
	*p++ = '\n';
	p = format_name(p, below, strlen(below));
	*p++ = ':';
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

/* "." and "..", or cdir and pdir. */
static char *
put_head(struct agent *a, struct listing *l, char *p, bool parent)
{
	struct format_entry e = { .name = parent ? ".." : ".", .name_len = parent ? 2 : 1, .st = &l->self };
	struct authz_object o = { .path = l->typed, .resolved = l->path, .kind = AUTHZ_FOLDER };
	struct place *up = &a->place;

	if (l->format == LIST_FACTS)
		e.type = parent ? "pdir" : "cdir";
	if (parent) {
		if (root_find(&a->root, l->path, "..", ROOT_NAME, up) != 0 || up->error != 0 || !up->found)
			goto out;
		e.st = &up->st;
		o = (struct authz_object){ .path = up->path, .kind = AUTHZ_FOLDER };
	}
	if (parent)
		tree_at(&a->tree, up);
	if (l->format == LIST_FACTS && (l->facts & FACT_PERM) != 0)
		e.perm = listing_perm(a, &(struct perm_of){ .st = e.st, .rights = authz_rights(a->policy, &o),
		    .inside = authz_child_rights(a->policy, &o) });
	p = put_line(a, l, p, &e);
out:
	if (parent)
		root_leave(up);
	policy_list_on(a);
	return p;
}

/* ------------------------------------------------------------------- lifetime */

void
listing_close(struct agent *a)
{
	struct listing *l = a->listing;
	struct pending *f;

	if (l == NULL)
		return;
	while ((f = l->pending) != NULL) {
		l->pending = f->next;
		free(f);
	}
	entries_close(&l->entries);
	(void)munmap(l, sizeof *l);
	a->listing = NULL;
}

static struct listing *
listing_new(struct agent *a, enum list_format format, unsigned options, uint32_t facts)
{
	struct listing *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	listing_close(a);
	if (l == MAP_FAILED)
		return NULL;
	l->format = format;
	l->options = format == LIST_FACTS ? options & LIST_NO_HEAD : options;
	l->facts = facts;
	l->entries.fd = -1;
	l->tail = &l->pending;
	/* Names alone need no look at the objects, unless something about them is shown. */
	l->with_stat = format != LIST_NAMES || (l->options & (LIST_CLASSIFY | LIST_RECURSIVE)) != 0;
	if (format == LIST_FACTS)
		l->head = (options & LIST_NO_HEAD) != 0 ? HEAD_NONE : HEAD_SELF;
	else
		l->head = (options & LIST_ALL) != 0 ? HEAD_SELF : HEAD_NONE;
	listing_format(a, &l->format_state, l->owner);
	a->listing = l;
	return l;
}

/* What stands before each name of NLST: the path as the client typed it. */
static int
set_prefix(struct listing *l, const char *path)
{
	size_t n = strlen(path);

	if (l->pattern[0] != '\0')
		n -= strlen(l->pattern);
	if (n == 0 || (n == 1 && path[0] == '.'))
		return 0;
	if (n > ROOT_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(l->prefix, path, n);
	if (l->prefix[n - 1] != '/')
		l->prefix[n++] = '/';
	l->prefix_len = n;
	return 0;
}

/* LIST of a file, or -d. */
static int
open_single(struct agent *a, struct listing *l, const char *path)
{
	if (l->format == LIST_FACTS)
		return agent_refuse(a, FAIL_KIND, NULL);
	l->single = true;
	l->self = a->place.st;
	if (l->format == LIST_NAMES || (root_is_folder(&a->place) && path[0] != '\0'))
		return str_copy(l->path, sizeof l->path, path[0] == '\0' ? "." : path);
	if (root_is_folder(&a->place))
		return str_copy(l->path, sizeof l->path, ".");
	return str_copy(l->path, sizeof l->path, strrchr(a->place.typed, '/') + 1);
}

/*
 * A pattern of brackets only is as likely a name ("photos [2024]"): where it
 * matches nothing, the name is missing, and an empty listing would say that
 * there is such a folder and nothing in it.
 */
static bool
is_name_rather(const char *pattern)
{
	return pattern[0] != '\0' && strpbrk(pattern, "*?") == NULL;
}

/* 0 when an entry that the client may see matches, otherwise a negative code. The listing is at its beginning again. */
static int
expect_match(struct agent *a, struct listing *l)
{
	static struct looked seen;
	struct entry entry;
	bool found = false;
	int r;

	policy_list(a, l->typed, l->path, l->entries.fd);
	while (!found && (r = entries_next(&l->entries, &entry)) == 1)
		found = !is_hidden(a, l, &entry) && listing_look(a, l->entries.fd, l->path, &l->rules, &entry, &seen) == 0 &&
		    authz_listing_shows(&l->rules, entry.name, S_ISDIR(seen.st.stx_mode) || seen.link == LINK_TO_FOLDER);
	policy_list(a, NULL, NULL, -1);
	listing_look_done();
	if (!found)
		return r < 0 ? r : -ENOENT;
	entries_close(&l->entries);
	tree_at(&a->tree, &a->place);
	return enter(l, &a->place, a->verdict.granted, a->policy);
}

static int
open_listing(struct agent *a, enum list_format format, unsigned options, uint32_t facts, const char *path)
{
	struct place *p = &a->place;
	struct listing *l;
	int r;

	if (p->error != 0 || !p->found)
		return p->error != 0 ? p->error : -ENOENT;
	l = listing_new(a, format, options, facts);
	if (l == NULL)
		return -ENOMEM;
	(void)str_copy(l->pattern, sizeof l->pattern, wanted_pattern);
	if (l->pattern[0] != '\0')	/* of names that match: "." is none of them, and -d is what is done anyway */
		l->head = HEAD_NONE;
	l->of_folder = root_is_folder(p);
	if (!root_is_folder(p) && l->pattern[0] != '\0')
		r = -ENOTDIR;
	else if (!root_is_folder(p) || ((l->options & LIST_SELF) != 0 && l->pattern[0] == '\0'))
		r = open_single(a, l, path);
	else if ((r = set_prefix(l, path)) == 0 && (r = set_typed(l, p)) == 0)
		r = enter(l, p, a->verdict.granted, a->policy);
	if (r == 0 && !l->single && is_name_rather(l->pattern))
		r = expect_match(a, l);
	if (r != 0) {
		listing_close(a);
		return r;
	}
	l->top_len = p->path_len;
	a->states |= ST_LISTING;
	return 0;
}

int
handle_list_open(struct agent *a, const struct msg *m)
{
	const struct msg_list_open *q = &m->list_open;

	if (q->format != LIST_LONG && q->format != LIST_FACTS)
		return agent_refuse(a, FAIL_ARGUMENT, NULL);
	return open_listing(a, (enum list_format)q->format, q->options, q->facts, q->path);
}

int
handle_names_open(struct agent *a, const struct msg *m)
{
	return open_listing(a, LIST_NAMES, m->names_open.options, 0, m->names_open.path);
}

/* The lines that are not entries. */
static char *
put_first(struct agent *a, struct listing *l, char *p)
{
	if (l->single) {
		struct format_entry e = { .name = l->path, .name_len = strlen(l->path), .st = &l->self };

		return put_line(a, l, p, &e);
	}
	if (l->head == HEAD_SELF) {
		p = put_head(a, l, p, false);
		l->head = HEAD_PARENT;
	}
	if (l->head == HEAD_PARENT)
		p = put_head(a, l, p, true);
	l->head = HEAD_NONE;
	return p;
}

/* Fills the answer. 1: there is more, 0: that is all, or a negative code. */
static int
fill(struct agent *a, struct listing *l, char *start, char **end)
{
	struct entry entry;
	int r = l->single ? 0 : 1;

	policy_list(a, l->typed, l->path, l->entries.fd);
	*end = put_first(a, l, *end);
	while (r == 1 && *end - start < LISTING_CHUNK - 2 * FORMAT_LINE_MAX) {
		r = entries_next(&l->entries, &entry);
		if (r == 1 && (r = put_entry(a, l, &entry, end)) == 0)
			r = 1;
		else if (r == 0 && (r = next_folder(a, l)) == 1 && l->format == LIST_LONG)
			*end = put_heading(l, *end);
	}
	policy_list(a, NULL, NULL, -1);
	listing_look_done();
	return r;
}

/* What was read before the failure is sent first; the reason comes with the next request. */
static void
keep_refusal(struct agent *a, struct listing *l, int code)
{
	l->failed = code;
	l->why = a->refusal;
	(void)str_copy(l->why_text, sizeof l->why_text, code == SP_EDENIED ? a->refusal_text : "");
}

static int
refuse_rest(struct agent *a, const struct listing *l)
{
	return l->failed == SP_EDENIED ? agent_refuse(a, l->why, l->why_text) : l->failed;
}

int
handle_list_next(struct agent *a, const struct msg *m)
{
	struct msg_lines *lines = &a->out.lines;
	struct listing *l = a->listing;
	char *start = (char *)lines->text, *end = start;
	int r;

	(void)m;
	if (l == NULL)
		return -EBADF;
	r = l->failed != 0 ? refuse_rest(a, l) : fill(a, l, start, &end);
	if (r < 0 && end > start) {
		keep_refusal(a, l, r);
		r = 1;
	} else if (r < 0) {
		listing_close(a);
		return r;
	}
	lines->of_folder = l->of_folder;
	lines->text_len = (size_t)(end - start);
	lines->end = r == 0;
	if (r == 0)
		listing_close(a);
	return agent_answer(a, MSG_LINES, lines, NULL, 0);
}

int
handle_list_close(struct agent *a, const struct msg *m)
{
	(void)m;
	listing_close(a);
	a->states &= ~(unsigned)ST_LISTING;	/* only here: a worker may close what has ended by itself */
	return ANSWERED;
}
