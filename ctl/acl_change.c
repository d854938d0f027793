/* sallyctl acl: change POSIX.1e ACLs. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/str.h"
#include "ctl/acl.h"

/* Applies acl and reports it; the common end of all changes. */
static int
change(struct acl_job *job, struct pacl_place at, const char *path, const struct pacl *acl)
{
	enum pacl_fault fault = pacl_count(acl) == 0 && job->type == PACL_DEFAULT ? PACL_FINE : pacl_check(acl, NULL);
	int error;

	if (fault != PACL_FINE)
		(void)ctl_fail(job->inv, 0, "%s: %s", path, pacl_fault_text(fault));
	error = fault != PACL_FINE ? -EINVAL : pacl_apply(at, job->type, acl);
	if (error == 0 && job->inv->json) {
		json_open(&job->json, NULL, '{');
		json_str(&job->json, "path", path);
		acl_json(&job->json, "acl", job->type, acl);
		json_close(&job->json);
	}
	return error;
}

/* --------------------------------------------------------- words of a command */

static int
read_text(struct acl_job *job, char *word)
{
	return (job->acl = acl_text_argument(job->inv, word)) != NULL ? 0 : CTL_USAGE;
}

static int
read_entries(struct acl_job *job, char *word)
{
	if (read_text(job, word) != 0)
		return CTL_USAGE;
	return pacl_count(job->acl) > 0 ? 0 : ctl_fail(job->inv, CTL_USAGE, "there is no entry in this text");
}

static int
read_entry(struct acl_job *job, char *word)
{
	return acl_entry_argument(job->inv, word, &job->tag, &job->id);
}

static int
read_second_entry(struct acl_job *job, char *word)
{
	return acl_entry_argument(job->inv, word, &job->to_tag, &job->to_id);
}

/* Permissions of a command line: any of r w x -, or nothing. */
static int
read_perm(const struct invocation *inv, const char *text, unsigned *perm)
{
	static const char known[] = "xwr";
	const char *at;

	for (*perm = 0; *text != '\0'; text++) {
		if (*text == '-')
			continue;
		if ((at = strchr(known, *text)) == NULL)
			return ctl_fail(inv, CTL_USAGE, "no such permission: %c; r, w, x or - was expected", *text);
		*perm |= 1u << (at - known);
	}
	return 0;
}

/* u:bob=rw, u:bob+w, u:bob-w, u:bob=. A name may contain - or +: the sign is the last one. */
static int
read_perm_change(struct acl_job *job, char *word)
{
	char *sign = strrchr(word, ':');

	sign = sign == NULL ? word : sign;
	for (char *p = sign; *p != '\0'; p++)
		if (strchr("+-=", *p) != NULL && strspn(p + 1, "rwx-") == strlen(p + 1) && strchr("+-=", *sign) == NULL)
			sign = p;
	if (strchr("+-=", *sign) == NULL || *sign == '\0')
		return ctl_fail(job->inv, CTL_USAGE, "an entry with =, + or - and permissions was expected: u:bob=rw");
	job->sign = *sign;
	*sign = '\0';
	return read_perm(job->inv, sign + 1, &job->perm) != 0 ? CTL_USAGE : read_entry(job, word);
}

/* u:bob:rw */
static int
read_perm_test(struct acl_job *job, char *word)
{
	char *perm = strrchr(word, ':');

	if (perm == NULL)
		return ctl_fail(job->inv, CTL_USAGE, "an entry with permissions was expected: u:bob:rw");
	*perm++ = '\0';
	return read_perm(job->inv, perm, &job->perm) != 0 ? CTL_USAGE : read_entry(job, word);
}

/* --------------------------------------------------------------------- editing */

/* What an edit may answer beside 0 and negative codes. */
enum { UNCHANGED = 1, NO_ENTRY };

static int
edit_merge(struct acl_job *job, struct pacl *acl)
{
	struct pacl_entry e, has;
	uint32_t id;
	int error = 0;

	for (size_t i = 0; error == 0 && pacl_entry_at(job->acl, i, &e) == 0; i++) {
		if (pacl_entry_id(&e, &id) != 0)
			id = PACL_NO_ID;
		if (pacl_entry_find(acl, pacl_entry_tag(&e), id, &has) == 0)
			error = pacl_entry_set_perm(&has, pacl_entry_perm(&e));
		else
			error = pacl_append(acl, &e, NULL);
	}
	return error;
}

static int
edit_remove(struct acl_job *job, struct pacl *acl)
{
	struct pacl_entry e;

	/* An entry that is not there is no error, and the mask is computed all the same. No default ACL comes of it. */
	if (pacl_count(acl) == 0)
		return UNCHANGED;
	return pacl_entry_find(acl, job->tag, job->id, &e) == 0 ? pacl_delete(acl, &e) : 0;
}

static int
edit_mask(struct acl_job *job, struct pacl *acl)
{
	(void)job;
	return pacl_calc_mask(acl);
}

static int
edit_perm(struct acl_job *job, struct pacl *acl)
{
	struct pacl_permset set;
	struct pacl_entry e;
	int error;

	if (pacl_entry_find(acl, job->tag, job->id, &e) != 0)
		return NO_ENTRY;
	error = pacl_entry_permset(&e, &set);
	if (error == 0 && job->sign == '=')
		error = pacl_perm_clear(&set);
	if (error == 0 && job->perm != 0)
		error = job->sign == '-' ? pacl_perm_delete(&set, job->perm) : pacl_perm_add(&set, job->perm);
	return error;
}

static int
edit_clone(struct acl_job *job, struct pacl *acl)
{
	struct pacl_entry from, to;
	int error = 0;

	if (pacl_entry_find(acl, job->tag, job->id, &from) != 0)
		return NO_ENTRY;
	if (pacl_entry_find(acl, job->to_tag, job->to_id, &to) != 0)
		error = pacl_append(acl, &from, &to);
	if (error == 0)
		error = pacl_entry_copy(&to, &from);
	if (error == 0)
		error = pacl_entry_set_tag(&to, job->to_tag);
	if (error == 0 && job->to_id != PACL_NO_ID)
		error = pacl_entry_set_id(&to, job->to_id);
	return error;
}

/* -------------------------------------------------------------------- one path */

/*
 * The default ACL of a folder that has none begins with the folder's own three basic entries, as setfacl
 * does it.  Not with its mode, whose middle digit is the mask where there is one.
 */
static int
begin_default(struct pacl_place at, struct pacl *acl)
{
	static const enum pacl_tag basic[] = { PACL_USER_OBJ, PACL_GROUP_OBJ, PACL_OTHER };
	struct pacl_entry e;
	struct pacl *own;
	int error = pacl_get(at, PACL_ACCESS, &own);

	for (size_t i = 0; error == 0 && i < sizeof(basic) / sizeof(basic[0]); i++)
		if ((error = pacl_entry_find(own, basic[i], 0, &e)) == 0)
			error = pacl_append(acl, &e, NULL);
	pacl_free(own);
	return error;
}

static int
get_for_change(struct acl_job *job, struct pacl_place at, struct pacl **acl)
{
	int error = pacl_get(at, job->type, acl);

	if (error == 0 && job->type == PACL_DEFAULT && pacl_count(*acl) == 0 && job->edit != edit_remove)
		error = begin_default(at, *acl);
	return error;
}

/* The mask follows, unless it was changed itself, is not needed, or was not to be touched. */
static int
renew_mask(const struct acl_job *job, struct pacl *acl)
{
	enum pacl_tag changed = job->edit == edit_clone ? job->to_tag : job->tag;
	struct pacl_entry e;
	mode_t mode;

	if (changed == PACL_MASK || (job->acl != NULL && pacl_entry_find(job->acl, PACL_MASK, 0, &e) == 0) ||
	    job->inv->count[OPT_NO_MASK] > 0 || pacl_equiv_mode(acl, &mode) != 1)
		return 0;
	return pacl_calc_mask(acl);
}

/* The object has no entry of that kind: the answer is no, for this path. */
static int
no_entry(struct acl_job *job, const char *path)
{
	(void)ctl_fail(job->inv, 0, "%s: there is no such entry", path);
	if (job->answer == CTL_OK)
		job->answer = CTL_NO;
	return 0;
}

static int
edit_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl *acl;
	int error = get_for_change(job, at, &acl);

	(void)st;
	if (error == 0)
		error = job->edit(job, acl);
	if (error == 0)
		error = renew_mask(job, acl);
	if (error == 0)
		error = change(job, at, path, acl);
	pacl_free(acl);
	return error == NO_ENTRY ? no_entry(job, path) : error == UNCHANGED ? 0 : error;
}

static int
set_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	(void)st;
	return change(job, at, path, job->acl);
}

static int
drop_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	int error = S_ISDIR(st->st_mode) ? pacl_drop_default(at) : 0;

	if (error == 0 && job->inv->json && S_ISDIR(st->st_mode)) {
		json_open(&job->json, NULL, '{');
		json_str(&job->json, "path", path);
		json_close(&job->json);
	}
	return error;
}

static int
test_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl_entry e;
	struct pacl *acl;
	bool holds;
	int error = pacl_get(at, job->type, &acl);

	(void)st;
	if (error != 0)
		return error;
	holds = pacl_entry_find(acl, job->tag, job->id, &e) == 0 && (pacl_entry_perm(&e) & job->perm) == job->perm;
	if (job->inv->json) {
		json_open(&job->json, NULL, '{');
		json_str(&job->json, "path", path);
		json_bool(&job->json, "holds", holds);
		json_close(&job->json);
	}
	if (!holds && job->answer == CTL_OK)
		job->answer = CTL_NO;
	pacl_free(acl);
	return 0;
}

/* -------------------------------------------------------------------- commands */

/*
 * COMMAND(verb, what is done with each path, how its list is edited, what the
 * first words of the command line are); the words behind them are paths.
 */
#define COMMANDS(COMMAND)                                                \
	COMMAND(modify, edit_one, edit_merge, read_entries, NULL)        \
	COMMAND(remove, edit_one, edit_remove, read_entry, NULL)         \
	COMMAND(drop, drop_one, NULL, NULL, NULL)                        \
	COMMAND(mask, edit_one, edit_mask, NULL, NULL)                   \
	COMMAND(perm, edit_one, edit_perm, read_perm_change, NULL)       \
	COMMAND(test, test_one, NULL, read_perm_test, NULL)              \
	COMMAND(clone, edit_one, edit_clone, read_entry, read_second_entry)

typedef int word_reader(struct acl_job *, char *word);

static int
run(struct invocation *inv, struct acl_job *job, word_reader *first, word_reader *second)
{
	word_reader *const readers[] = { first, second };
	int n = 0;

	job->inv = inv;
	for (; n < 2 && readers[n] != NULL; n++)
		if (readers[n](job, inv->argv[n]) != 0) {
			pacl_free(job->acl);
			return CTL_USAGE;
		}
	return acl_run(job, inv, inv->argv + n, inv->argc - n);
}

#define COMMAND(verb, one_path, edit_list, first, second)                               \
	int                                                                             \
	acl_##verb##_command(struct invocation *inv)                                    \
	{                                                                               \
		struct acl_job job = { .one = (one_path), .edit = (edit_list),          \
		    .changes = (one_path) != test_one };                            \
                                                                                        \
		return run(inv, &job, first, second);                                   \
	}
COMMANDS(COMMAND)
#undef COMMAND

int
acl_set_command(struct invocation *inv)
{
	struct acl_job job = { .inv = inv, .one = set_one, .changes = true };
	const char *octal = inv->value[OPT_MODE];
	unsigned long mode;
	char *end;

	if (octal != NULL) {
		mode = strtoul(octal, &end, 8);
		if (*octal == '\0' || *end != '\0' || mode > 0777)
			return ctl_fail(inv, CTL_USAGE, "--mode %s: three octal digits were expected", octal);
		if (pacl_from_mode((mode_t)mode, &job.acl) != 0)
			return ctl_fail_code(inv, CTL_FAILED, octal, -ENOMEM);
		return run(inv, &job, NULL, NULL);
	}
	if (inv->argc < 2)
		return ctl_fail(inv, CTL_USAGE, "an ACL text (or --mode) and a path are needed");
	if (read_text(&job, inv->argv[0]) != 0)
		return CTL_USAGE;
	if (inv->count[OPT_MASK] > 0)
		(void)pacl_calc_mask(job.acl);
	return acl_run(&job, inv, inv->argv + 1, inv->argc - 1);
}

int
acl_copy_command(struct invocation *inv)
{
	struct acl_job job = { .one = set_one, .changes = true };
	enum pacl_type type = inv->count[OPT_DEFAULT] > 0 ? PACL_DEFAULT : PACL_ACCESS;
	int error = acl_read(inv->argv[0], type, &job.acl);

	if (error != 0)
		return acl_fail(inv, inv->argv[0], error);
	return acl_run(&job, inv, inv->argv + 1, inv->argc - 1);
}
