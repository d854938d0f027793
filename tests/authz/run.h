/*
 * One row of a vector file being run: its policy compiled, its question put to
 * the engine.  ask.c knows commands, languages.c the five systems' texts.
 */
#ifndef TESTS_AUTHZ_RUN_H
#define TESTS_AUTHZ_RUN_H

#include "authz/authz.h"
#include "tests/authz/world.h"

struct row {
	const char *dialect, *id, *policy, *user, *command, *path, *expected;
};

struct run {
	const struct row *row;
	struct world world;
	struct authz_policy *policy;
	uint32_t choices;		/* enum authz_choice */
	char why[1024];
};

enum { DENY, ALLOW, SKIP = -1 };

/* The operation of a command that may carry arguments ("SITE CHMOD 600"), or what authz_command() says of others. */
int run_op(const char *command);
/* Compiles the sources for the row's user. Returns the number of errors. */
int run_compile(struct run *, const struct authz_source *, size_t n, uint32_t dialect_uid, const char *home);
/* The answer to the row's question; errors: how many its policy has. */
int run_decide(struct run *, int errors);
/* The same for a command and a path. */
int run_ask(struct run *, const char *command, const char *path);

/* Runs the row in the language it names: DENY, ALLOW or SKIP. */
int run_language(struct run *);

#endif
