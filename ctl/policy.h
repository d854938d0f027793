/*
 * An account's policy as the server would build it, from the configuration and
 * the account sources, without the server: for why, expect and lint.
 */
#ifndef CTL_POLICY_H
#define CTL_POLICY_H

#include "account/account.h"
#include "authz/authz.h"
#include "authz/tree.h"
#include "common/conf.h"
#include "ctl/ctl.h"

#define VIEW_PATH_MAX	4096
#define VIEW_GROUPS_MAX	256
#define VIEW_STEPS_MAX	2

/* One account. Begin with zeroes. */
struct view {
	struct conf *conf;		/* the caller's */
	struct account_sources sources;
	struct account account;
	struct conf_resolved rules;	/* of view_take_rules() */
	bool rules_only;
	struct authz_policy *policy;
	struct authz_subject subject;
	struct root walk;		/* root_fd, for places */
	struct tree tree;		/* what rules that stand there say */
	struct authz_problems problems;
	char root[VIEW_PATH_MAX];	/* what the account sees as "/" */
	char start[VIEW_PATH_MAX];	/* its folder after the login, virtual; canonical if it is there */
	int root_fd;			/* -1: the root cannot be opened */
	const char *group_names[VIEW_GROUPS_MAX];	/* point into groups */
	char groups[16384];
	bool found, refused;		/* refused: by state, such as disabled; why says it */
	bool homeless;			/* the home keeps it from logging in */
	bool unknown;			/* no source has such an account */
	bool unsure;			/* whether it is locked or expired cannot be told by this user */
	const char *remedy;		/* of refused; NULL: none is known */
	char why[720];
	char home_why[400];		/* "": a session finds its home; else that it does not, or that this cannot be told */
};

/* Opens the account sources of a configuration once; what cannot be opened is told on stderr and left out. */
void view_begin(struct view *, const struct invocation *, struct conf *);
/* Takes an account; the one before is forgotten. CTL_OK, or CTL_FAILED with view->why. */
int view_take(struct view *, const char *user);
/*
 * The same for its rules alone, whoever knows the account: no identity, no root (view->found is false). group:
 * NULL, or its only group.
 */
int view_take_rules(struct view *, const char *user, const char *group);
/* For view_take(): what keeps the account out before any rule is asked, in refused, why and remedy. ctl/standing.c */
void view_judge_account(struct view *, const struct account_query *);
void view_end(struct view *);

/*
 * Compiles the rules of every account and group section, and of an account
 * that has none, and adds what is wrong to the configuration's problems, with
 * columns as the file has them.  folders: compare them with the tree too, as
 * originals do at their start.
 */
void policies_check(struct conf *, bool folders);

/*
 * Adds accounts that nobody can log in to, because they have no Unix user or because one or a group that is named for
 * them is not there.  Nothing without privileges, as then all sessions are their server's user. ctl/identity.c
 */
void identities_check(struct conf *);
/* Is this account such a one? */
bool identity_is_missing(struct conf *, const struct conf_section *account);

/*
 * Adds change_password = yes where it does nothing, as no source can change the passwords of the accounts that it is
 * said for. ctl/changes.c
 */
void changes_check(struct conf *);

/*
 * Adds every line of the configuration's file of expectations that is not met. To be called when its rules have no
 * mistakes.
 */
void expectations_check(const struct invocation *, struct conf *);

/* What is said of an account with an empty password, behind its name. */
#define EMPTY_MEANS	": it is refused, or lets everybody in where allow_empty_passwords says so"
#define EMPTY_REMEDY	"give it a password, or lock it with a star"

/* Is its stored password empty? It need not be resolved. ctl/empty.c */
bool empty_password(const struct account *);
enum password_fault { FAULT_NONE, FAULT_EMPTY, FAULT_UNUSABLE };	/* unusable: a hash that nothing here can compute */
typedef void empty_found(void *context, const char *file, unsigned line, const char *name, enum password_fault);
/* Finds such accounts in password files and the database; sections of the configuration are checked with it. */
void empty_passwords(const struct conf *, empty_found *, void *context);
/* Adds them to the configuration's problems. */
void empty_passwords_check(struct conf *);

/* What is asked: a command of a client with one or two paths, as typed. */
struct question {
	const char *command;
	const char *path, *path2;	/* NULL: none */
};

/* A question turned into steps for authz_explain(). */
struct asked {
	struct authz_step steps[VIEW_STEPS_MAX];
	size_t n;
	bool never_gated;
	struct place place[VIEW_STEPS_MAX];
	char kernel[VIEW_STEPS_MAX][512];
};

/*
 * Looks at the tree as the account sees it and fills in the steps; kernel: predict its answer too.  Ended with
 * view_leave(). NULL, or what is wrong with the question.
 */
const char *view_ask(struct view *, const struct question *, bool kernel, struct asked *);

/* Decides the steps with the account's eyes. False: denied, with the reason in why. */
bool view_decide(struct view *, const struct asked *, char *why, size_t size);
/* As authz_explain(). */
int view_explain(struct view *, const struct asked *, bool json, char **text);
void view_leave(struct asked *);

#endif
