/* Rows about ACL text alone: no file, no user. */
#include "config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authz/posixacl.h"
#include "common/str.h"
#include "tests/authz/posix1e_text.h"

static int
row_valid(struct pacl *acl, const char *argument, const char *second)
{
	(void)argument;
	(void)second;
	return pacl_valid(acl);
}

static int
row_equiv(struct pacl *acl, const char *argument, const char *second)
{
	mode_t mode;

	(void)second;
	return pacl_equiv_mode(acl, &mode) == 0 && mode == (mode_t)strtol(argument, NULL, 8);
}

static int
row_extended(struct pacl *acl, const char *argument, const char *second)
{
	mode_t mode;

	(void)argument;
	(void)second;
	return pacl_equiv_mode(acl, &mode) == 1;
}

static int
row_parse(struct pacl *acl, const char *argument, const char *second)
{
	(void)acl;
	(void)argument;
	(void)second;
	return 1;
}

static int
row_check(struct pacl *acl, const char *argument, const char *second)
{
	const char *word = pacl_fault_word(pacl_check(acl, NULL));

	(void)second;
	return strcmp(word, argument) == 0 || (strcmp(word, "FINE") == 0 && strcmp(argument, "OK") == 0);
}

static enum pacl_tag
tag_of(const char *word, const char *qualifier)
{
#define PACL_TAG(NAME, number, w, qualified) \
	if (strcmp(word, w) == 0 && qualified == (strcmp(qualifier, "-") != 0 && *qualifier != '\0')) \
		return PACL_##NAME;
	PACL_TAGS(PACL_TAG)
#undef PACL_TAG
	return PACL_UNDEFINED;
}

static unsigned
perms_of(const char *text)
{
	return (strchr(text, 'r') != NULL ? PACL_READ : 0u) | (strchr(text, 'w') != NULL ? PACL_WRITE : 0u) |
	    (strchr(text, 'x') != NULL ? PACL_EXECUTE : 0u);
}

static bool
id_of(enum pacl_tag tag, const char *word, uint32_t *id)
{
	char *end;

	*id = PACL_NO_ID;
	if (tag != PACL_USER && tag != PACL_GROUP)
		return true;
	if (posix1e_name(NULL, tag, word, id) == 0)
		return true;
	*id = (uint32_t)strtoul(word, &end, 10);
	return *word != '\0' && *end == '\0';
}

/* ADD tag qualifier perms: then the mask is computed, as an append with all its steps. */
static int
row_add(struct pacl *acl, const char *argument, const char *second)
{
	char tag_word[16] = "", qualifier[64] = "", perms[8] = "";
	struct pacl_permset set;
	struct pacl_entry e;
	enum pacl_tag tag;
	uint32_t id;

	(void)second;
	if (sscanf(argument, "%15s %63s %7s", tag_word, qualifier, perms) != 3)
		return posix1e_tell(-1, "three words were expected");
	tag = tag_of(tag_word, qualifier);
	if (!id_of(tag, qualifier, &id) || pacl_append(acl, NULL, &e) != 0)
		return 0;
	if (tag != PACL_UNDEFINED && pacl_entry_set_tag(&e, tag) != 0)
		return 0;
	if (id != PACL_NO_ID && pacl_entry_set_id(&e, id) != 0)
		return 0;
	if (pacl_entry_permset(&e, &set) != 0 || (perms_of(perms) != 0 && pacl_perm_add(&set, perms_of(perms)) != 0))
		return 0;
	if (tag == PACL_USER || tag == PACL_GROUP)
		(void)pacl_calc_mask(acl);
	return pacl_valid(acl);
}

static int
row_drop(struct pacl *acl, const char *argument, const char *second)
{
	char tag_word[16] = "", qualifier[64] = "-";
	struct pacl_entry e;
	uint32_t id;

	(void)second;
	if (sscanf(argument, "%15s %63s", tag_word, qualifier) < 1 ||
	    !id_of(tag_of(tag_word, qualifier), qualifier, &id) ||
	    pacl_entry_find(acl, tag_of(tag_word, qualifier), id, &e) != 0 || pacl_delete(acl, &e) != 0)
		return 0;
	return pacl_valid(acl);
}

static int
row_mask(struct pacl *acl, const char *argument, const char *second)
{
	struct pacl_entry e;

	(void)second;
	return pacl_calc_mask(acl) == 0 && pacl_entry_find(acl, PACL_MASK, 0, &e) == 0 &&
	    pacl_entry_perm(&e) == perms_of(argument);
}

static const struct { const char *word; unsigned option;
} text_options[] = {
	{ "ABBREVIATE", PACL_ABBREVIATE },
	{ "NUMERIC_IDS", PACL_NUMERIC_IDS },
	{ "SOME_EFFECTIVE", PACL_SOME_EFFECTIVE },
	{ "ALL_EFFECTIVE", PACL_ALL_EFFECTIVE },
	{ "SMART_INDENT", PACL_SMART_INDENT },
};

/* Names of the cast become numbers, runs of blanks one blank, newlines commas. */
static void
normalise(const char *text, char *dst, size_t size)
{
	size_t n = 0, word;
	uint32_t id;
	char name[64];

	while (*text != '\0' && n + 16 < size) {
		if (*text == ':' && isalpha((unsigned char)text[1]) && (word = strcspn(text + 1, ":")) < sizeof(name) &&
		    text[1 + word] == ':') {
			memcpy(name, text + 1, word);
			name[word] = '\0';
			if (posix1e_name(NULL, PACL_USER, name, &id) == 0 ||
			    posix1e_name(NULL, PACL_GROUP, name, &id) == 0) {
				n += (size_t)snprintf(dst + n, size - n, ":%u", id);
				text += 1 + word;
				continue;
			}
		}
		if (*text == ' ' || *text == '\t') {
			if (n == 0 || dst[n - 1] != ' ')
				dst[n++] = ' ';
		} else
			dst[n++] = *text == '\n' ? ',' : *text;
		text++;
	}
	dst[n] = '\0';
}

static int
row_text(struct pacl *acl, const char *argument, const char *second)
{
	char want[2048], has[2048], *text;
	unsigned options = PACL_NUMERIC_IDS;

	for (size_t i = 0; i < sizeof(text_options) / sizeof(text_options[0]); i++)
		options |= strstr(argument, text_options[i].word) != NULL ? text_options[i].option : 0;
	if (second == NULL || pacl_text_as(acl, NULL, ',', options, &text) != 0)
		return posix1e_tell(-1, "no text to compare with");
	normalise(text, has, sizeof(has));
	normalise(second, want, sizeof(want));
	free(text);
	(void)posix1e_tell(0, "%s", has);
	return strcmp(has, want) == 0;
}

static int
row_same(struct pacl *acl, const char *argument, const char *second)
{
	struct pacl *other = second == NULL ? NULL : posix1e_parse(second);
	int same = other != NULL && pacl_equal(acl, other);

	(void)argument;
	pacl_free(other);
	return same;
}

static int
row_roundtrip(struct pacl *acl, const char *argument, const char *second)
{
	struct pacl *thawed = NULL, *read = NULL;
	void *frozen = NULL;
	char *text = NULL;
	size_t len = 0;
	int same;

	(void)argument;
	(void)second;
	same = pacl_freeze(acl, &frozen, &len) == 0 && pacl_thaw(frozen, len, &thawed) == 0 &&
	       pacl_equal(acl, thawed) && pacl_text_as(acl, NULL, '\n', PACL_NUMERIC_IDS, &text) == 0 &&
	       pacl_parse(text, NULL, &read, NULL) == 0 && pacl_equal(acl, read);
	free(frozen);
	free(text);
	pacl_free(thawed);
	pacl_free(read);
	return same;
}

/* A list of steps on the first entry's permission set; the last test is the answer. */
static int
row_perm(struct pacl *acl, const char *argument, const char *second)
{
	struct pacl_permset set;
	struct pacl_entry e;
	char word[16], perm[4];
	int answer = 1, error = 0, used;

	(void)second;
	if (pacl_entry_at(acl, 0, &e) != 0 || pacl_entry_permset(&e, &set) != 0)
		return 0;
	for (; error == 0 && sscanf(argument, "%15[a-z]%*1[.-]%n", word, &used) == 1; argument += used) {
		argument += used;
		used = 0;
		perm[0] = '\0';
		(void)sscanf(argument, "%3[rwx]%n", perm, &used);
		argument += used;
		used = argument[0] == ',';
		if (strcmp(word, "clear") == 0)
			error = pacl_perm_clear(&set);
		else if (strcmp(word, "add") == 0)
			error = pacl_perm_add(&set, perms_of(perm));
		else if (strcmp(word, "del") == 0 || strcmp(word, "delete") == 0)
			error = pacl_perm_delete(&set, perms_of(perm));
		else if (strcmp(word, "set") == 0 || strcmp(word, "unset") == 0)
			error = pacl_perm_set(&set, perms_of(perm), word[0] == 's');
		else if (strcmp(word, "test") == 0 || strcmp(word, "get") == 0)
			answer = pacl_perm_test(&set, perms_of(perm));
		else
			return posix1e_tell(-1, "no such step: %s", word);
	}
	return error == 0 && answer;
}

/* Every entry appended to a new ACL, and copied over a new one. */
static int
row_copy(struct pacl *acl, const char *argument, const char *second)
{
	struct pacl *appended = NULL, *copied = NULL;
	struct pacl_entry e, to;
	int same = pacl_new(&appended) == 0 && pacl_new(&copied) == 0;

	(void)argument;
	(void)second;
	for (size_t i = 0; same && pacl_entry_at(acl, i, &e) == 0; i++)
		same = pacl_append(appended, &e, &to) == 0 && pacl_entry_parent(&to) == appended &&
		       pacl_append(copied, NULL, &to) == 0 && pacl_entry_copy(&to, &e) == 0 &&
		       pacl_entry_parent(&to) == copied;
	same = same && pacl_equal(acl, appended) && pacl_equal(acl, copied);
	pacl_free(appended);
	pacl_free(copied);
	return same;
}

static const struct {
	const char *name;
	int (*run)(struct pacl *, const char *argument, const char *second);
} text_rows[] = {
	{ "ACL VALID", row_valid },
	{ "ACL EMPTY", row_valid },
	{ "ACL EQUIV", row_equiv },
	{ "ACL EXTENDED", row_extended },
	{ "ACL PARSE", row_parse },
	{ "ACL CHECK", row_check },
	{ "ACL ADD", row_add },
	{ "ACL DROP", row_drop },
	{ "ACL MASK", row_mask },
	{ "ACL TEXT", row_text },
	{ "ACL SAME", row_same },
	{ "ACL ROUNDTRIP", row_roundtrip },
	{ "ACL PERM", row_perm },
	{ "ACL COPY", row_copy },
};

int
posix1e_text_row(const char *policy, const char *command)
{
	char first[4096], *second;
	struct pacl *acl = NULL;
	size_t n;
	int result;

	posix1e_clear();
	if (str_copy(first, sizeof(first), policy) != 0)
		return posix1e_tell(-1, "text too long");
	if ((second = strstr(first, " || ")) != NULL) {
		*second = '\0';
		second += 4;
	}
	for (size_t i = 0; i < sizeof(text_rows) / sizeof(text_rows[0]); i++) {
		n = strlen(text_rows[i].name);
		if (strncmp(command, text_rows[i].name, n) != 0 || (command[n] != '\0' && command[n] != ' '))
			continue;
		if (strncmp(first, "mode=", 5) == 0)
			(void)pacl_from_mode((mode_t)strtol(first + 5, NULL, 8), &acl);
		else
			acl = posix1e_parse(first);
		result = acl == NULL ? 0 : text_rows[i].run(acl, command + n + strspn(command + n, " "), second);
		pacl_free(acl);
		return result;
	}
	return posix1e_tell(-1, "no such command: %s", command);
}
