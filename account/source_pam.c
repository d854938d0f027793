/*
 * System users whose password, expiry and session are PAM's affair.  The
 * modules run in this session's monitor, so that one that hangs or crashes
 * takes one login with it; the monitor's timer ends it.
 *
 * Names are looked up one by one in the name service and never enumerated:
 * DOMAIN\user and user@domain of winbind and sssd work as they are.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <shadow.h>
#include <stdlib.h>
#include <string.h>

#include <security/pam_appl.h>

#include "account/password.h"
#include "account/source.h"
#include "account/unix.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

/*
 * libpam and what it needs are opened only where this source is used: each
 * library that the monitor's template maps makes every session dearer.
 */
#define PAM_CALLS(CALL)		\
	CALL(pam_start)		\
	CALL(pam_end)		\
	CALL(pam_set_item)	\
	CALL(pam_get_item)	\
	CALL(pam_authenticate)	\
	CALL(pam_acct_mgmt)	\
	CALL(pam_setcred)	\
	CALL(pam_open_session)	\
	CALL(pam_close_session)	\
	CALL(pam_strerror)

static struct {
#define CALL(name) __typeof__(name) *name;
	PAM_CALLS(CALL)
#undef CALL
} lib;

/* In the template. dlsym(RTLD_DEFAULT) finds what a test preloads in libpam's place. */
static int
open_pam(const struct conf *conf, void **state)
{
	(void)conf;
	*state = NULL;
	if (dlopen("libpam.so.0", RTLD_NOW | RTLD_GLOBAL) == NULL) {
		log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, dlerror(), 0);
		return -ENOENT;
	}
#define CALL(name) \
	*(void **)&lib.name = dlsym(RTLD_DEFAULT, #name); \
	if (lib.name == NULL) \
		return -ENOSYS;
	PAM_CALLS(CALL)
#undef CALL
	return 0;
}

/* What the conversation function may give away, while it runs. */
struct talk {
	const char *user;
	const struct secret *password;
	bool asked;		/* for the password: a second question is about something else */
	char said[512];		/* what modules said that want no answer: the log has it */
};

struct pam_login {
	pam_handle_t *handle;
	struct talk talk;
	bool session, credentials;
};

/* What PAM's codes mean for a login. */
static const struct meaning {
	int code;
	enum account_result result;
	enum account_reason reason;
} meanings[] = {
	{ PAM_SUCCESS,			ACCOUNT_FOUND,		REASON_NONE },
	{ PAM_AUTH_ERR,			ACCOUNT_REFUSED,	REASON_WRONG_PASSWORD },
	{ PAM_USER_UNKNOWN,		ACCOUNT_REFUSED,	REASON_UNKNOWN_USER },
	{ PAM_MAXTRIES,			ACCOUNT_REFUSED,	REASON_LOCKED },
	{ PAM_ACCT_EXPIRED,		ACCOUNT_REFUSED,	REASON_EXPIRED },
	{ PAM_NEW_AUTHTOK_REQD,		ACCOUNT_REFUSED,	REASON_PASSWORD_EXPIRED },
	{ PAM_AUTHTOK_EXPIRED,		ACCOUNT_REFUSED,	REASON_PASSWORD_EXPIRED },
	{ PAM_CRED_EXPIRED,		ACCOUNT_REFUSED,	REASON_PASSWORD_EXPIRED },
	{ PAM_PERM_DENIED,		ACCOUNT_REFUSED,	REASON_PAM },
	{ PAM_CRED_INSUFFICIENT,	ACCOUNT_REFUSED,	REASON_PAM },
	{ PAM_CONV_ERR,			ACCOUNT_REFUSED,	REASON_PAM },
	{ PAM_AUTHINFO_UNAVAIL,		ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE },
	{ PAM_AUTHTOK_RECOVERY_ERR,	ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE },
	{ PAM_SERVICE_ERR,		ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE },
	{ PAM_SYSTEM_ERR,		ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE },
	{ PAM_BUF_ERR,			ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE },
	{ PAM_OPEN_ERR,			ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE },
	{ PAM_SYMBOL_ERR,		ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE },
	{ PAM_ABORT,			ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE },
	{ PAM_MODULE_UNKNOWN,		ACCOUNT_UNAVAILABLE,	REASON_UNAVAILABLE }
};

/* Adds a line to what was said; what has no room is left out. */
static void
hear(struct talk *t, const char *text)
{
	size_t used = strlen(t->said);

	if (text == NULL || text[0] == '\0')
		return;
	(void)str_format(t->said + used, sizeof t->said - used, "%s%s", used == 0 ? "" : "\n", text);
	for (used = strlen(t->said); used > 0 && strchr("\r\n ", t->said[used - 1]) != NULL; used--)
		t->said[used - 1] = '\0';
}

/* The answer to one question of a module: allocated, PAM frees it. NULL: none. */
static char *
answer(struct talk *t, const struct pam_message *question)
{
	switch (question->msg_style) {
	case PAM_PROMPT_ECHO_OFF:
		if (t->password == NULL || t->asked)
			return NULL;
		t->asked = true;
		return strdup(t->password->data);
	case PAM_PROMPT_ECHO_ON:
		return strdup(t->user);
	default:		/* PAM_ERROR_MSG, PAM_TEXT_INFO: the administrator is shown them */
		hear(t, question->msg);
		return strdup("");
	}
}

static void
forget_answers(struct pam_response *r, int n)
{
	for (int i = 0; i < n; i++)
		if (r[i].resp != NULL) {
			explicit_bzero(r[i].resp, strlen(r[i].resp));
			free(r[i].resp);
		}
	free(r);
}

static int
converse(int n, const struct pam_message **questions, struct pam_response **answers, void *context)
{
	struct pam_response *r;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	r = calloc((size_t)n, sizeof *r);
	if (r == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++) {
		r[i].resp = answer(context, questions[i]);
		if (r[i].resp == NULL) {
			forget_answers(r, n);
			return PAM_CONV_ERR;
		}
	}
	/* Some modules that only tell something want no answers back. */
	if (answers == NULL)
		forget_answers(r, n);
	else
		*answers = r;
	return PAM_SUCCESS;
}

/* The monitor delays failures itself, all alike: modules are not to sleep. */
static void
no_delay(int status, unsigned microseconds, void *context)
{
	(void)status, (void)microseconds, (void)context;
}

static enum account_result
interpret(int code, const char *step, enum account_reason *why)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].code == code) {
			*why = meanings[i].reason;
			if (meanings[i].result == ACCOUNT_UNAVAILABLE)
				break;
			return meanings[i].result;
		}
	struct log_line l;

	log_begin(&l, EVENT_PAM_FAILED);
	log_str(&l, FIELD_STEP, step);
	log_str(&l, FIELD_ERROR, lib.pam_strerror(NULL, code));
	log_end(&l);
	*why = REASON_UNAVAILABLE;
	return ACCOUNT_UNAVAILABLE;
}

static int
start(struct pam_login *p, const struct account_query *q, const char *name)
{
	const struct pam_conv conversation = { converse, &p->talk };
	char host[ADDR_TEXT_MAX];
	int r = lib.pam_start(q->base->pam_service, name, &conversation, &p->handle);

	if (r != PAM_SUCCESS)
		return r;
	if (q->peer != NULL)
		r = lib.pam_set_item(p->handle, PAM_RHOST, addr_host(host, q->peer));
	if (r == PAM_SUCCESS)
		r = lib.pam_set_item(p->handle, PAM_TTY, "ftp");
	if (r == PAM_SUCCESS)
		r = lib.pam_set_item(p->handle, PAM_RUSER, name);
	if (r == PAM_SUCCESS)
		r = lib.pam_set_item(p->handle, PAM_FAIL_DELAY, (const void *)no_delay);
	return r;
}

/* A module may have given the user another name: then he is that user, with that user's rules. */
static enum account_result
follow_name(struct pam_login *p, const struct account_query *q, struct account *a, enum account_reason *why)
{
	const void *name = NULL;
	enum account_result r;

	if (lib.pam_get_item(p->handle, PAM_USER, &name) != PAM_SUCCESS || name == NULL)
		return interpret(PAM_SYSTEM_ERR, "user", why);
	if (strcmp(name, a->unix_name) == 0 || strcmp(name, a->name) == 0)
		return ACCOUNT_FOUND;
	if (!account_name_ok(name)) {
		*why = REASON_BAD_NAME;
		return ACCOUNT_REFUSED;
	}
	r = unix_find(a, name);
	if (r != ACCOUNT_FOUND) {
		*why = r == ACCOUNT_UNKNOWN ? REASON_UNKNOWN_USER : REASON_UNAVAILABLE;
		return r == ACCOUNT_UNKNOWN ? ACCOUNT_REFUSED : r;
	}
	(void)str_copy(a->name, sizeof a->name, a->unix_name);
	*why = source_system_rules(q, a);
	return *why == REASON_NONE ? ACCOUNT_FOUND : ACCOUNT_REFUSED;
}

static void
end(struct pam_login *p, int status)
{
	if (p->handle != NULL)
		lib.pam_end(p->handle, status);
	p->handle = NULL;
	free(p);
}

/*
 * May the account be used?  What keeps it out (pam_nologin, an expired account, access.conf) is no wrong password,
 * though the codes are the same.
 */
static enum account_result
manage(struct pam_login *p, struct account *a, enum account_reason *why, int *code)
{
	enum account_result r;

	a->proven = true;
	/* Not silent: what the modules have to say is the reason. */
	*code = lib.pam_acct_mgmt(p->handle, PAM_DISALLOW_NULL_AUTHTOK);
	r = interpret(*code, "account", why);
	if (r == ACCOUNT_REFUSED)
		*why = REASON_ACCOUNT;
	if (r == ACCOUNT_REFUSED && p->talk.said[0] == '\0')
		hear(&p->talk, lib.pam_strerror(p->handle, *code));
	return r;
}

static enum account_result
verify_pam(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	struct pam_login *p = calloc(1, sizeof *p);
	enum account_result r;
	int code;

	(void)state;
	if (p == NULL)
		return ACCOUNT_UNAVAILABLE;
	p->talk = (struct talk){ .user = a->name, .password = q->password };
	code = start(p, q, a->name);
	r = interpret(code, "start", why);
	if (r == ACCOUNT_FOUND && q->password != NULL) {
		code = lib.pam_authenticate(p->handle, PAM_DISALLOW_NULL_AUTHTOK | PAM_SILENT);
		r = interpret(code, "authenticate", why);
	}
	if (r == ACCOUNT_FOUND)
		r = manage(p, a, why, &code);
	if (r == ACCOUNT_FOUND)
		r = follow_name(p, q, a, why);
	p->talk.password = NULL;
	if (p->talk.said[0] != '\0')
		a->said = account_keep(a, p->talk.said);
	if (r == ACCOUNT_FOUND && a->settled && a->resolved->s.pam_session) {
		a->flags |= ACCOUNT_PAM_SESSION;
		a->login_state = p;
		return r;
	}
	end(p, code);
	return r;
}

/*
 * As sshd(8) does for names that nobody has: the modules run, load and ask whom they ask, so that the time does not
 * tell.  The name is never one of the client's choosing: modules that count failures count them for nobody.
 */
static enum account_result
decoy_pam(void *state, const struct account_query *q)
{
	static const char name[] = "no-such-user.", impossible[] = "\b\n\r\177INCORRECT";
	struct pam_login *p = calloc(1, sizeof *p);
	struct secret password;
	enum account_reason why;
	enum account_result r;
	int code;

	(void)state;
	if (p == NULL || secret_set(&password, impossible, sizeof impossible - 1) != 0) {
		free(p);
		return ACCOUNT_UNAVAILABLE;
	}
	p->talk = (struct talk){ .user = name, .password = &password };
	code = start(p, q, name);
	if (code == PAM_SUCCESS)
		code = lib.pam_authenticate(p->handle, PAM_DISALLOW_NULL_AUTHTOK | PAM_SILENT);
	r = interpret(code, "authenticate", &why);
	end(p, code);
	return r;
}

/* Credentials, then the session: what pam_limits, pam_mkhomedir, pam_keyinit and others prepare, this process gets. */
static int
open_session(void *state, struct account *a)
{
	struct pam_login *p = a->login_state;
	enum account_reason why;
	int code = lib.pam_setcred(p->handle, PAM_ESTABLISH_CRED | PAM_SILENT);

	(void)state;
	if (code == PAM_SUCCESS) {
		p->credentials = true;
		code = lib.pam_open_session(p->handle, PAM_SILENT);
		p->session = code == PAM_SUCCESS;
	}
	return interpret(code, "session", &why) == ACCOUNT_FOUND ? 0 : -EPERM;
}

static void
close_session(void *state, struct account *a)
{
	struct pam_login *p = a->login_state;
	int code = PAM_SUCCESS;

	(void)state;
	if (p == NULL)
		return;
	if (p->session)
		code = lib.pam_close_session(p->handle, PAM_SILENT);
	if (p->credentials)
		(void)lib.pam_setcred(p->handle, PAM_DELETE_CRED | PAM_SILENT);
	end(p, code);
	a->login_state = NULL;
}

static enum account_result
find_pam(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	enum account_result r = source_find_system_user(q, a, why);

	(void)state;
	a->origin = "pam";
	a->verifier_kind = VERIFY_SOURCE;
	return r;
}

/* pam_unix looks there; where another module knows the password, it is not in shadow(5). */
static const char *
hash_of_pam(void *state, const struct account *a)
{
	static char hash[PASSWORD_HASH_MAX];
	struct spwd *sp = a->unix_name == NULL ? NULL : getspnam(a->unix_name);

	(void)state;
	if (sp == NULL || str_copy(hash, sizeof hash, sp->sp_pwdp) != 0)
		return NULL;
	password_mask(hash);
	explicit_bzero(sp->sp_pwdp, strlen(sp->sp_pwdp));
	return hash;
}

/*
 * What account management says, as the monitor asks it for those who come with a certificate.  It does not look whether
 * the password is locked: pam_unix finds that out with the password.  Only what passwd -l did is taken for a lock;
 * where another module knows the password, shadow(5) has a bare star or exclamation mark.
 */
static enum account_result
look_pam(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	enum account_result r = verify_pam(state, q, a, why);
	const char *hash = r == ACCOUNT_FOUND ? hash_of_pam(state, a) : NULL;

	if (hash != NULL && hash[0] == '!' && hash[strspn(hash, "!")] != '\0' &&
	    a->resolved->s.certificate_login != CONF_CERTLOGIN_INSTEAD) {
		*why = REASON_LOCKED;
		return ACCOUNT_REFUSED;
	}
	return r;
}

const struct account_source source_pam = {
	.name = "pam",
	.doc = "System users, authenticated by PAM modules.",
	.open = open_pam,
	.find = find_pam,
	.verify = verify_pam, .look = look_pam,
	.hashes = source_shadow_hashes, .stamp = source_shadow_stamp, .hash_of = hash_of_pam,
	.decoy = decoy_pam,
	.session_open = open_session,
	.session_close = close_session
};
