/* Each role gets its keys and no others; a broken blob is refused. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "common/str.h"
#include "tests/unit/common.h"
#include "tests/unit/copies.h"
#include "tests/unit/root.h"

static const enum conf_audience roles[] = { TO_LISTENER, TO_MONITOR, TO_WORKER, TO_AGENT, TO_KEEPER };
#define ROLES (sizeof roles / sizeof *roles)

static const char text[] = "[server]\nidle_timeout = 77\nbanner = two\n lines\nlog_level = debug\nnever_ban = "
			   "::1\numask = 027\npostgresql = password=PGSECRET\n"
			   "layer = sftpplus\n  allow-list\n  /x, allow-read\n"
			   "[tls]\ncertificate = /c.pem\nprivate_key = /k.pem\n"
			   "[listener l]\nlisten = *:2121\nidle_timeout = 66\n"
			   "[class c]\nmembers = all\n"
			   "[group g]\nrate_up = 5K\n"
			   "[account HIDDENNAME]\ngroups = g\npassword = $6$s$HASHSECRET\nhome = /srv\n";

static struct conf *
load(void)
{
	struct conf *c = conf_new();

	ck_assert_int_eq(conf_load_text(c, "t.conf", text, sizeof text - 1), 0);
	return c;
}

static bool
holds(int fd, const char *needle)
{
	struct stat st;
	char *p;
	bool found;

	ck_assert_int_eq(fstat(fd, &st), 0);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	ck_assert(p != MAP_FAILED);
	found = memmem(p, (size_t)st.st_size, needle, strlen(needle)) != NULL;
	munmap(p, (size_t)st.st_size);
	return found;
}

START_TEST(every_role_reads_its_own)
{
	char a[5000], b[5000];
	struct conf *c = load(), *there;
	struct conf *blank = conf_new();

	for (size_t r = 0; r < ROLES; r++) {
		int fd = conf_seal(c, roles[r]);

		ck_assert_int_ge(fd, 0);
		ck_assert(fd_is_sealed(fd));
		ck_assert_int_eq(conf_unseal(fd, roles[r], &there), 0);
		for (int i = 0; i < K_COUNT; i++) {
			bool received = (conf_keys[i].audience & roles[r]) != 0;
			bool resolved = roles[r] == TO_MONITOR && (conf_keys[i].audience & (TO_WORKER | TO_AGENT)) != 0;
			const struct conf *like = received || resolved ? c : blank;

			if (resolved && !received && (conf_keys[i].scopes & (SC_LISTENER | SC_USER)) == 0)
				like = blank;
			/* tls and layer are computed from other keys. */
			if (i == K_tls || conf_keys[i].type == CONF_LAYERS)
				continue;
			ck_assert_str_eq(conf_value_text(conf_server(there), i, a, sizeof a),
			    conf_value_text(conf_server(like), i, b, sizeof b));
		}
		conf_free(there);
		close(fd);
	}
	conf_free(blank);
	conf_free(c);
}
END_TEST

START_TEST(secrets_reach_the_monitor_only)
{
	static const char *const secrets[] = { "HASHSECRET", "PGSECRET", "HIDDENNAME" };
	struct conf *c = load();

	for (size_t r = 0; r < ROLES; r++) {
		int fd = conf_seal(c, roles[r]);

		for (size_t i = 0; i < 3; i++)
			ck_assert_msg(
			    holds(fd, secrets[i]) == (roles[r] == TO_MONITOR), "role %d, %s", roles[r], secrets[i]);
		ck_assert_int_eq(holds(fd, "/k.pem"), roles[r] == TO_LISTENER);
		close(fd);
	}
	/* The table says so, too. */
	ck_assert_uint_eq(CONF_ROW(K_password)->audience, TO_MONITOR);
	conf_free(c);
}
END_TEST

START_TEST(accounts_arrive_whole)
{
	struct conf *c = load(), *there;
	struct conf_subject who = { .user = "HIDDENNAME", .listener = "l" };
	struct conf_resolved r;
	int fd = conf_seal(c, TO_MONITOR);

	ck_assert_int_eq(conf_unseal(fd, TO_MONITOR, &there), 0);
	conf_free(c);
	ck_assert_int_eq(conf_resolve(there, &who, &r), 0);
	ck_assert_str_eq(r.s.password, "$6$s$HASHSECRET");
	ck_assert_uint_eq(r.s.rate_up, 5120);
	ck_assert_uint_eq(r.s.idle_timeout, 66);
	ck_assert_str_eq(r.origin[K_home].file, "t.conf");
	ck_assert_str_eq(conf_section_name(r.class), "c");
	ck_assert_uint_eq(r.s.layer.n, 1);
	ck_assert_uint_eq(r.s.layer.v[0].line, 9);
	ck_assert_str_eq(r.s.layer.v[0].text, "\nallow-list\n/x, allow-read");
	conf_resolved_free(&r);
	conf_free(there);
	close(fd);
}
END_TEST

/* Unseals n bytes; they must be refused. */
static void
refused(const void *p, size_t n, const char *what)
{
	struct conf *there;
	int fd = fd_sealed("test", p, n), e = conf_unseal(fd, TO_MONITOR, &there);

	ck_assert_msg(e < 0, "%s was taken", what);
	ck_assert_ptr_null(there);
	close(fd);
}

START_TEST(broken_blobs)
{
	struct conf *c = load(), *there;
	int fd = conf_seal(c, TO_MONITOR), loose;
	struct stat st;
	uint8_t *blob;
	size_t n;

	ck_assert_int_eq(fstat(fd, &st), 0);
	n = (size_t)st.st_size;
	blob = malloc(n + 1);
	ck_assert_int_eq(pread(fd, blob, n, 0), (ssize_t)n);
	for (size_t cut = 0; cut < n; cut += 1 + cut / 16)
		refused(blob, cut, "a cut blob");
	blob[n] = 0;
	refused(blob, n + 1, "a blob with a byte behind it");
	/* Single bytes changed: refused, or read as some other valid configuration; never a crash. */
	for (size_t i = 0; i < n; i++) {
		int other;

		blob[i] ^= 0x55;
		other = fd_sealed("test", blob, n);
		if (conf_unseal(other, TO_MONITOR, &there) == 0)
			conf_free(there);
		close(other);
		blob[i] ^= 0x55;
	}
	/* Another role's, and one that could still be changed. */
	ck_assert_int_eq(conf_unseal(fd, TO_WORKER, &there), SP_EFORMAT);
	loose = memfd_create("loose", MFD_ALLOW_SEALING);
	ck_assert_int_eq(fd_write_all(loose, blob, n), 0);
	ck_assert_int_eq(conf_unseal(loose, TO_MONITOR, &there), SP_EFORMAT);
	close(loose);
	ck_assert_int_eq(conf_unseal(-1, TO_MONITOR, &there), SP_EFORMAT);
	close(fd);
	free(blob);
	conf_free(c);
}
END_TEST

/* A blob for one role that holds a key of another: the password's number in the place of umask's. */
START_TEST(keys_of_other_roles_are_refused)
{
	static const struct { enum conf_audience role; const char *name; enum conf_key_id instead; } forged[] = {
		{ TO_AGENT, "027", K_password }, { TO_AGENT, "027", K_private_key }, { TO_AGENT, "027", K_postgresql },
		{ TO_WORKER, "77", K_private_key }, { TO_WORKER, "77", K_password }
	};
	struct conf *c = load(), *there;

	for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
		int fd = conf_seal(c, forged[i].role), other;
		size_t len = strlen(forged[i].name), n;
		struct stat st;
		uint8_t *blob, *text_at;
		uint32_t counted = (uint32_t)len;
		uint16_t key = (uint16_t)forged[i].instead;

		ck_assert_int_eq(fstat(fd, &st), 0);
		n = (size_t)st.st_size;
		blob = malloc(n);
		ck_assert_int_eq(pread(fd, blob, n, 0), (ssize_t)n);
		/* A value: its key in 16 bits, the file's name and the line behind it, then the counted text. */
		text_at = memmem(blob, n, forged[i].name, len);
		ck_assert_ptr_nonnull(text_at);
		ck_assert_int_eq(memcmp(text_at - 4, &counted, 4), 0);
		for (uint8_t *p = text_at - 10; p > blob; p--) {
			uint32_t name_len;

			memcpy(&name_len, p + 2, 4);
			if (p + 2 + 4 + name_len + 4 + 4 != text_at)
				continue;
			memcpy(p, &key, sizeof key);
			break;
		}
		other = fd_sealed("test", blob, n);
		ck_assert_int_eq(conf_unseal(fd, forged[i].role, &there), 0);
		conf_free(there);
		ck_assert_int_eq(conf_unseal(other, forged[i].role, &there), SP_EFORMAT);
		close(other);
		close(fd);
		free(blob);
	}
	conf_free(c);
}
END_TEST

/* A configuration that has been freed leaves no password, neither where it was read nor where it was sealed. */
START_TEST(no_secret_is_left)
{
	static char text_of_it[800], marker[] = "MkReadAndSealed";
	struct conf *c, *there;
	int fd;

	if (needs_plain_build(__func__))
		return;
	c = conf_new();
	(void)str_format(text_of_it, sizeof text_of_it, "[account a]\npassword = $6$saltsaltsaltsalt$%sXYZ\nhome = /srv\nrun_as = 4000\n"
	    "[server]\npostgresql = host=%0200d\n\tpassword=%s\n\tdbname=%0200d\n", marker, 1, marker, 1);
	ck_assert_int_eq(conf_load_text(c, "t.conf", text_of_it, strlen(text_of_it)), 0);
	explicit_bzero(text_of_it, sizeof text_of_it);
	/* Those who are served need them: as text and as value, and nowhere else. */
	ck_assert_uint_eq(copies(marker, marker, sizeof marker), 4);
	fd = conf_seal(c, TO_MONITOR);
	ck_assert_int_ge(fd, 0);
	conf_free(c);
	ck_assert_uint_eq(copies(marker, marker, sizeof marker), 0);
	ck_assert_int_eq(conf_unseal(fd, TO_MONITOR, &there), 0);
	conf_free(there);
	ck_assert_uint_eq(copies(marker, marker, sizeof marker), 0);
	close(fd);
}
END_TEST

COMMON_SUITE(conf_seal, keys_of_other_roles_are_refused, no_secret_is_left, every_role_reads_its_own, secrets_reach_the_monitor_only, accounts_arrive_whole, broken_blobs)
