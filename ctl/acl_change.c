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

static int
set_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	(void)st;
	return change(job, at, path, job->acl);
}

int
acl_set_command(struct invocation *inv)
{
	struct acl_job job = { .one = set_one };
	const char *octal = inv->value[OPT_MODE];
	unsigned long mode;
	char *end;

	if (octal != NULL) {
		mode = strtoul(octal, &end, 8);
		if (*octal == '\0' || *end != '\0' || mode > 0777)
			return ctl_fail(inv, CTL_USAGE, "--mode %s: three octal digits were expected", octal);
		if (pacl_from_mode((mode_t)mode, &job.acl) != 0)
			return ctl_fail_code(inv, CTL_FAILED, octal, -ENOMEM);
		return acl_run(&job, inv, inv->argv, inv->argc);
	}
	if (inv->argc < 2)
		return ctl_fail(inv, CTL_USAGE, "an ACL text (or --mode) and a path are needed");
	if ((job.acl = acl_text_argument(inv, inv->argv[0])) == NULL)
		return CTL_USAGE;
	if (inv->count[OPT_MASK] > 0)
		(void)pacl_calc_mask(job.acl);
	return acl_run(&job, inv, inv->argv + 1, inv->argc - 1);
}

/* The default ACL of a folder that has none begins with the folder's mode, so that it is valid. */
static int
get_for_change(struct acl_job *job, struct pacl_place at, const struct stat *st, struct pacl **acl)
{
	int error = pacl_get(at, job->type, acl);

	if (error == 0 && job->type == PACL_DEFAULT && pacl_count(*acl) == 0) {
		pacl_free(*acl);
		error = pacl_from_mode(st->st_mode, acl);
	}
	return error;
}

static int
merge(struct pacl *acl, const struct pacl *with)
{
	struct pacl_entry e, has;
	uint32_t id;
	int error = 0;

	for (size_t i = 0; error == 0 && pacl_entry_at(with, i, &e) == 0; i++) {
		if (pacl_entry_id(&e, &id) != 0)
			id = PACL_NO_ID;
		if (pacl_entry_find(acl, pacl_entry_tag(&e), id, &has) == 0)
			error = pacl_entry_set_perm(&has, pacl_entry_perm(&e));
		else
			error = pacl_append(acl, &e, NULL);
	}
	return error;
}

/* The mask follows, unless it was given itself, is not needed, or was not to be touched. */
static int
renew_mask(const struct acl_job *job, struct pacl *acl, bool given)
{
	mode_t mode;

	if (given || job->inv->count[OPT_NO_MASK] > 0 || pacl_equiv_mode(acl, &mode) != 1)
		return 0;
	return pacl_calc_mask(acl);
}

static int
modify_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl_entry e;
	struct pacl *acl;
	int error = get_for_change(job, at, st, &acl);

	if (error == 0)
		error = merge(acl, job->acl);
	if (error == 0)
		error = renew_mask(job, acl, pacl_entry_find(job->acl, PACL_MASK, 0, &e) == 0);
	if (error == 0)
		error = change(job, at, path, acl);
	pacl_free(acl);
	return error;
}

int
acl_modify_command(struct invocation *inv)
{
	struct acl_job job = { .one = modify_one };

	if ((job.acl = acl_text_argument(inv, inv->argv[0])) == NULL)
		return CTL_USAGE;
	if (pacl_count(job.acl) == 0) {
		pacl_free(job.acl);
		return ctl_fail(inv, CTL_USAGE, "there is no entry in this text");
	}
	return acl_run(&job, inv, inv->argv + 1, inv->argc - 1);
}

static int
remove_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl_entry e;
	struct pacl *acl;
	int error = pacl_get(at, job->type, &acl);

	(void)st;
	if (error == 0 && pacl_entry_find(acl, job->tag, job->id, &e) == 0 && (error = pacl_delete(acl, &e)) == 0) {
		error = renew_mask(job, acl, job->tag == PACL_MASK);
		if (error == 0)
			error = change(job, at, path, acl);
	}
	pacl_free(acl);
	return error;
}

int
acl_remove_command(struct invocation *inv)
{
	struct acl_job job = { .one = remove_one };

	if (acl_entry_argument(inv, inv->argv[0], &job.tag, &job.id) != 0)
		return CTL_USAGE;
	return acl_run(&job, inv, inv->argv + 1, inv->argc - 1);
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

int
acl_drop_command(struct invocation *inv)
{
	struct acl_job job = { .one = drop_one };

	return acl_run(&job, inv, inv->argv, inv->argc);
}

static int
mask_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl *acl;
	int error = get_for_change(job, at, st, &acl);

	if (error == 0)
		error = pacl_calc_mask(acl);
	if (error == 0)
		error = change(job, at, path, acl);
	pacl_free(acl);
	return error;
}

int
acl_mask_command(struct invocation *inv)
{
	struct acl_job job = { .one = mask_one };

	return acl_run(&job, inv, inv->argv, inv->argc);
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
perm_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl_permset set;
	struct pacl_entry e;
	struct pacl *acl;
	int error = get_for_change(job, at, st, &acl);

	if (error == 0 && pacl_entry_find(acl, job->tag, job->id, &e) != 0) {
		pacl_free(acl);
		return no_entry(job, path);
	}
	if (error == 0)
		error = pacl_entry_permset(&e, &set);
	if (error == 0 && job->sign == '=')
		error = pacl_perm_clear(&set);
	if (error == 0 && job->perm != 0)
		error = job->sign == '-' ? pacl_perm_delete(&set, job->perm) : pacl_perm_add(&set, job->perm);
	if (error == 0)
		error = renew_mask(job, acl, job->tag == PACL_MASK);
	if (error == 0)
		error = change(job, at, path, acl);
	pacl_free(acl);
	return error;
}

/* u:bob=rw, u:bob+w, u:bob-w, u:bob= */
int
acl_perm_command(struct invocation *inv)
{
	struct acl_job job = { .one = perm_one };
	char *sign = strrchr(inv->argv[0], ':');

	/* A name may contain - or +: the sign is the last one. */
	sign = sign == NULL ? inv->argv[0] : sign;
	for (char *p = sign; *p != '\0'; p++)
		sign =
		    strchr("+-=", *p) != NULL && strspn(p + 1, "rwx-") == strlen(p + 1) && strchr("+-=", *sign) == NULL
			? p
			: sign;
	if (strchr("+-=", *sign) == NULL || *sign == '\0')
		return ctl_fail(inv, CTL_USAGE, "an entry with =, + or - and permissions was expected: u:bob=rw");
	job.sign = *sign;
	*sign = '\0';
	if (read_perm(inv, sign + 1, &job.perm) != 0 || acl_entry_argument(inv, inv->argv[0], &job.tag, &job.id) != 0)
		return CTL_USAGE;
	return acl_run(&job, inv, inv->argv + 1, inv->argc - 1);
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

int
acl_test_command(struct invocation *inv)
{
	struct acl_job job = { .one = test_one };
	char *perm = strrchr(inv->argv[0], ':');

	if (perm == NULL)
		return ctl_fail(inv, CTL_USAGE, "an entry with permissions was expected: u:bob:rw");
	*perm++ = '\0';
	if (read_perm(inv, perm, &job.perm) != 0 || acl_entry_argument(inv, inv->argv[0], &job.tag, &job.id) != 0)
		return CTL_USAGE;
	return acl_run(&job, inv, inv->argv + 1, inv->argc - 1);
}

static int
clone_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl_entry from, to;
	struct pacl *acl;
	int error = get_for_change(job, at, st, &acl);

	if (error == 0 && pacl_entry_find(acl, job->tag, job->id, &from) != 0) {
		pacl_free(acl);
		return no_entry(job, path);
	}
	if (error == 0 && pacl_entry_find(acl, job->to_tag, job->to_id, &to) != 0)
		error = pacl_append(acl, &from, &to);
	if (error == 0)
		error = pacl_entry_copy(&to, &from);
	if (error == 0)
		error = pacl_entry_set_tag(&to, job->to_tag);
	if (error == 0 && job->to_id != PACL_NO_ID)
		error = pacl_entry_set_id(&to, job->to_id);
	if (error == 0)
		error = renew_mask(job, acl, false);
	if (error == 0)
		error = change(job, at, path, acl);
	pacl_free(acl);
	return error;
}

int
acl_clone_command(struct invocation *inv)
{
	struct acl_job job = { .one = clone_one };

	if (acl_entry_argument(inv, inv->argv[0], &job.tag, &job.id) != 0 ||
	    acl_entry_argument(inv, inv->argv[1], &job.to_tag, &job.to_id) != 0)
		return CTL_USAGE;
	return acl_run(&job, inv, inv->argv + 2, inv->argc - 2);
}

int
acl_copy_command(struct invocation *inv)
{
	struct acl_job job = { .one = set_one };
	enum pacl_type type = inv->count[OPT_DEFAULT] > 0 ? PACL_DEFAULT : PACL_ACCESS;
	int error = pacl_get(pacl_at_path(inv->argv[0]), type, &job.acl);

	if (error != 0)
		return ctl_fail_code(inv, CTL_FAILED, inv->argv[0], error);
	return acl_run(&job, inv, inv->argv + 1, inv->argc - 1);
}
