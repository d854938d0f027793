/*
 * Unit tests of account/.  The program executes itself again with
 * nss_wrapper and pam_wrapper, so that users, groups, shadow entries and PAM
 * services are those of a temporary folder.
 */
#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/str.h"
#include "tests/unit/account.h"
#include "tests/unit/run.h"

char test_dir[256];

static const char passwd[] =
	"root:x:0:0:root:/root:/bin/sh\n"
	"toor:x:0:0:root:/root:/bin/sh\n"
	"nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
	"alice:x:2001:2001:Alice:/home/alice:/bin/sh\n"
	"bob:x:2002:2002:Bob:/home/bob:/usr/sbin/nologin\n"
	"carol:x:2003:0:Carol:/home/carol:/bin/sh\n"
	"dave:x:200:200:Dave:/home/dave:/bin/sh\n"
	"erin:x:2005:2005:Erin:/home/erin:/bin/sh\n"
	"frank:x:2006:2006:Frank:/home/frank:/bin/sh\n"
	"DOMAIN\\grace:x:2007:2007:Grace:/home/grace:/bin/sh\n"
	"heidi@example.org:x:2008:2008:Heidi:/home/heidi:/bin/sh\n"
	"ftp:x:150:150:Anonymous:/srv/ftp:/usr/sbin/nologin\n"
	"www:x:2009:2009::/var/www:/usr/sbin/nologin\n"
	"judy:x:2010:2010:Judy:/home/judy:/bin/sh\n"
	"ken:x:2011:2011:Ken:/home/ken:/bin/sh\n";

static const char group[] =
	"root:x:0:alice\n"
	"disk:x:6:alice\n"
	"staff:x:2050:alice,bob\n"
	"projects:x:2051:alice\n"
	"alice:x:2001:\n"
	"bob:x:2002:\n"
	"ftp:x:150:\n"
	"www:x:2009:\n";

/* All passwords are "secret": md5crypt, because the tests make many. */
#define HASH "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"

static const char shadow[] =
	"root:" HASH ":19000:0:99999:7:::\n"
	"alice:" HASH ":19000:0:99999:7:::\n"
	"bob:" HASH ":19000:0:99999:7:::\n"
	"carol:" HASH ":19000:0:99999:7:::\n"
	"dave:" HASH ":19000:0:99999:7:::\n"
	"erin:!" HASH ":19000:0:99999:7:::\n"
	"frank:" HASH ":19000:0:99999:7::1:\n"
	"judy:" HASH ":19000:0:99999:7::0:\n"
	"ken::19000:0:99999:7:::\n"
	"DOMAIN\\grace:" HASH ":19000:0:99999:7:::\n"
	"heidi@example.org:" HASH ":19000:0:99999:7:::\n";

static const char service[] =
	"auth required %s passdb=%s/matrix verbose\n"
	"account required %s passdb=%s/matrix\n"
	"session required %s passdb=%s/matrix\n";

void
test_write(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	(void)str_format(path, sizeof path, "%s/%s", test_dir, name);
	f = fopen(path, "w");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
	/* The wrappers look at times of whole seconds only; nothing here rewrites their files. */
	(void)chmod(path, 0644);
}

static void
set_path(const char *variable, const char *name)
{
	char path[512];

	(void)str_format(path, sizeof path, "%s/%s", test_dir, name);
	setenv(variable, path, 1);
}

/* Distributions put the test modules of pam_wrapper beside its library. */
static void
find_module(char *out, size_t size)
{
	void *library = dlopen("libpam_wrapper.so", RTLD_LAZY);
	void *symbol = library == NULL ? NULL : dlsym(library, "pam_start");
	Dl_info info;
	char *slash;

	if (symbol == NULL || dladdr(symbol, &info) == 0)
		abort();
	(void)str_copy(out, size, info.dli_fname);
	slash = strrchr(out, '/');
	if (slash != NULL)
		(void)str_copy(slash, size - (size_t)(slash - out), "/pam_wrapper/pam_matrix.so");
}

static void
make_files(void)
{
	char text[2048], path[300], module[512];

	find_module(module, sizeof module);
	test_write("passwd", passwd);
	test_write("group", group);
	test_write("shadow", shadow);
	test_write("matrix", "alice:secret:sallyport\nbob:secret:other\nDOMAIN\\grace:secret:sallyport\n");
	test_write("hosts", "");
	(void)str_format(path, sizeof path, "%s/pam.d", test_dir);
	mkdir(path, 0755);
	(void)str_format(text, sizeof text, service, module, test_dir, module, test_dir, module, test_dir);
	test_write("pam.d/sallyport", text);
	test_write("pam.d/other", "auth required pam_deny.so\naccount required pam_deny.so\n");
}

static void
wrap(char **argv)
{
	(void)str_copy(test_dir, sizeof test_dir, "/tmp/unit-account.XXXXXX");
	if (mkdtemp(test_dir) == NULL)
		abort();
	(void)chmod(test_dir, 0755);
	make_files();
	setenv("ACCOUNT_TEST_DIR", test_dir, 1);
	set_path("NSS_WRAPPER_PASSWD", "passwd");
	set_path("NSS_WRAPPER_GROUP", "group");
	set_path("NSS_WRAPPER_SHADOW", "shadow");
	setenv("PAM_WRAPPER", "1", 1);
	set_path("PAM_WRAPPER_SERVICE_DIR", "pam.d");
	setenv("LD_PRELOAD", "libnss_wrapper.so:libpam_wrapper.so", 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 0);
	execv("/proc/self/exe", argv);
	abort();
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static void
remove_files(void)
{
	(void)nftw(test_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(int argc, char **argv)
{
#define SUITE(name) account_##name##_suite,
	static Suite *(*const suites[])(void) = { ACCOUNT_SUITES(SUITE) };
#undef SUITE
	int code;

	(void)argc;
	if (getenv("ACCOUNT_TEST_DIR") == NULL) {
		if (dlopen("libnss_wrapper.so", RTLD_LAZY) == NULL || dlopen("libpam_wrapper.so", RTLD_LAZY) == NULL) {
			fprintf(stderr, "nss_wrapper and pam_wrapper are needed: skipped\n");
			return 77;
		}
		wrap(argv);
	}
	(void)str_copy(test_dir, sizeof test_dir, getenv("ACCOUNT_TEST_DIR"));
	code = tests_run(suites, sizeof suites / sizeof suites[0]);
	remove_files();
	return code;
}
