/* Files: what is understood, and every mistake with its place. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/str.h"
#include "common/conf_private.h"
#include "common/err.h"
#include "tests/unit/common.h"

static struct conf *
load(const char *text, int *errors)
{
	struct conf *c = conf_new();

	*errors = conf_load_text(c, "t.conf", text, strlen(text));
	return c;
}

/* All problems, a line each. */
static char *
problems_of(const struct conf *c)
{
	static char all[8192];
	char line[1500];
	const struct conf_problem *p;

	all[0] = '\0';
	for (size_t i = 0; (p = conf_problem_at(c, i)) != NULL; i++) {
		(void)conf_problem_text(p, line, sizeof line);
		strncat(all, line, sizeof all - strlen(all) - 2);
		strncat(all, "\n", sizeof all - strlen(all) - 1);
	}
	return all;
}

static const struct { const char *text, *problems;
} broken[] = {
	{ "idle_timeout = 5m\n[server]\n",
	    "t.conf:1: \"idle_timeout\": stands before any section; begin with [server]\n" },
	{ "[servr]\nx = 1\n", "t.conf:1: \"servr\": unknown section: expected [server], [tls], [listener NAME], [class "
			      "NAME], [group NAME] or "
			      "[account NAME]; did you mean [server]?\n" },
	{ "[server x]\n", "t.conf:1: \"x\": a section [server] has no name\n" },
	{ "[account]\n", "t.conf:1: a section [account NAME] needs a name\n" },
	{ "[account bob\nhome = /\n", "t.conf:1: \"account bob\": the section's ] is missing\n" },
	{ "[server] x\n", "t.conf:1: \"server] x\": something follows the section's ]\n" },
	{ "[account bob]\n[account bob]\n", "t.conf:2: \"account bob\": this section begins again; first in t.conf:1; "
					    "put all its keys into one place\n" },
	{ "[server]\nidel_timeout = 1\n", "t.conf:2: \"idel_timeout\": unknown key; did you mean \"idle_timeout\"?\n" },
	{ "[server]\nxferlog_file = /x\n", "t.conf:2: \"xferlog_file\": unknown key; here it is: xferlog\n" },
	{ "[server]\nqqqqqqq = 1\n", "t.conf:2: \"qqqqqqq\": unknown key; see sallyport.conf(5)\n" },
	{ "[tls]\nidle_timeout = 1\n",
	    "t.conf:2: \"idle_timeout\": cannot stand in a section [tls]; it belongs into [server], [listener NAME], "
	    "[class NAME], [group NAME], [account NAME]\n" },
	{ "[server]\nidle_timeout = 1\n\nidle_timeout = 2\n",
	    "t.conf:4: idle_timeout is set again; first set in t.conf:2; remove one of them\n" },
	{ "[server]\nallowed_users = a\nallowed_users = b\n",
	    "t.conf:3: allowed_users is set again; first set in t.conf:2; separate the values by "
	    "commas in one line\n" },
	{ "[server]\nthis is nothing\n",
	    "t.conf:2: \"this is nothing\": is neither a [section] nor \"key = value\" nor a comment\n" },
	{ "[server]\numask = 022\n 027\n", "t.conf:3: \"027\": an indented line goes on with the value above it, but "
					   "that takes one line; begin a key at "
					   "the start of the line\n" },
	{ "[server]\numask = \n", "t.conf:2: umask: expected octal digits, such as 022\n" },
	{ "[server]\numask = 8\ntls = ful\n",
	    "t.conf:2: \"8\": umask: expected octal digits, such as 022\n"
	    "t.conf:3: \"ful\": tls: expected one of off, offer, control, full; did you mean \"full\"?\n" },
	{ "[server]\nbanner = a\x01z\n", "t.conf:2: the line holds a control byte; is it a text file?\n" },
	{ "[server]\n\xff\xfe = 1\n", "t.conf:2: \"\\xff\\xfe\": unknown key; see sallyport.conf(5)\n" },
	{ "[account b]\npassword = geheim\n", "t.conf:2: password: expected the hash of a password; sallyctl "
					      "passwd-hash prints it; {CLEAR} before it takes clear text\n" },
	{ "[server]\nallowed_users = a\nrejected_users = b\n",
	    "t.conf:3: \"b\": rejected_users cannot be combined with allowed_users; remove one of them\n" },
	{ "[server]\nspare_sessions_min = 99\n", "t.conf:2: \"99\": spare_sessions_min is above spare_sessions_max\n" },
	{ "[server]\npenalty_max = 5s\n",
	    "t.conf:2: \"5s\": penalty_threshold is above penalty_max: nobody would ever be refused\n" },
	{ "[listener a]\n",
	    "t.conf:1: \"listener a\": the listener has no address; set listen, such as listen = *:21\n" },
	{ "[listener a]\nlisten = *:21\n[listener b]\nlisten = [::]:21\n",
	    "t.conf:4: \"[::]:21\": [::]:21 is already used by [listener a] in t.conf:2\n" },
	{ "[tls]\ntls = full\n", "t.conf:2: \"full\": TLS is required, but there is no certificate; set certificate "
				 "and private_key in [tls]\n" },
	{ "[tls]\ncertificate = /a, /b\nprivate_key = /a\n",
	    "t.conf:3: \"/a\": there must be as many private keys as certificates; list them in the same order\n" },
	{ "[tls]\nclient_certificate = require\n", "t.conf:2: \"require\": clients' certificates cannot be checked "
						   "without client_ca; set client_ca in [tls]\n" },
	{ "[group staff]\n[account b]\ngroups = staf\n",
	    "t.conf:3: \"staf\": there is no section [group staf]; did you mean \"staff\"?\n" },
	{ "[account b]\nclass = zzz\n", "t.conf:2: \"zzz\": there is no section [class zzz]\n" },
	{ "[server]\naccounts = config, external\n", "t.conf:2: \"config, external\": the source external needs the "
						     "key external_socket; set external_socket\n" },
	{ "[class a]\nrestrict_mode = homedir\njail = no\n",
	    "t.conf:2: \"homedir\": restrict_mode says what home and jail say; remove one of them\n" },
	{ "[class a]\nrestrict_mode = homedir, root=/x\n", "t.conf:2: restrict_mode: only one place can be named\n" },
	{ "[account b]\nlayer = /x\n",
	    "t.conf:2: layer: expected the language of the layer: pyftpdlib, sftpplus, ftpcluster, ups or posix1e\n" },
};

START_TEST(mistakes)
{
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		int errors;
		struct conf *c = load(broken[i].text, &errors);

		ck_assert_str_eq(problems_of(c), broken[i].problems);
		ck_assert_int_ge(errors, 1);
		conf_free(c);
	}
}
END_TEST

/* What a message's field has no room for is said, with its place; what fits is not. */
START_TEST(messages_that_are_cut_are_named)
{
	static const struct {
		const char *head;
		size_t n;
		const char *problem;
	} texts[] = {
		{ "[server]\n[account b]\ngoodbye_message = ", 1025, "t.conf:3: warning: \"account b\": goodbye_message has 1025 "
		    "bytes, and clients are sent the first 1024; make it shorter\n" },
		{ "[server]\n[account b]\ngoodbye_message = ", 1024, "" },
		{ "[server]\nlogin_message = ", 4097, "t.conf:2: login_message: longer than 4096 bytes\n" },
		{ "[server]\nlogin_message = ", 4096, "" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char text[4200];
		size_t n = strlen(texts[i].head);
		int errors;
		struct conf *c;

		memset(text, 'x', n + texts[i].n);
		memcpy(text, texts[i].head, n);
		text[n + texts[i].n] = '\0';
		c = load(text, &errors);
		ck_assert_str_eq(problems_of(c), texts[i].problem);
		conf_free(c);
	}
}
END_TEST

START_TEST(warnings_are_no_errors)
{
	int errors;
	struct conf *c = load("[account b]\npermissions =\n  allow-read\n", &errors);

	ck_assert_int_eq(errors, 0);
	ck_assert_str_eq(
	    problems_of(c), "t.conf:2: warning: \"permissions\": is another name; write \"layer = sftpplus \"\n");
	conf_free(c);
	c = load("[account b]\npassword = {CLEAR}geheim\n", &errors);
	ck_assert_int_eq(errors, 0);
	ck_assert_str_eq(problems_of(c), "t.conf:2: warning: \"account b\": the password stands in clear text; "
					 "sallyctl passwd-hash prints its hash\n");
	conf_free(c);
}
END_TEST

/* Every way to write the same thing. */
START_TEST(spellings)
{
	static const char *const texts[] = {
		"[server]\nidle_timeout=77\n",
		"[server]\nidle_timeout : 77\n",
		"[server]\r\nidle_timeout = 77\r\n",
		"[ server ]\n\tidle_timeout = 77",
		"\xef\xbb\xbf[server]\nidle-timeout = 77\t; remark\n",
		"; x\n# y\n\n[server] # z\nidle_timeout = 77 # a ; b\n  # c\n",
		"[tls]\n[server]\nidle_timeout = 1m17s\n",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		int errors;
		struct conf *c = load(texts[i], &errors);

		ck_assert_str_eq(problems_of(c), "");
		ck_assert_uint_eq(conf_server(c)->idle_timeout, 77);
		conf_free(c);
	}
}
END_TEST

START_TEST(texts_keep_everything)
{
	int errors;
	struct conf *c =
	    load("[server]\nbanner = a # b ; c = d : e\n  second; line\n\n  third\nlogin_message =\n  only\n", &errors);

	ck_assert_int_eq(errors, 0);
	ck_assert_str_eq(conf_server(c)->banner, "a # b ; c = d : e\nsecond; line\n\nthird");
	ck_assert_str_eq(conf_server(c)->login_message, "\nonly");
	conf_free(c);
}
END_TEST

START_TEST(lists_go_on)
{
	int errors;
	struct conf *c =
	    load("[server]\nnever_ban = 10.0.0.0/8, # one\n  ::1 # two\n  # three\n  192.0.2.1\n", &errors);

	ck_assert_int_eq(errors, 0);
	ck_assert_uint_eq(conf_server(c)->never_ban.n, 3);
	conf_free(c);
}
END_TEST

/* Rules are verbatim, and the i-th line of the text is the i-th line of the file from the key on. */
START_TEST(rules_keep_their_lines)
{
	int errors;
	struct conf *c = load(
	    "[server]\nlayer = /in sftpplus # here\n\tallow-list\n\n# a remark\n  [abc]*.x, allow-read ; not a remark\n"
	    "    m/a = b/i, allow-write\nlayer = ups -W\n",
	    &errors);
	const struct conf_layers *l = &conf_server(c)->layer;

	ck_assert_str_eq(problems_of(c), "");
	ck_assert_uint_eq(l->n, 2);
	ck_assert_str_eq(l->v[0].dialect, "sftpplus");
	ck_assert_str_eq(l->v[0].prefix, "/in");
	ck_assert_str_eq(l->v[0].text, "\nallow-list\n\n\n[abc]*.x, allow-read ; not a remark\nm/a = b/i, allow-write");
	ck_assert_str_eq(l->v[0].file, "t.conf");
	ck_assert_uint_eq(l->v[0].line, 2);
	ck_assert_str_eq(l->v[0].section, "server");
	ck_assert_str_eq(l->v[1].text, "-W");
	ck_assert_uint_eq(l->v[1].line, 8);
	conf_free(c);
}
END_TEST

/* libinih cuts lines at 200 and names at 50 bytes in many builds: nothing of that may happen here. */
START_TEST(long_lines_are_whole)
{
	static char text[200000];
	char name[CONF_NAME_MAX + 1];
	const struct conf_section *s;
	int errors;
	struct conf *c;
	size_t n;

	memset(name, 'n', CONF_NAME_MAX);
	name[CONF_NAME_MAX] = '\0';
	ck_assert_int_eq(str_format(text, sizeof text, "[account %s]\nlayer = sftpplus\n  ", name), 0);
	n = strlen(text);
	memset(text + n, 'x', 50000);
	(void)str_copy(text + n + 50000, sizeof text - n - 50000, "y\nhome = /a\n[server]\nbanner = ");
	memset(text + strlen(text), 'b', 4000);
	c = load(text, &errors);
	ck_assert_str_eq(problems_of(c), "");
	s = conf_section_find(c, SC_ACCOUNT, name);
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(strlen(((const struct conf_layers *)conf_section_get(s, K_layer)->data)->v[0].text), 50002);
	ck_assert_uint_eq(strlen(conf_server(c)->banner), 4000);
	conf_free(c);
}
END_TEST

START_TEST(too_long_is_an_error)
{
	static char text[5 << 20];
	int errors;
	struct conf *c;

	(void)str_copy(text, sizeof text, "[server]\nbanner = ");
	memset(text + strlen(text), 'b', 61000);
	c = load(text, &errors);
	ck_assert_str_eq(problems_of(c), "t.conf:2: the line is longer than 60000 bytes\n");
	conf_free(c);
	memset(text, 0, sizeof text);
	(void)str_copy(text, sizeof text, "[server]\nlayer = sftpplus\n");
	for (size_t i = 0, n = strlen(text); i < 4300; i++, n += 1002) {
		text[n] = ' ';
		memset(text + n + 1, 'r', 1000);
		text[n + 1001] = '\n';
	}
	c = load(text, &errors);
	ck_assert_str_eq(problems_of(c), "t.conf:2: \"layer\": the value is longer than 4 MiB\n");
	conf_free(c);
	memset(text, 0, sizeof text);
	(void)str_copy(text, sizeof text, "[account ");
	memset(text + 9, 'n', CONF_NAME_MAX + 1);
	strncat(text, "]\n", sizeof text - strlen(text) - 1);
	c = load(text, &errors);
	ck_assert_ptr_nonnull(strstr(problems_of(c), "the name has 321 bytes, at most 320 are possible"));
	conf_free(c);
	memset(text + 9, 'n', 1000);
	text[1009] = '\0';
	strncat(text, "]\nhome = /\n", sizeof text - strlen(text) - 1);
	c = load(text, &errors);
	ck_assert_ptr_nonnull(strstr(problems_of(c), "the name of the section is too long"));
	ck_assert_int_eq(errors, 1);
	conf_free(c);
}
END_TEST

START_TEST(empty_is_fine)
{
	int errors;
	struct conf *c = load("", &errors);

	ck_assert_int_eq(errors, 0);
	ck_assert_uint_eq(conf_server(c)->idle_timeout, 300);
	ck_assert_str_eq(conf_server(c)->layer.v[0].dialect, "pyftpdlib");
	conf_free(c);
	c = conf_new();
	ck_assert_int_eq(conf_load(c, NULL), 0);
	ck_assert_int_eq(conf_load(c, "/proc/nonexistent/sallyport.conf"), -ENOENT);
	conf_free(c);
}
END_TEST

static void
put_file(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

START_TEST(fragments_in_order)
{
	char dir[] = "/tmp/sallyport-unit-XXXXXX", path[200], command[300];
	struct conf *c;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/conf.d", dir);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	put_file(dir, "main.conf", "[server]\nidle_timeout = 5\n", 0644);
	put_file(path, "20-b.conf", "[server]\nidle_timeout = 6\n", 0644);
	put_file(path, "10-a.conf", "[server]\nstall_timeout = 7\n[account a]\npassword = *\n", 0644);
	put_file(path, "30-c.conf", "[server]\nlogin_delay = 4s\n", 0646);
	put_file(path, "ignored.txt", "nonsense\n", 0644);
	put_file(path, ".hidden.conf", "nonsense\n", 0644);
	snprintf(path, sizeof path, "%s/main.conf", dir);
	c = conf_new();
	ck_assert_int_eq(conf_load(c, path), 2);
	ck_assert_ptr_nonnull(strstr(problems_of(c), "20-b.conf:2: idle_timeout is set again; first set in /tmp/"));
	ck_assert_ptr_nonnull(strstr(problems_of(c), "main.conf:2; remove one of them\n"));
	ck_assert_ptr_nonnull(
	    strstr(problems_of(c), "10-a.conf:4: warning: everybody can read this file, and it holds password hashes"));
	ck_assert_ptr_nonnull(strstr(problems_of(c), "30-c.conf: everybody can write this file"));
	ck_assert_uint_eq(conf_server(c)->stall_timeout, 7);
	ck_assert_uint_eq(conf_server(c)->login_delay, 4);
	conf_free(c);
	snprintf(command, sizeof command, "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* Whoever can write the configuration is root's master. */
START_TEST(whose_configuration_is_it)
{
	char dir[] = "/tmp/sallyport-unit-XXXXXX", path[200], command[300];
	struct conf *c = conf_new();

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/conf.d", dir);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(chmod(path, 0757), 0);
	put_file(dir, "main.conf", "[server]\nidle_timeout = 5\n", 0644);
	snprintf(path, sizeof path, "%s/main.conf", dir);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(path, 4000, 4000), 0);
	ck_assert_int_eq(conf_load(c, path), 1);
	ck_assert_ptr_nonnull(strstr(problems_of(c), "conf.d: everybody can put files into this folder"));
	ck_assert_int_eq(strstr(problems_of(c), "main.conf: warning: this belongs to another user than root") != NULL, geteuid() == 0);
	conf_free(c);
	snprintf(command, sizeof command, "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* What is not to be seen is not shown because it is wrong. */
START_TEST(wrong_secrets_are_not_shown)
{
	static const char *const wrong[] = {
		"[account a]\npassword = Sup3rSecret-Marker\n", "[account a]\npassword = Sup3rSecret-Marker\npassword = Sup3rSecret-Marker2\n",
		"[server]\npassword = Sup3rSecret-Marker\n", "[account a]\npasswort = Sup3rSecret-Marker\n",
		"[class c]\npassword = Sup3rSecret-Marker\n"
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		int errors;
		struct conf *c = load(wrong[i], &errors);

		ck_assert_int_gt(errors, 0);
		ck_assert_msg(strstr(problems_of(c), "Sup3rSecret") == NULL, "%s", problems_of(c));
		conf_free(c);
	}
}
END_TEST

/* mode of the key file, is it warned of */
static const struct { mode_t mode; bool warned; } key_modes[] = {
	{ 0600, false }, { 0640, false }, { 0400, false }, { 0604, true }, { 0644, true }, { 0602, true }, { 0601, true }
};

START_TEST(keys_are_nobody_elses)
{
	char path[] = "/tmp/unit-key.XXXXXX", text[200], conf_path[] = "/tmp/unit-conf.XXXXXX";
	int fd = mkstemp(path), conf_fd = mkstemp(conf_path);

	(void)str_format(text, sizeof text, "[tls]\ncertificate = %s\nprivate_key = %s\n", path, path);
	ck_assert_int_eq(write(conf_fd, text, strlen(text)), (ssize_t)strlen(text));
	for (size_t i = 0; i < sizeof key_modes / sizeof *key_modes; i++) {
		struct conf *c = conf_new();

		ck_assert_int_eq(fchmod(fd, key_modes[i].mode), 0);
		ck_assert_int_eq(conf_load(c, conf_path), 0);
		ck_assert_msg((strstr(problems_of(c), "everybody can open the private key") != NULL) == key_modes[i].warned, "%o: %s",
		    key_modes[i].mode, problems_of(c));
		conf_free(c);
	}
	(void)unlink(path);
	(void)unlink(conf_path);
	close(fd);
	close(conf_fd);
}
END_TEST

START_TEST(missing_files_are_found)
{
	char path[] = "/tmp/sallyport-unit-XXXXXX";
	static const char text[] = "[tls]\ncertificate = /proc/nonexistent/c.pem\nprivate_key = /tmp\n";
	int fd = mkstemp(path);
	struct conf *c = conf_new();

	ck_assert_int_eq((int)write(fd, text, sizeof text - 1), (int)sizeof text - 1);
	close(fd);
	ck_assert_int_eq(conf_load(c, path), 2);
	ck_assert_ptr_nonnull(strstr(problems_of(c),
	    ":2: \"/proc/nonexistent/c.pem\": certificate: /proc/nonexistent/c.pem: No such file or directory\n"));
	ck_assert_ptr_nonnull(strstr(problems_of(c), ":3: \"/tmp\": private_key: /tmp is not a file\n"));
	conf_free(c);
	unlink(path);
}
END_TEST

/* Takes the # away from lines of the sample that would be keys, sections or rules without it. */
static void
uncomment(char *text)
{
	char *to = text, *line = text, *next;
	size_t n;

	for (; *line != '\0'; line = next) {
		bool code = line[0] == '#' &&
			    (line[1] == '[' || (line[1] >= 'a' && line[1] <= 'z') || strncmp(line + 1, "    ", 4) == 0);

		n = strcspn(line, "\n");
		next = line + n + (line[n] == '\n');
		memmove(to, line + code, (size_t)(next - line) - code);
		to += (size_t)(next - line) - code;
	}
	*to = '\0';
}

START_TEST(the_sample_is_right)
{
	const char *src = getenv("top_srcdir");
	char path[500], *text = calloc(1, 20000);
	int errors;
	struct conf *c;
	FILE *f;

	snprintf(path, sizeof path, "%s/etc/sallyport.conf.in", src == NULL ? "." : src);
	f = fopen(path, "r");
	if (f == NULL)
		ck_abort_msg("%s cannot be read: set top_srcdir", path);
	ck_assert_uint_gt(fread(text, 1, 19999, f), 100);
	fclose(f);
	uncomment(text);
	for (char *p; (p = strstr(text, "@logdir@")) != NULL;)
		memcpy(p, "/var/log", 8);
	/* The place of a hash, which is to be filled in. */
	for (char *p; (p = strstr(text, "$y$j9T$...")) != NULL;)
		memcpy(p, "*         ", 10);
	c = load(text, &errors);
	ck_assert_str_eq(problems_of(c), "");
	ck_assert_str_eq(conf_server(c)->xferlog, "/var/log/xferlog");
	ck_assert_ptr_nonnull(conf_section_find(c, SC_ACCOUNT, "partner"));
	conf_free(c);
	free(text);
}
END_TEST

COMMON_SUITE(conf_read, mistakes, messages_that_are_cut_are_named, warnings_are_no_errors, spellings, texts_keep_everything, lists_go_on,
    rules_keep_their_lines, long_lines_are_whole, too_long_is_an_error, empty_is_fine, fragments_in_order,
    whose_configuration_is_it, wrong_secrets_are_not_shown, keys_are_nobody_elses, missing_files_are_found,
    the_sample_is_right)
