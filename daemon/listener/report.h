/*
 * Answers to sallyctl: one function a verb, in a table.  Text for people, or
 * one JSON document.
 */
#ifndef LISTENER_REPORT_H
#define LISTENER_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct server;

enum answer_when { ANSWER_NOW, ANSWER_RELOADED, ANSWER_RESTARTED };

struct answer {
	int status;		/* exit code of sallyctl: 0 done, 1 no such thing, 2 failed, 64 bad argument */
	enum answer_when when;	/* it is there; or will be when that has happened */
	char *text;		/* malloc'ed, the receiver's */
	size_t len;
};

/* A command of sallyctl and who gave it. */
struct order {
	const char *verb;
	const char *arguments;	/* one a line */
	bool json;
	uid_t uid;		/* whose; control_group may let more than root */
	pid_t pid;
};

/* Carries out a command. What changes something is logged, with its author. */
void report_answer(struct server *, const struct order *, struct answer *);
/* An answer that is nothing but a sentence, in the form that was asked for. */
void report_result(bool json, int status, const char *text, struct answer *);

#endif
