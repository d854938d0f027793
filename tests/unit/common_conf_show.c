/* check-config and show-config. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "common/conf_show.h"
#include "common/exitcode.h"
#include "tests/unit/common.h"

static char path[64];

static void
put(const char *text)
{
	int fd;

	(void)str_copy(path, sizeof path, "/tmp/sallyport-unit-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

/* Runs one of the two and gives what it printed. */
static char *
output(bool show, const char *subject, bool json, int want)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int code = show ? conf_show_command(f, path, subject, NULL, json) : conf_check_command(f, path, json);

	fclose(f);
	ck_assert_int_eq(code, want);
	return text;
}

START_TEST(check)
{
	char *text;

	put("[server]\nidle_timeout = 60\n");
	text = output(false, NULL, false, SP_EXIT_OK);
	ck_assert_str_eq(text, "ok\n");
	free(text);
	text = output(false, NULL, true, SP_EXIT_OK);
	ck_assert_str_eq(text, "{\"ok\":true,\"problems\":[]}\n");
	free(text);
	unlink(path);
	put("[server]\nidle_timeout = x\nbanner = \"\numask = 9\n");
	text = output(false, NULL, false, SP_EXIT_CONFIG);
	ck_assert_ptr_nonnull(strstr(text, ":2: \"x\": idle_timeout: expected a time"));
	ck_assert_ptr_nonnull(strstr(text, ":4: \"9\": umask: expected octal"));
	ck_assert_ptr_null(strstr(text, "ok\n"));
	free(text);
	text = output(false, NULL, true, SP_EXIT_CONFIG);
	ck_assert_ptr_nonnull(strstr(text, "\"ok\":false"));
	ck_assert_ptr_nonnull(strstr(text, "\"line\":4,\"text\":\"9\""));
	free(text);
	/* Nothing is shown of what is wrong. */
	text = output(true, NULL, false, SP_EXIT_CONFIG);
	ck_assert_ptr_nonnull(strstr(text, "umask: expected octal"));
	free(text);
	unlink(path);
	text = output(false, NULL, false, SP_EXIT_OS);
	ck_assert_ptr_nonnull(strstr(text, "No such file or directory"));
	free(text);
}
END_TEST

START_TEST(show)
{
	char *text;

	put("[server]\numask = 027\n[class inside]\nmembers = all\nfrom = 10.0.0.0/8\nrate_up = 1M\n"
	    "[account bob]\npassword = $6$x$HASH\nlayer = /in sftpplus\n  allow-list\n  /x, allow-read\nbanner = no\n");
	text = output(true, "bob,10.0.0.1", false, SP_EXIT_CONFIG);
	ck_assert_ptr_nonnull(strstr(text, "cannot stand in a section [account]"));
	free(text);
	unlink(path);
	put("[server]\numask = 027\n[class inside]\nmembers = all\nfrom = 10.0.0.0/8\nrate_up = 1M\n"
	    "[account bob]\npassword = $6$x$HASH\nlayer = /in sftpplus\n  allow-list\n  /x, allow-read\n");
	text = output(true, "bob,10.0.0.1", false, SP_EXIT_OK);
	ck_assert_ptr_nonnull(strstr(text, "umask = 027\t# [server] /tmp/"));
	ck_assert_ptr_nonnull(strstr(text, "rate_up = 1M\t# [class inside] "));
	ck_assert_ptr_nonnull(strstr(text, "password = (set, not shown)\t# [account bob] "));
	ck_assert_ptr_nonnull(strstr(text, "idle_timeout = 5m\t# default\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nlayer = /in sftpplus \n    allow-list\n    /x, allow-read\n"));
	ck_assert_ptr_null(strstr(text, "HASH"));
	free(text);
	text = output(true, "bob,192.0.2.1", true, SP_EXIT_OK);
	ck_assert_ptr_nonnull(strstr(text, "\"class\":null"));
	ck_assert_ptr_nonnull(strstr(text, "\"umask\":{\"value\":\"027\",\"file\":\"/tmp/"));
	ck_assert_ptr_nonnull(
	    strstr(text, "\"language\":\"sftpplus\",\"prefix\":\"/in\",\"rules\":\"\\nallow-list\\n/x, allow-read\""));
	ck_assert_ptr_null(strstr(text, "HASH"));
	free(text);
	text = output(true, "bob,nonsense", false, SP_EXIT_USAGE);
	free(text);
	unlink(path);
}
END_TEST

COMMON_SUITE(conf_show, check, show)
