/* ftpcluster: the folder that its users share, with .passwd and the .permissions files in it, which stay as they are.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "account/cluster.h"
#include "common/str.h"
#include "ctl/convert.h"

static int
read_passwd(const char *path, char **text)
{
	FILE *in = fopen(path, "re");
	size_t room = 0;
	int r = in == NULL ? -errno : 0;

	if (in != NULL && getdelim(text, &room, '\0', in) < 0 && ferror(in))
		r = -EIO;
	if (in != NULL)
		fclose(in);
	return r;
}

/* What over there was an account and is none here, and what should not stay. */
static void
look(struct convert *c, const char *text)
{
	const char *at = text;
	struct cluster_row row;
	unsigned line = 0, wrong = 0, clear = 0;
	char count[24];

	while (cluster_next(&at, &line, &row, &wrong))
		clear += row.password_len > 1 && row.password[0] != '$';
	(void)str_format(count, sizeof(count), "%u", wrong);
	if (wrong > 0)
		convert_lost(c, 0, "lines of .passwd:", count,
		    "they are no accounts: NAME:PASSWORD:NUMBER:HOME, names of a-z 0-9 . + -");
	(void)str_format(count, sizeof(count), "%u", clear);
	if (clear > 0)
		convert_lost(c, 0, "passwords in clear:", count,
		    "upgrade_passwords = yes makes hashes of them, one at each login");
}

int
import_ftpcluster_command(struct invocation *inv)
{
	char path[4096], *text = NULL;
	struct convert c;
	struct stat st;
	int r = convert_begin(&c, inv);

	if (r == 0)
		r = str_format(path, sizeof(path), "%s/.passwd", inv->argv[0]) != 0 ? -ENAMETOOLONG
		    : stat(inv->argv[0], &st) < 0                                   ? -errno
										    : read_passwd(path, &text);
	if (r == 0) {
		convert_section(&c, "server", NULL);
		convert_say(&c, "accounts", "passwd_file");
		convert_say(&c, "passwd_file", path);
		convert_sayf(&c, "virtual_user", "%u:%u", (unsigned)st.st_uid, (unsigned)st.st_gid);
		convert_say(&c, "layer", "ftpcluster");
		convert_say(&c, "list_owner", "names");
		if (st.st_uid == 0)
			convert_lost(&c, 0, "owner of the folder:", "root",
			    "give the tree to a user of its own, and name it in virtual_user");
		look(&c, text != NULL ? text : "");
	}
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
	return convert_end(&c, r);
}
