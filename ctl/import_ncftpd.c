/*
 * NcFTPd: general.cf and domain.cf.  What its public manual tells of them is the user classes, the groups that may only
 * read, write or add, and where its password databases are; other options are listed, not guessed.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/str.h"
#include "ctl/convert.h"

#define CLASSES_MAX 64
#define UNKNOWN_MAX 256

/* An option that may have restricted access, for all that is known. */
struct unknown {
	char key[128], value[512];
	unsigned line;
};

struct class {
	char name[64], groups[512], mode[512];
	bool block; /* between begin-new-user-class and its end */
};

struct ncftpd {
	struct class class[CLASSES_MAX];
	size_t n;
	bool open; /* the last one is a block that has not ended */
	char passwd[512];
	struct unknown unknown[UNKNOWN_MAX];
	size_t unknown_count;
};

static struct class *
new_class(struct ncftpd *f, const char *name, bool block)
{
	struct class *k = f->n < CLASSES_MAX ? &f->class[f->n++] : &f->class[CLASSES_MAX - 1];

	*k = (struct class){ .block = block };
	(void)str_copy(k->name, sizeof(k->name), name);
	if (k->name[0] == '\0')
		(void)str_format(k->name, sizeof(k->name), "class-%zu", f->n);
	return k;
}

/* The class that a pair of options belongs to: the open block, or one of its own outside. */
static struct class *
current(struct ncftpd *f)
{
	if (f->open)
		return &f->class[f->n - 1];
	for (size_t i = 0; i < f->n; i++)
		if (!f->class[i].block && strcmp(f->class[i].name, "restricted") == 0)
			return &f->class[i];
	return new_class(f, "restricted", false);
}

static void
keep_unknown(struct ncftpd *f, unsigned line, const char *key, const char *value)
{
	/* One is enough to keep everybody out, so those beyond the table change nothing. */
	struct unknown *u = f->unknown_count < UNKNOWN_MAX ? &f->unknown[f->unknown_count++] : NULL;

	if (u == NULL)
		return;
	*u = (struct unknown){ .line = line };
	(void)str_format(u->key, sizeof(u->key), "%.100s", key);
	(void)str_format(u->value, sizeof(u->value), "%.500s", value);
}

/* What these groups may do beyond their home is in the letters of a user permission string. */
static const struct {
	const char *option, *name, *mode;
} presets[] = { { "u-read-only-groups", "read-only", "homedir, -W -u" },
	{ "u-write-only-groups", "write-only", "homedir, -R" },
	{ "u-add-only-groups", "add-only", "homedir, -rW +c" } };

static void
take(struct convert *c, void *context, const char *section, unsigned line, const char *key, const char *value)
{
	struct ncftpd *f = context;

	(void)section;
	for (size_t i = 0; i < sizeof(presets) / sizeof(*presets); i++)
		if (strcasecmp(key, presets[i].option) == 0) {
			struct class *k = new_class(f, presets[i].name, false);

			(void)str_copy(k->groups, sizeof(k->groups), value);
			(void)str_copy(k->mode, sizeof(k->mode), presets[i].mode);
			convert_lost(c, line, key, value,
			    "it is the first class here that counts, not all of them: compare the order");
			return;
		}
	if (strncasecmp(key, "begin-new-user-class", 20) == 0) {
		(void)new_class(f, key + 20 + strspn(key + 20, " \t"), true);
		f->open = true;
	} else if (strcasecmp(key, "end-user-class") == 0)
		f->open = false;
	else if (strcasecmp(key, "u-restricted-groups") == 0)
		(void)str_copy(current(f)->groups, sizeof(current(f)->groups), value);
	else if (strcasecmp(key, "u-restrict-mode") == 0)
		(void)str_copy(current(f)->mode, sizeof(current(f)->mode), value);
	else if (strcasecmp(key, "passwd") == 0)
		(void)str_copy(f->passwd, sizeof(f->passwd), value);
	else if (strcasecmp(key, "u-vquota") == 0 && strcasecmp(value, "no") == 0)
		convert_lost(
		    c, line, key, value, "take quota_bytes and quota_files away from the accounts after their import");
	else if (strcasecmp(key, "u-vquota") != 0)
		keep_unknown(f, line, key, value);
}

/* Names of groups, separated by commas or blanks, as members of a class. */
static void
say_members(struct convert *c, const char *groups)
{
	char names[512], *rest = names, *name, members[1024] = "";

	(void)str_copy(names, sizeof(names), groups);
	while ((name = strsep(&rest, ", \t")) != NULL) {
		size_t n = strlen(members);
		bool word = strcasecmp(name, "all") == 0 || strcasecmp(name, "none") == 0;

		if (*name != '\0')
			(void)str_format(
			    members + n, sizeof(members) - n, "%s%s%s", n > 0 ? ", " : "", word ? "" : "@", name);
	}
	convert_say(c, "members", members[0] != '\0' ? members : "none");
}

static void
say_all(struct convert *c, const struct ncftpd *f)
{
	convert_section(c, "server", NULL);
	convert_say(c, "accounts", f->passwd[0] != '\0' ? "config, database, pam" : "config, pam");
	convert_say(c, "default_layer", "posix1e");
	if (f->passwd[0] != '\0')
		convert_lost(c, 0, "passwd", f->passwd,
		    "bring the accounts with: ncftpd_passwd -f FILE -x | sallyctl account import --format ncftpd -");
	for (size_t i = 0; i < f->unknown_count; i++)
		convert_closed(c, f->unknown[i].line, f->unknown[i].key, f->unknown[i].value,
		    "the importer does not know this setting");
	for (size_t i = 0; i < f->n; i++) {
		convert_section(c, "class", f->class[i].name);
		say_members(c, f->class[i].groups[0] != '\0' ? f->class[i].groups : "all");
		convert_say(c, "restrict_mode", f->class[i].mode[0] != '\0' ? f->class[i].mode : "homedir");
	}
	/* Since version 2.8.1 whoever is in no class sees his home only. */
	convert_section(c, "class", "all-others");
	convert_say(c, "members", "all");
	convert_say(c, "restrict_mode", "homedir");
}

int
import_ncftpd_command(struct invocation *inv)
{
	static struct ncftpd f;
	static const char *const names[] = { "general.cf", "domain.cf" };
	struct convert c;
	char path[4096];
	struct stat st;
	int r = convert_begin(&c, inv), found = 0;

	if (r == 0 && stat(inv->argv[0], &st) == 0 && S_ISDIR(st.st_mode)) {
		for (size_t i = 0; i < 2; i++)
			if (str_format(path, sizeof(path), "%s/%s", inv->argv[0], names[i]) == 0 &&
			    convert_read(&c, path, take, &f) == 0)
				found++;
		r = found > 0 ? 0 : -ENOENT;
	} else if (r == 0)
		r = convert_read(&c, inv->argv[0], take, &f);
	if (r == 0)
		say_all(&c, &f);
	return convert_end(&c, r);
}
