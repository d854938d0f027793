/* sallyctl acl: show and examine POSIX.1e ACLs. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "ctl/acl.h"

static int
print_acl(const struct invocation *inv, const struct pacl *acl)
{
	char *text;
	int error = pacl_text_as(acl, inv->value[OPT_PREFIX], inv->value[OPT_SEPARATOR] != NULL ?
	    *inv->value[OPT_SEPARATOR] : '\n', acl_text_options(inv), &text);

	if (error != 0)
		return error;
	ctl_print_safe(text);
	if (*text != '\0')
		putchar('\n');
	free(text);
	return 0;
}

/* One byte, as acl_to_any_text(3) wants it. */
static int
check_separator(const struct invocation *inv)
{
	const char *s = inv->value[OPT_SEPARATOR];

	return s == NULL || strlen(s) == 1 ? 0 : ctl_fail(inv, CTL_USAGE, "--separator takes one character");
}

static int
get_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl *acl;
	int error = pacl_get(at, job->type, &acl);

	if (error != 0)
		return error;
	if (job->inv->json) {
		json_open(&job->json, NULL, '{');
		json_str(&job->json, "path", path);
		json_unsigned(&job->json, "owner", st->st_uid);
		json_unsigned(&job->json, "group", st->st_gid);
		acl_json(&job->json, "acl", job->type, acl);
		json_close(&job->json);
	} else {
		if (job->inv->argc > 1 || job->inv->count[OPT_RECURSIVE] > 0) {
			printf(job->done > 1 ? "\n# file: " : "# file: ");
			ctl_print_name(path);
			putchar('\n');
		}
		error = print_acl(job->inv, acl);
	}
	pacl_free(acl);
	return error;
}

int
acl_get_command(struct invocation *inv)
{
	struct acl_job job = { .one = get_one };

	return check_separator(inv) != 0 ? CTL_USAGE : acl_run(&job, inv, inv->argv, inv->argc);
}

int
acl_text_command(struct invocation *inv)
{
	struct pacl *acl;
	struct json j;
	int error;

	if (check_separator(inv) != 0 || (acl = acl_text_argument(inv, inv->argv[0])) == NULL)
		return CTL_USAGE;
	if (inv->count[OPT_MASK] > 0 && (error = pacl_calc_mask(acl)) != 0) {
		pacl_free(acl);
		return ctl_fail_code(inv, CTL_FAILED, "mask", error);
	}
	if (inv->json) {
		json_init(&j);
		acl_json(&j, NULL, PACL_ACCESS, acl);
		error = ctl_print_json(inv, &j);
	} else
		error = print_acl(inv, acl) == 0 ? CTL_OK : CTL_FAILED;
	pacl_free(acl);
	return error;
}

int
acl_check_command(struct invocation *inv)
{
	struct pacl_error e = { 0, "" };
	enum pacl_fault fault = PACL_FINE;
	struct pacl *acl = NULL;
	struct json j;
	size_t index = 0;
	int error = pacl_parse(inv->argv[0], &pacl_nss, &acl, &e), result;

	if (error != 0 && error != SP_EFORMAT)
		return ctl_fail_code(inv, CTL_FAILED, "ACL text", error);
	if (error == 0)
		fault = pacl_check(acl, &index);
	result = error == 0 && fault == PACL_FINE ? CTL_OK : CTL_NO;
	json_init(&j);
	json_open(&j, NULL, '{');
	json_bool(&j, "valid", result == CTL_OK);
	json_str(&j, "fault", error != 0 ? "SYNTAX" : pacl_fault_word(fault));
	json_str(&j, "text", error != 0 ? e.text : pacl_fault_text(fault));
	if (result != CTL_OK)
		json_unsigned(&j, error != 0 ? "column" : "entry", error != 0 ? e.at + 1 : index);
	json_close(&j);
	if (inv->json)
		result = ctl_print_json(inv, &j) == CTL_OK ? result : CTL_FAILED;
	else if (error != 0)
		printf("SYNTAX at column %zu: %s\n", e.at + 1, e.text);
	else if (fault != PACL_FINE)
		printf("%s at entry %zu: %s\n", pacl_fault_word(fault), index, pacl_fault_text(fault));
	else
		puts(pacl_fault_text(fault));
	json_free(&j);
	pacl_free(acl);
	return result;
}

static int
equiv_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl *acl;
	mode_t mode = 0;
	int extended, error = pacl_get(at, job->type, &acl);

	(void)st;
	if (error != 0)
		return error;
	extended = pacl_equiv_mode(acl, &mode);
	if (job->inv->json) {
		json_open(&job->json, NULL, '{');
		json_str(&job->json, "path", path);
		acl_json(&job->json, "acl", job->type, acl);
		json_close(&job->json);
	} else if (extended >= 0) {
		printf("%04o %s ", (unsigned)mode & 0777, extended > 0 ? "extended" : "basic");
		ctl_print_name(path);
		putchar('\n');
	}
	if (extended > 0 && job->answer == CTL_OK)
		job->answer = CTL_NO;
	pacl_free(acl);
	return extended < 0 ? extended : 0;
}

int
acl_equiv_command(struct invocation *inv)
{
	struct acl_job job = { .one = equiv_one };

	return acl_run(&job, inv, inv->argv, inv->argc);
}

static int
extended_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	bool access = false, def = false;
	int error = pacl_extended(at, &access, &def);

	(void)st;
	if (error != 0)
		return error;
	if (job->inv->json) {
		json_open(&job->json, NULL, '{');
		json_str(&job->json, "path", path);
		json_bool(&job->json, "access", access);
		json_bool(&job->json, "default", def);
		json_close(&job->json);
	} else {
		printf("%-7s %-7s ", access ? "access" : "-", def ? "default" : "-");
		ctl_print_name(path);
		putchar('\n');
	}
	if (!access && !def && job->answer == CTL_OK)
		job->answer = CTL_NO;
	return 0;
}

int
acl_extended_command(struct invocation *inv)
{
	struct acl_job job = { .one = extended_one };

	return acl_run(&job, inv, inv->argv, inv->argc);
}

int
acl_read(const char *path, enum pacl_type type, struct pacl **acl)
{
	struct acl_object o;
	int error = acl_find(&o, path);

	if (error == 0)
		error = pacl_get(acl_held(&o), type, acl);
	if (o.fd >= 0)
		close(o.fd);
	return error;
}

int
acl_diff_command(struct invocation *inv)
{
	enum pacl_type type = inv->count[OPT_DEFAULT] > 0 ? PACL_DEFAULT : PACL_ACCESS;
	struct pacl *acl[2] = { NULL, NULL };
	struct json j;
	int error = 0, result;

	for (int i = 0; i < 2 && error == 0; i++)
		if ((error = acl_read(inv->argv[i], type, &acl[i])) != 0)
			result = acl_fail(inv, inv->argv[i], error);
	if (error == 0) {
		result = pacl_equal(acl[0], acl[1]) ? CTL_OK : CTL_NO;
		json_init(&j);
		json_open(&j, NULL, '{');
		json_bool(&j, "equal", result == CTL_OK);
		acl_json(&j, "first", type, acl[0]);
		acl_json(&j, "second", type, acl[1]);
		json_close(&j);
		if (!inv->json)
			puts(result == CTL_OK ? "equal" : "different");
		else if (ctl_print_json(inv, &j) != CTL_OK)
			result = CTL_FAILED;
		json_free(&j);
	}
	pacl_free(acl[0]);
	pacl_free(acl[1]);
	return result;
}

int
acl_caps_command(struct invocation *inv)
{
	static const struct { unsigned bit; const char *word; } caps[] = {
		{ PACL_HAS_ENTRY, "HAS_ACL_ENTRY" }, { PACL_HAS_FROM_MODE, "HAS_ACL_FROM_MODE" },
		{ PACL_HAS_CHECK, "HAS_ACL_CHECK" }, { PACL_HAS_EXTENDED_CHECK, "HAS_EXTENDED_CHECK" },
		{ PACL_HAS_EQUIV_MODE, "HAS_EQUIV_MODE" }, { PACL_HAS_COPY_EXT, "HAS_COPY_EXT" },
	};
	struct json j;

	json_init(&j);
	json_open(&j, NULL, '{');
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		json_bool(&j, caps[i].word, (pacl_caps() & caps[i].bit) != 0);
		if (!inv->json)
			printf("%-20s %s\n", caps[i].word, (pacl_caps() & caps[i].bit) != 0 ? "yes" : "no");
	}
	json_close(&j);
	if (inv->json)
		return ctl_print_json(inv, &j);
	json_free(&j);
	return CTL_OK;
}
