/*
 * What an account is, and where accounts come from.
 *
 * The monitor uses this after a LOGIN message; sallyctl uses it to show and
 * manage accounts.  Nobody else links it: it leads to PAM, shadow and data
 * bases.  It trusts the configuration and the sources, never the query: every
 * text in a query was chosen by the client.
 *
 * A source fills in a struct account with what it stores: a verifier, an
 * identity, a home, and any number of settings under the same keys as the
 * configuration file.  account_resolve() then merges those with the groups and
 * class of the configuration into struct settings, each value with its origin.
 *
 * Ownership: a struct account owns every text it points to, by its pool.
 * Texts are put there with account_keep() and live until account_free().
 */
#ifndef ACCOUNT_ACCOUNT_H
#define ACCOUNT_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/addr.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/secret.h"

struct account;
struct account_source;

#define ACCOUNT_NAME_MAX	320	/* bytes; as in the LOGIN message */
#define ACCOUNT_GROUPS_MAX	1024	/* Unix groups of one account; as in the PROFILE message */
#define ACCOUNT_SOURCES_MAX	8
#define ACCOUNT_ID_NONE		((uid_t)-1)

/* What a source says of a name. RESULT_ROW(name, word) */
#define ACCOUNT_RESULTS(RESULT_ROW)				\
	RESULT_ROW(ACCOUNT_FOUND,	"found")	/* this is it */ \
	RESULT_ROW(ACCOUNT_UNKNOWN,	"unknown")	/* not here: ask the next source */ \
	RESULT_ROW(ACCOUNT_REFUSED,	"refused")	/* known and refused: ask nobody else */ \
	RESULT_ROW(ACCOUNT_UNAVAILABLE,	"unavailable")	/* the source does not work now: 421, not 530 */

enum account_result {
#define RESULT_ROW(name, word) name,
	ACCOUNT_RESULTS(RESULT_ROW)
#undef RESULT_ROW
};

/*
 * Why a login was refused.  REASON_ROW(name, word, meaning): the word stands in the
 * log as reason=; what the client may learn of it says account_login().
 */
#define ACCOUNT_REASONS(REASON_ROW) \
	REASON_ROW(REASON_NONE, "none", "nothing: the login succeeded") \
	REASON_ROW(REASON_BAD_NAME, "bad-name", "the name is one that no account can have") \
	REASON_ROW(REASON_UNKNOWN_USER, "unknown-user", "no source has an account of that name") \
	REASON_ROW(REASON_WRONG_PASSWORD, "wrong-password", "the password is wrong") \
	REASON_ROW(REASON_NO_PASSWORD, "no-password-set", "the account has no password") \
	REASON_ROW(REASON_EMPTY_PASSWORD, "empty-password", "the password is empty, see allow_empty_passwords") \
	REASON_ROW(REASON_HASH_UNSUPPORTED, "hash-unsupported", "this system cannot compute the hash of the password") \
	REASON_ROW(REASON_LOCKED, "locked", "the account is locked") \
	REASON_ROW(REASON_DISABLED, "disabled", "the account is disabled") \
	REASON_ROW(REASON_EXPIRED, "expired", "the account has expired") \
	REASON_ROW(REASON_PASSWORD_EXPIRED, "password-expired", "the password has expired") \
	REASON_ROW(REASON_FTPUSERS, "ftpusers", "the user is in ftpusers_file") \
	REASON_ROW(REASON_NOT_ALLOWED, "not-in-allowed-users", "the user is not in allowed_users") \
	REASON_ROW(REASON_REJECTED, "rejected-user", "the user is in rejected_users") \
	REASON_ROW(REASON_SHELL, "invalid-shell", "the shell is not in /etc/shells, see require_valid_shell") \
	REASON_ROW(REASON_UID, "uid-below-minimum", "the user number is below uid_min") \
	REASON_ROW(REASON_GROUP, "privileged-group", "the user is in a group of refused_groups") \
	REASON_ROW(REASON_ADDRESS, "address-not-allowed", "the address is not in allowed_networks") \
	REASON_ROW(REASON_TIME, "time-not-allowed", "the time is outside login_hours") \
	REASON_ROW(REASON_TLS, "tls-required", "the account needs TLS") \
	REASON_ROW(REASON_CERTIFICATE, "certificate-required", "the account needs a client certificate") \
	REASON_ROW(REASON_EMAIL, "email-address-required", "the password of an anonymous user is no email address") \
	REASON_ROW(REASON_SOURCE, "refused-by-source", "the account source refuses it") \
	REASON_ROW(REASON_PAM, "refused-by-pam", "PAM refuses the password") \
	REASON_ROW(REASON_ACCOUNT, "account-refused", "PAM's account phase refuses it; text has what the module said") \
	REASON_ROW(REASON_SETTINGS, "settings-unusable", "the settings cannot be used, see the line before") \
	REASON_ROW(REASON_HOME, "home-unusable", "the home directory cannot be used, see the line before") \
	REASON_ROW(REASON_PROFILE, "profile-refused", "the rules or settings cannot be used, see the line before") \
	REASON_ROW(REASON_LIMIT, "too-many-sessions", "the account has too many sessions") \
	REASON_ROW(REASON_CLASS_LIMIT, "too-many-sessions-of-class", "the class of the account has too many sessions") \
	REASON_ROW(REASON_UNAVAILABLE, "source-unavailable", "an account source is unreachable, see the line before") \
	REASON_ROW(REASON_INTERNAL, "internal", "a fault of the system or the server")

enum account_reason {
#define REASON_ROW(name, word, meaning) name,
	ACCOUNT_REASONS(REASON_ROW)
#undef REASON_ROW
	REASON_COUNT
};

/* Who asks. All texts are the client's; password is NULL when nobody logs in (sallyctl). */
struct account_query {
	const char *user;		/* passed account_name_ok() */
	const struct secret *password;
	const char *listener;		/* name of the listener's section */
	const struct settings *base;	/* what holds for that listener, before anybody is known */
	const char *host;		/* HOST or SNI, or "" */
	bool tls;
	const struct addr *peer;	/* NULL: unknown */
	const struct addr *local;
	const uint8_t *certificate;	/* what the verified client certificate says, a line each: sha256:HEX,
	    dns:NAME, email:NAME */
	size_t certificate_len;
};

/* How the password is checked. */
enum account_verifier {
	VERIFY_NEVER,	/* nobody can log in */
	VERIFY_HASH,	/* verifier is a hash, of a kind that password_check() knows */
	VERIFY_CLEAR,	/* verifier is the password (ftpcluster's .passwd) */
	VERIFY_ANY,	/* anonymous: any password, perhaps in the form of an e-mail address */
	VERIFY_SOURCE	/* the source's verify() knows */
};

enum account_flag {
	ACCOUNT_ANONYMOUS	= 1 << 0,
	ACCOUNT_SYSTEM		= 1 << 1,	/* a user of the operating system: shell, ftpusers, uid_min apply */
	ACCOUNT_ADMIN		= 1 << 2,	/* may manage accounts over FTP, if its policy gives the right too */
	ACCOUNT_PAM_SESSION	= 1 << 3,	/* a PAM session is to be opened; the monitor keeps root */
	ACCOUNT_VIRTUAL		= 1 << 4	/* no user of the operating system, even if one has the same name */
};

struct account {
	char name[ACCOUNT_NAME_MAX + 1];
	const struct account_source *source;
	void *source_state;		/* what the source's open() gave */
	void *login_state;		/* of the source, for this login: a PAM handle */
	const char *origin;		/* "sallyport.conf:12", "shadow", "accounts.db" */
	unsigned flags;			/* enum account_flag */

	enum account_verifier verifier_kind;
	const char *verifier;

	/* Unix identity. unix_name: whose groups are to be kept, or NULL: then groups are exactly those given. */
	const char *unix_name;
	uid_t uid;
	gid_t gid;
	gid_t *groups;			/* supplementary ones; in the pool */
	unsigned group_count;
	int64_t dialect_uid;		/* the user id of ftpcluster's .passwd; -1: as uid */

	const char *home;		/* as the source or the system names it; NULL: none */
	const char *shell;		/* NULL: has none and needs none */
	const char *section;		/* section [account NAME] of the configuration that counts; NULL: that of the name */
	bool enabled;
	time_t expires;			/* 0: never */
	enum account_reason barred;	/* the source's own rule that keeps the account out, whatever the password */

	/* Of a login: see account_login(). */
	bool proven;			/* the client has shown that it is who it says */
	enum account_reason told;	/* what it may be told of a refusal; REASON_NONE: nothing but that */
	const char *said;		/* what a PAM module said, for the log; NULL: nothing */

	/* What the source stores beyond that, under the keys of the configuration; groups and class as well. */
	struct conf_pair *pairs;
	size_t pair_count, pair_room;

	struct conf_resolved *resolved;	/* after account_resolve() */
	bool settled;			/* in account_login(): it was resolved */
	int unresolved;			/* there: the code of account_resolve() */
	struct account_fault {		/* why account_resolve() could not; in the pool */
		bool found;		/* else nothing is noted */
		enum log_event event;	/* of the log */
		const char *about;
		int code;		/* 0: the event says it all */
	} fault;

	struct account_chunk *pool;
};

/*
 * A source.  All functions run in the monitor (or sallyctl) as root, may
 * block (the session's grace timer ends them), and log nothing but breakage.
 */
struct account_source {
	const char *name;	/* as the setting `accounts` calls it */
	const char *doc;	/* one sentence, for the manual */

	/*
	 * Prepares the source in the template: reads, connects nothing that
	 * cannot be shared by forked children, warms caches.  *state is handed
	 * to the others.  0 or a negative code, which keeps the server from starting.
	 * NULL: nothing to prepare, the state is NULL.
	 */
	int (*open)(const struct conf *, void **state);

	/* Looks the name up and fills in a; *why matters when REFUSED or UNAVAILABLE. */
	enum account_result (*find)(void *state, const struct account_query *, struct account *a,
	    enum account_reason *why);

	/*
	 * For VERIFY_SOURCE: is the password right, and may the account be used (PAM's account management)?
	 * Without a password in the query only the latter: a certificate has taken its place. NULL: none.
	 */
	enum account_result (*verify)(void *state, const struct account_query *, struct account *a,
	    enum account_reason *why);

	/*
	 * Looks at a found account though nobody logs in: fills in the verifier and barred where find() leaves them out
	 * without a password, or says in *why what keeps the account out whatever password comes.  For sallyctl as root;
	 * NULL: find() says all.
	 */
	enum account_result (*look)(void *state, const struct account_query *, struct account *a,
	    enum account_reason *why);

	/*
	 * Calls back for the hash of every account that the source has, as it is stored, for the work that every
	 * refusal costs; 0 or a negative code.  stamp() tells cheaply whether it must be asked again: another
	 * number for other accounts, never 0.  NULL, both: its accounts have no hashes that we see.
	 */
	int (*hashes)(void *state, const struct account_query *, void (*each)(const char *hash));
	uint64_t (*stamp)(void *state, const struct account_query *);

	/*
	 * Where verify() has others compute a hash: which one, or NULL; until the next call. NULL: they have none
	 * of ours.
	 */
	const char *(*hash_of)(void *state, const struct account *);

	/*
	 * Where verify() asks others: asks them about a name that nobody has, so that a refusal without verify() takes
	 * as long as one by it.  NULL: none.  ACCOUNT_UNAVAILABLE when they do not work.
	 */
	enum account_result (*decoy)(void *state, const struct account_query *);

	/*
	 * Opens and closes the account's session (PAM). After a successful verify(). NULL: none. 0
	 * or a negative code.
	 */
	int (*session_open)(void *state, struct account *a);
	void (*session_close)(void *state, struct account *a);

	/*
	 * Management; NULL: this source cannot be changed from here.  0, -EEXIST,
	 * -ENOENT, -EINVAL or another negative code.  add() reports the
	 * dialect's new user id, if there is one, in *id.
	 */
	int (*add)(void *state, const char *name, const struct secret *password, const char *home, int64_t *id);
	int (*set_password)(void *state, const char *name, const struct secret *password);

	/*
	 * The same for sallyctl, with a verifier (a hash; NULL: none) in place of the
	 * password, and settings by key.  set() takes the key's values away and puts value, if not
	 * NULL, in their place; append() adds one.  Between begin() and end() it is all or nothing.
	 */
	int (*begin)(void *state);
	int (*end)(void *state, bool commit);
	int (*create)(void *state, const char *name, const char *verifier);
	int (*set_verifier)(void *state, const char *name, const char *verifier);
	int (*set)(void *state, const char *name, const char *key, const char *value);
	int (*append)(void *state, const char *name, const char *key, const char *value);
	int (*remove)(void *state, const char *name);

	/* Calls back for every account, in no particular order, until it returns non-zero. NULL: cannot be listed. */
	int (*list)(void *state, int (*each)(void *context, const struct account *), void *context);

	void (*close)(void *state);
};

/* Every source that the setting `accounts` of the server or of a listener names, opened. */
struct account_sources {
	const struct conf *conf;
	unsigned count;
	struct account_opened {
		const struct account_source *source;
		void *state;
	} entry[ACCOUNT_SOURCES_MAX];
};

/*
 * The source of that name, or NULL.  Those that need libraries of their own stand in modules beside the program
 * (sallyport-source-NAME.so), which are loaded at this moment: call it in a template, before the sandbox.
 */
const struct account_source *account_source_named(const char *name);

/*
 * Opens the sources that the configuration names, in order.  Called once in a
 * template, before any client.  0 or a negative code (logged).
 */
int account_sources_open(struct account_sources *, const struct conf *);
/*
 * For a template whose children decide about logins, after account_sources_open(): looks at the hashes of all accounts,
 * whose work every refusal is going to cost. 0 or a negative code.
 */
int account_sources_warm_up(struct account_sources *);
void account_sources_close(struct account_sources *);

/*
 * May a client's text be the name of an account?  Valid UTF-8, no control
 * bytes, at most ACCOUNT_NAME_MAX bytes, no slash, not "." or "..".
 * DOMAIN\user and user@domain are names like any other.
 */
bool account_name_ok(const char *name);

/* Makes a empty. */
void account_init(struct account *a, const char *name);
/* Clears every text (verifiers may be passwords) and frees it. */
void account_free(struct account *a);

/*
 * Clears what the password was compared with: the account lives as long as its session. Nobody logs in with it
 * again.
 */
void account_forget_password(struct account *a);

/* Copies into the pool; NULL when memory is short or text is NULL. */
const char *account_keep(struct account *a, const char *text);
/* n zeroed bytes of the pool, aligned for anything; NULL when memory is short. */
void *account_alloc(struct account *a, size_t n);
/* Adds a setting that the source stores. 0 or -ENOMEM. */
int account_add_pair(struct account *a, const char *key, const char *value);

/*
 * Finds the account of a name without any password: for sallyctl and for
 * the owner of a file.  a is filled in and resolved when FOUND.
 */
enum account_result account_find(const struct account_sources *, const struct account_query *, struct account *a,
    enum account_reason *why);

/*
 * What keeps a found account out whatever password comes, beyond account_check_rules() and source_system_rules(): a
 * stored password that nothing fits, and what its source knows.  An account that has no password yet is only
 * unfinished.  Asks the source (PAM's account management runs) and changes a; REASON_UNAVAILABLE: it cannot be told.
 */
enum account_reason account_standing(const struct account_query *, struct account *a);

/*
 * Does the certificate that the client showed belong to the account
 * (certificate_id)?  Names are compared without regard to case; the common name is not among them.
 */
bool account_certificate_fits(const struct account_query *, const struct settings *);

/*
 * The whole of a login: sources in order, password, enabled, expiry, address
 * and system-user rules, Unix identity with its groups.  a must be account_init()ed, and
 * account_free()d whatever the result.
 *
 * *why is for the log.  A client learns a->told: REASON_NONE until it has shown that it knows the password
 * (a->proven), unless a source does not work, which is then so for every name.  Refusals of unproven clients cost
 * the same, whatever their reason.
 */
enum account_result account_login(const struct account_sources *, const struct account_query *, struct account *a,
    enum account_reason *why);

/*
 * Is a password superfluous, because the account takes the certificate that the client has shown in its place
 * (certificate_login = instead_of_password)?  Asked at USER, with no password in the query.
 */
bool account_certificate_admits(const struct account_sources *, const struct account_query *);

/*
 * Merges configuration, class, groups and the source's pairs into
 * a->resolved, and takes the Unix identity from run_as where the source
 * named none.  0 or a negative code; what was wrong is in a->fault.
 */
int account_resolve(const struct account_sources *, const struct account_query *, struct account *a);
/*
 * What that means for a login: REASON_SETTINGS where only the administrator can mend it, because a user, group or
 * section that the settings name is not there, REASON_INTERNAL where it may pass.
 */
enum account_reason account_unresolved_reason(int code);
/* The fault in words, for sallyctl; in the log it is a line of its own. Returns dst. */
const char *account_fault_text(const struct account *, char *dst, size_t size);

/*
 * May the account, resolved, change its own password over FTP, and make and change others as an administrator: by its
 * settings, and where its source can be changed from here at all?  What is false is not offered to clients.
 */
bool account_changes_password(const struct account *);
bool account_administers(const struct account *);

/* What the rules of a resolved account say to this client; passwords aside. */
enum account_reason account_check_rules(const struct account_query *, const struct account *a, time_t now);

/* Fills in a->groups of a->unix_name (getgrouplist), without the primary and privileged ones. 0 or a negative code. */
int account_load_groups(struct account *a);

/*
 * Expands ${USER} and ${OS_HOME} in a path of the configuration.
 * Whatever a name contains becomes one safe path component: characters that
 * mean something to some system become dots (as in SFTPPlus).  0, SP_ERANGE, or SP_EFORMAT
 * for an unknown placeholder or when a name cannot be made safe.
 */
int account_expand(const struct account *a, const char *text, char *out, size_t size);

/* "wrong-password", "found" */
const char *account_reason_word(enum account_reason);
const char *account_result_word(enum account_result);

#endif
