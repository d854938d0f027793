/* doctor: users, certificates, account sources, folders. */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "account/ledger.h"
#include "common/err.h"
#include "common/str.h"
#include "common/trusted.h"
#include "ctl/doctor.h"
#include "ctl/policy.h"
#include "ctl/tree.h"
#include "privsep/role.h"

/* ------------------------------------------------------------------------ users */

void
doctor_users(struct doctor *d)
{
	const struct { const char *key, *text; } user[] = { { "worker_user", d->s->worker_user },
		{ "monitor_user", d->s->monitor_user }, { "keeper_user", d->s->keeper_user } };
	struct role_id id[3];
	bool known[3];

	for (size_t i = 0; i < 3; i++) {
		known[i] = role_find_user(user[i].text, &id[i]) == 0;
		if (!known[i])
			doctor_find(d, DOCTOR_ERROR,
			    "useradd --system --no-create-home --shell /usr/sbin/nologin NAME, or systemd-sysusers",
			    "%s = %s: there is no such user", user[i].key, user[i].text);
		else if (id[i].uid == 0 || id[i].gid == 0)
			doctor_find(d, DOCTOR_ERROR, "name a system user that owns nothing",
			    "%s = %s is root or in its group", user[i].key, user[i].text);
		for (size_t j = 0; known[i] && j < i; j++)
			if (known[j] && id[j].uid == id[i].uid)
				doctor_find(d, DOCTOR_ERROR, "give each a user of its own",
				    "%s and %s are the same user", user[j].key, user[i].key);
	}
	if (d->s->control_group != NULL && getgrnam(d->s->control_group) == NULL)
		doctor_find(d, DOCTOR_ERROR, "groupadd --system NAME", "control_group = %s: there is no such group",
		    d->s->control_group);
}

/* ----------------------------------------------------------------- certificates */

static X509 *
read_certificate(struct doctor *d, const char *path)
{
	FILE *in = fopen(path, "re");
	X509 *cert = NULL;

	if (in == NULL) {
		doctor_find(d, errno == EACCES ? DOCTOR_NOTE : DOCTOR_ERROR, errno == EACCES ? "ask as root" :
		    "correct certificate, or put the file there", "%s: %s", path, strerror(errno));
		return NULL;
	}
	if ((cert = PEM_read_X509(in, NULL, NULL, NULL)) == NULL)
		doctor_find(d, DOCTOR_ERROR, "the file must hold the certificate and its issuers in PEM",
		    "%s: no certificate in it", path);
	fclose(in);
	ERR_clear_error();
	return cert;
}

static void
check_times(struct doctor *d, const char *path, X509 *cert, uint32_t warning)
{
	int days = 0, seconds = 0;

	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		doctor_find(d, DOCTOR_ERROR, "set the clock, or wait", "%s: not valid yet", path);
	else if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		doctor_find(d, DOCTOR_ERROR, "renew it, then sallyctl reload", "%s: expired", path);
	else if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) == 1 && days < (int)(warning / 86400))
		doctor_find(d, DOCTOR_WARNING, "renew it, then sallyctl reload", "%s: expires in %d day%s", path, days,
		    str_plural((uint64_t)days));
	else
		doctor_find(d, DOCTOR_FINE, NULL, "%s: valid for %d day%s", path, days, str_plural((uint64_t)days));
	if (X509_check_issued(cert, cert) == X509_V_OK)
		doctor_find(d, DOCTOR_NOTE, "clients will ask or refuse; get one from a known issuer",
		    "%s: signed by itself", path);
}

/* Answers the question for a passphrase, so that nobody is asked. */
static int
no_passphrase(char *buf, int size, int writing, void *context)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)context = true;
	return -1;
}

static void
check_key(struct doctor *d, const char *path, X509 *cert)
{
	bool encrypted = false;
	EVP_PKEY *key = NULL;
	struct stat st;
	FILE *in = fopen(path, "re");

	if (in == NULL) {
		doctor_find(d, errno == EACCES ? DOCTOR_NOTE : DOCTOR_ERROR, errno == EACCES ? "ask as root" :
		    "correct private_key, or put the file there", "%s: %s", path, strerror(errno));
		return;
	}
	if (fstat(fileno(in), &st) == 0 && (st.st_mode & 007) != 0)
		doctor_find(d, DOCTOR_ERROR, "chmod 600, and make a new key: it may have been read",
		    "%s: every user may read this key", path);
	if ((key = PEM_read_PrivateKey(in, NULL, no_passphrase, &encrypted)) == NULL)
		doctor_find(d, DOCTOR_ERROR,
		    encrypted ? "openssl pkey -in KEY -out KEY removes the passphrase"
			      : "the file must hold the key in PEM",
		    "%s: %s", path, encrypted ? "the key has a passphrase" : "no private key in it");
	else if (cert != NULL && X509_check_private_key(cert, key) != 1)
		doctor_find(d, DOCTOR_ERROR, "put certificates and keys in the same order",
		    "%s: not the key of its certificate", path);
	EVP_PKEY_free(key);
	fclose(in);
	ERR_clear_error();
}

/* The lists of a file that this authority made: how many, and how many of them are too old. */
static void
count_lists(const char *path, X509 *authority, unsigned *made, unsigned *old)
{
	FILE *in = fopen(path, "re");
	X509_CRL *crl;

	*made = *old = 0;
	while (in != NULL && (crl = PEM_read_X509_CRL(in, NULL, NULL, NULL)) != NULL) {
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(authority)) == 0) {
			++*made;
			if (X509_CRL_get0_nextUpdate(crl) != NULL && X509_cmp_current_time(X509_CRL_get0_nextUpdate(crl)) < 0)
				++*old;
		}
		X509_CRL_free(crl);
	}
	if (in != NULL)
		fclose(in);
	ERR_clear_error();
}

/* With client_crl each authority needs a list: without a valid one its certificates are refused. */
static void
check_revocation(struct doctor *d, const struct settings *s)
{
	FILE *in = fopen(s->client_ca, "re");
	unsigned made, old;
	char name[256];
	X509 *authority;

	while (in != NULL && (authority = PEM_read_X509(in, NULL, NULL, NULL)) != NULL) {
		count_lists(s->client_crl, authority, &made, &old);
		(void)X509_NAME_oneline(X509_get_subject_name(authority), name, sizeof name);
		if (made == 0 || old == made)
			doctor_find(d, DOCTOR_ERROR, "add its list (PEM) to client_crl: until then its certificates are refused",
			    "%s: %s of %s", s->client_crl, made == 0 ? "no list" : "the list is too old", name);
		X509_free(authority);
	}
	if (in != NULL)
		fclose(in);
	ERR_clear_error();
}

static void
check_pairs(struct doctor *d, const struct settings *s)
{
	X509 *cert;

	for (size_t i = 0; i < s->certificate.n; i++) {
		if ((cert = read_certificate(d, s->certificate.v[i])) != NULL)
			check_times(d, s->certificate.v[i], cert, s->certificate_warning);
		if (i < s->private_key.n)
			check_key(d, s->private_key.v[i], cert);
		else
			doctor_find(d, DOCTOR_ERROR, "name its key in private_key, in the same order",
			    "%s has no private_key", s->certificate.v[i]);
		X509_free(cert);
	}
	if (s->tls != CONF_TLS_OFF && s->certificate.n == 0)
		doctor_find(d, DOCTOR_ERROR, "set certificate and private_key in [tls], or tls = off",
		    "tls is on and there is no certificate");
	else if (s->tls == CONF_TLS_OFF)
		doctor_find(d, DOCTOR_NOTE, "set certificate and private_key in [tls] and tls = control",
		    "TLS is off: passwords travel in clear");
	if (s->client_ca != NULL && access(s->client_ca, R_OK) < 0)
		doctor_find(d, DOCTOR_ERROR, "correct client_ca", "%s: %s", s->client_ca, strerror(errno));
	else if (s->client_ca != NULL && s->client_crl != NULL)
		check_revocation(d, s);
}

void
doctor_certificates(struct doctor *d)
{
	doctor_each_listener(d, check_pairs);
}

/* ----------------------------------------------------------------------- sources */

static void
check_file(struct doctor *d, const char *path, mode_t forbidden, const char *what, const char *remedy)
{
	struct stat st;

	if (path == NULL)
		doctor_find(d, DOCTOR_ERROR, remedy, "%s is not set", what);
	else if (stat(path, &st) < 0)
		doctor_find(d, errno == EACCES ? DOCTOR_NOTE : DOCTOR_ERROR, errno == EACCES ? "ask as root" : remedy,
		    "%s: %s", path, strerror(errno));
	else if ((st.st_mode & forbidden) != 0)
		doctor_find(d, DOCTOR_ERROR, "chown root, chmod 600", "%s: others may read or change it (mode %04o)",
		    path, (unsigned)st.st_mode & 07777);
	else
		doctor_find(d, DOCTOR_FINE, NULL, "%s %s", what, path);
}

static void
source_config(struct doctor *d, const struct settings *s)
{
	(void)s;
	if (conf_section_next(d->conf, SC_ACCOUNT, NULL) == NULL)
		doctor_find(d, DOCTOR_NOTE, "write [account NAME] sections, or take config out of accounts",
		    "no account sections");
}

static void
source_database(struct doctor *d, const struct settings *s)
{
	if (access(s->accounts_database, F_OK) < 0 && errno == ENOENT)
		doctor_find(
		    d, DOCTOR_NOTE, "sallyctl account add makes it", "%s does not exist yet", s->accounts_database);
	else
		check_file(d, s->accounts_database, 027, "account database", "sallyctl account add makes it");
}

static void
source_shadow(struct doctor *d, const struct settings *s)
{
	(void)s;
	check_file(d, "/etc/shadow", 022, "shadow file", "use pam instead of shadow");
}

static void
source_pam(struct doctor *d, const struct settings *s)
{
	char path[PATH_MAX];

	(void)str_format(path, sizeof(path), "/etc/pam.d/%s", s->pam_service);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		(void)str_format(path, sizeof(path), "/usr/lib/pam.d/%s", s->pam_service);
	if (access(path, F_OK) < 0)
		doctor_find(d, DOCTOR_ERROR,
		    "install the PAM file of sallyport, set pam_service to one that exists, or take pam out of "
		    "accounts",
		    "/etc/pam.d/%s does not exist: every login over PAM will fail", s->pam_service);
	else
		doctor_find(d, DOCTOR_FINE, NULL, "PAM service %s", path);
}

static void
source_passwd_file(struct doctor *d, const struct settings *s)
{
	check_file(d, s->passwd_file, 007, "passwd_file", "correct passwd_file");
}

static void
source_external(struct doctor *d, const struct settings *s)
{
	struct stat st;

	if (s->external_socket == NULL || stat(s->external_socket, &st) < 0 || !S_ISSOCK(st.st_mode))
		doctor_find(d, DOCTOR_ERROR, "start the authentication program, or correct external_socket",
		    "external_socket %s: nobody listens there",
		    s->external_socket != NULL ? s->external_socket : "(unset)");
}

static void
check_sources(struct doctor *d, const struct settings *s)
{
	static const struct { const char *name; void (*run)(struct doctor *, const struct settings *);
	} rows[] = {
		{ "config", source_config },
		{ "database", source_database },
		{ "shadow", source_shadow },
		{ "pam", source_pam },
		{ "passwd_file", source_passwd_file },
		{ "external", source_external },
	};

	for (size_t i = 0; i < s->accounts.n; i++)
		for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++)
			if (strcmp(s->accounts.v[i], rows[j].name) == 0)
				rows[j].run(d, s);
}

void
doctor_sources(struct doctor *d)
{
	doctor_each_listener(d, check_sources);
}

/* ----------------------------------------------------------------------- folders */

/* Is the folder, and each above it, only root's (or owner's) to change? The first that is not goes into bad. */
static bool
chain_is_safe(const char *path, uid_t owner, char *bad, size_t size)
{
	char part[PATH_MAX];
	struct stat st;

	if (str_copy(part, sizeof(part), path) != 0)
		return true;
	for (;;) {
		if (stat(part, &st) == 0 && ((st.st_uid != 0 && st.st_uid != owner) ||
		    ((st.st_mode & 002) != 0 && (st.st_mode & S_ISVTX) == 0))) {
			(void)str_copy(bad, size, part);
			return false;
		}
		char *slash = strrchr(part, '/');
		if (slash == NULL || (slash == part && part[1] == '\0'))
			return true;
		slash[slash == part] = '\0';
	}
}

static void
check_folder(struct doctor *d, const char *path, const char *what)
{
	char bad[PATH_MAX];
	struct stat st;

	if (stat(path, &st) < 0)
		doctor_find(d, errno == ENOENT ? DOCTOR_NOTE : DOCTOR_ERROR,
		    "systemd-tmpfiles --create, or mkdir as root with the mode that tmpfiles.d/sallyport.conf has", "%s %s: %s", what, path, strerror(errno));
	else if (!chain_is_safe(path, 0, bad, sizeof(bad)))
		doctor_find(d, DOCTOR_ERROR, "chown root and chmod o-w", "%s %s: others than root may change %s", what,
		    path, bad);
	else
		doctor_find(d, DOCTOR_FINE, NULL, "%s %s", what, path);
}

/* The folder of a file of the configuration. */
static void
check_folder_of(struct doctor *d, const char *file, const char *what)
{
	char folder[PATH_MAX];
	char *slash;

	if (file == NULL || file[0] != '/' || str_copy(folder, sizeof(folder), file) != 0)
		return;
	slash = strrchr(folder, '/');
	slash[slash == folder] = '\0';
	check_folder(d, folder, what);
}

/* Does any section set a limit that needs ledgers? */
static bool
uses_quota(const struct conf *conf)
{
	static const enum conf_scope kinds[] = { SC_SERVER, SC_LISTENER, SC_CLASS, SC_GROUP, SC_ACCOUNT };

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		for (const struct conf_section *s = NULL; (s = conf_section_next(conf, kinds[i], s)) != NULL;)
			if (conf_section_sets(s, K_quota_bytes) || conf_section_sets(s, K_quota_files))
				return true;
	return false;
}

void
doctor_folders(struct doctor *d)
{
	if (uses_quota(d->conf))
		check_folder(d, d->s->quota_directory, "quota_directory");
	check_folder_of(d, d->s->control_socket, "folder of control_socket");
	check_folder_of(d, d->s->accounts_database, "folder of accounts_database");
	check_folder_of(d, d->s->log, "folder of log");
	check_folder_of(d, d->s->xferlog, "folder of xferlog");
}

/* ------------------------------------------------------------------------- homes */

/* How many objects of a home are looked at, so that doctor ends soon. */
#define LOOK_MAX	10000

struct look {
	const struct settings *s;
	unsigned long looked;
	bool found;
};

/* Is it a file that a recount would charge the account with? One is enough to know. */
static int
look_at(void *context, const struct tree_entry *e)
{
	struct look *l = context;

	l->found = S_ISREG(e->st.st_mode) && (e->st.st_size > 0 || l->s->quota_files != 0);
	return l->found || ++l->looked >= LOOK_MAX;
}

static int
look_on(void *context, const char *path, int error)
{
	(void)context;
	(void)path;
	(void)error;
	return 0;
}

static bool
holds_files(const struct settings *s, const char *home)
{
	struct look l = { .s = s };
	const struct tree_walk walk = {
		.path = home, .one_device = true, .visit = look_at, .trouble = look_on, .context = &l
	};
	int fd = trusted_walk(home);

	if (fd < 0)
		return false;
	(void)tree_walk(&walk, fd);
	close(fd);
	return l.found;
}

/* A quota counts from 0 on, whatever lay in the home before it was set. */
static void
check_quota(struct doctor *d, const char *user, const struct settings *s, const char *home)
{
	struct ledger l = { 0, 0 };
	int r;

	if (s->quota_bytes == 0 && s->quota_files == 0)
		return;
	r = ledger_peek(d->s->quota_directory, user, &l);
	if (r == -EACCES || r == -EPERM)
		doctor_find(d, DOCTOR_NOTE, "ask as root", "account %s: its quota cannot be read: %s", user, sp_strerror(r));
	else if ((r == 0 || r == -ENOENT) && l.bytes == 0 && l.files == 0 && holds_files(s, home))
		doctor_find(d, DOCTOR_WARNING, "sallyctl quota recount NAME, if the account is to be charged with them",
		    "account %s: the quota is at 0, but there are files in home %s", user, home);
}

static void
check_home(struct doctor *d, const char *user, const struct settings *s)
{
	char home[PATH_MAX], bad[PATH_MAX], *mark;
	struct role_id id = { 0, 0 };
	struct stat st = { .st_mode = 0 };

	if (s->home == NULL || str_copy(home, sizeof(home), s->home) != 0)
		return;
	if ((mark = strstr(home, "${USER}")) != NULL) {
		(void)str_format(
		    home, sizeof(home), "%.*s%s%s", (int)(mark - home), s->home, user, s->home + (mark - home) + 7);
		if (strstr(home, "${") != NULL)
			return;
	}
	if (s->run_as != NULL)
		(void)role_find_user(s->run_as, &id);
	if (stat(home, &st) < 0)
		doctor_find(d, s->create_home && errno == ENOENT ? DOCTOR_NOTE : DOCTOR_ERROR,
		    "make it, correct home, or set create_home = yes", "account %s: home %s: %s", user, home,
		    strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		doctor_find(d, DOCTOR_ERROR, "correct home", "account %s: home %s is not a folder", user, home);
	else if (!chain_is_safe(home, id.uid != 0 ? id.uid : st.st_uid, bad, sizeof(bad)))
		doctor_find(d, DOCTOR_WARNING, "give the folders above a home to root",
		    "account %s: home %s: others may replace %s", user, home, bad);
	else
		doctor_find(d, DOCTOR_FINE, NULL, "account %s: home %s", user, home);
	if (S_ISDIR(st.st_mode))
		check_quota(d, user, s, home);
}

void
doctor_homes(struct doctor *d)
{
	const struct conf_section *account = NULL;
	struct conf_resolved r;

	while ((account = conf_section_next(d->conf, SC_ACCOUNT, account)) != NULL) {
		struct conf_subject subject = { .user = conf_section_name(account) };

		/* Without a user there is nobody whom a home could suit: said with the configuration. */
		if (identity_is_missing(d->conf, account) || conf_resolve(d->conf, &subject, &r) != 0)
			continue;
		check_home(d, subject.user, &r.s);
		conf_resolved_free(&r);
	}
}
