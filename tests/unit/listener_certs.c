/* Certificates as files: which are named, whether they changed, when they end. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "daemon/listener/certs.h"
#include "privsep/chan.h"
#include "tests/unit/listener.h"

static char dir[] = "/tmp/sallyport-certs-XXXXXX";
static struct certs certs;
static unsigned lines;
static char last[512];

static void
collect(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level, (void)len;
	lines++;
	(void)snprintf(last, sizeof last, "%s", text);
}

static void
begin(void)
{
	memcpy(dir, "/tmp/sallyport-certs-XXXXXX", sizeof dir);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	memset(&certs, 0, sizeof certs);
	lines = 0;
	log_set_sink(collect, NULL);
}

static void
end(void)
{
	char command[128];

	certs_free(&certs);
	(void)snprintf(command, sizeof command, "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void
put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

/* A pair whose files are cert and key of the directory. */
static struct cert_pair *
pair(const char *cert, const char *key)
{
	struct cert_pair *p = &certs.pair[certs.pairs++];

	(void)snprintf(p->cert, sizeof p->cert, "%s/%s", dir, cert);
	(void)snprintf(p->key, sizeof p->key, "%s/%s", dir, key);
	return p;
}

START_TEST(what_the_configuration_names)
{
	struct conf *conf = conf_new();
	static const char text[] = "[server]\n[tls]\ncertificate = /c1, /c2\nprivate_key = /k1\nclient_certificate = request\n"
	    "client_ca = /ca\nclient_crl = /crl\n[listener a]\nlisten = 127.0.0.1:1\n[listener b]\nlisten = 127.0.0.1:2\n"
	    "certificate = /c3\nprivate_key = /k3\n[listener c]\nlisten = 127.0.0.1:3\ntls = off\ncertificate = /c4\n";

	(void)conf_load_text(conf, "test", text, sizeof text - 1);
	ck_assert_int_eq(certs_collect(&certs, conf), 0);
	ck_assert_uint_eq(certs.pairs, 3);
	ck_assert_str_eq(certs.pair[0].cert, "/c1");
	ck_assert_str_eq(certs.pair[0].key, "/k1");
	/* One without a key in the list holds it itself. */
	ck_assert_str_eq(certs.pair[1].key, "/c2");
	ck_assert_uint_eq(certs.extras, 2);
	conf_free(conf);
}
END_TEST

START_TEST(changes_are_seen)
{
	struct cert_pair *p = pair("c", "k");
	int fds[2];

	put(p->cert, "one", 0644);
	put(p->key, "two", 0600);
	ck_assert(certs_changed(&certs));
	ck_assert_int_eq(certs_open(p, fds), 0);
	close(fds[0]);
	close(fds[1]);
	ck_assert(!certs_changed(&certs));
	ck_assert_uint_eq(lines, 0);
	put(p->key, "more", 0600);
	ck_assert(certs_changed(&certs));
	ck_assert_int_eq(certs_open(p, fds), 0);
	/* The key comes first. */
	ck_assert_int_eq((int)read(fds[0], last, 10), 4);
	close(fds[0]);
	close(fds[1]);
	ck_assert(!certs_changed(&certs));
	/* One that goes has changed too, and is tried once. */
	ck_assert_int_eq(unlink(p->cert), 0);
	ck_assert(certs_changed(&certs));
	ck_assert_int_eq(certs_open(p, fds), -ENOENT);
	ck_assert_int_eq(fds[0], -1);
	ck_assert_int_eq(fds[1], -1);
	ck_assert(!certs_changed(&certs));
}
END_TEST

START_TEST(keys_for_everybody_are_warned_of)
{
	struct cert_pair *p = pair("c", "k");
	int fds[2];

	put(p->cert, "one", 0644);
	put(p->key, "two", 0604);
	ck_assert_int_eq(certs_open(p, fds), 0);
	close(fds[0]);
	close(fds[1]);
	ck_assert_uint_eq(lines, 1);
	ck_assert_ptr_nonnull(strstr(last, "private-key-readable-by-all"));
}
END_TEST

START_TEST(what_is_no_file_holds_nobody_up)
{
	struct cert_pair *p = pair("c", "k");
	int before = dup(0), fds[2], after;

	put(p->cert, "one", 0644);
	ck_assert_int_eq(mkfifo(p->key, 0600), 0);
	ck_assert_int_ne(certs_open(p, fds), 0);
	after = dup(0);
	/* And no descriptor is left. */
	ck_assert_int_eq(after, before + 1);
	close(before);
	close(after);
}
END_TEST

/* What is no key is read at once, each time that it changes: nothing stays open. */
START_TEST(other_files_are_read_and_closed)
{
	struct cert_extra *e = &certs.extra[certs.extras++];
	int before = dup(0), after;

	(void)snprintf(e->path, sizeof e->path, "%s/ca", dir);
	for (int i = 0; i < 3; i++) {
		put(e->path, "of an authority", 0644);
		ck_assert_int_eq(certs_read(e), 0);
		ck_assert_uint_eq(e->pem_len, 15);
		ck_assert_str_eq(e->pem, "of an authority");
	}
	after = dup(0);
	ck_assert_int_eq(after, before + 1);
	close(before);
	close(after);
}
END_TEST

START_TEST(ends_are_told_in_time_and_once)
{
	static const int64_t day = 86400;
	struct cert_pair *p = pair("c", "k");
	static const struct { int64_t left; unsigned lines; } steps[] = {
		{ 40, 0 }, { 30, 1 }, { 29, 1 }, { 8, 1 }, { 7, 2 }, { 6, 2 }, { 2, 2 }, { 1, 3 }, { 0, 4 }, { -1, 5 }, { -2, 6 },
	};

	p->not_after = (uint64_t)(100 * day);
	certs_warn(&certs, 99 * day, 30 * day);
	ck_assert_uint_eq(lines, 0);	/* not loaded: not in use */
	p->loaded = true;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		certs_warn(&certs, (100 - steps[i].left) * day, 30 * day);
		certs_warn(&certs, (100 - steps[i].left) * day, 30 * day);
		ck_assert_msg(lines == steps[i].lines, "%lld days: %u lines", (long long)steps[i].left, lines);
	}
	ck_assert_ptr_nonnull(strstr(last, "certificate-expired"));
}
END_TEST

START_TEST(the_worker_gets_a_sealed_file)
{
	int fd = certs_seal(&certs);

	ck_assert_int_ge(fd, 0);
	ck_assert(chan_fd_is(fd, 'm'));
	close(fd);
}
END_TEST

Suite *
listener_certs_suite(void)
{
	Suite *suite = suite_create("certs");
	TCase *t = tcase_create("files");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, what_the_configuration_names);
	tcase_add_test(t, changes_are_seen);
	tcase_add_test(t, keys_for_everybody_are_warned_of);
	tcase_add_test(t, what_is_no_file_holds_nobody_up);
	tcase_add_test(t, other_files_are_read_and_closed);
	tcase_add_test(t, ends_are_told_in_time_and_once);
	tcase_add_test(t, the_worker_gets_a_sealed_file);
	suite_add_tcase(suite, t);
	return suite;
}
