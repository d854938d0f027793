/*
 * HELP for a table of commands: verbs.def or sites.def.
 */
#ifndef WORKER_HELP_H
#define WORKER_HELP_H

#include <stddef.h>

struct session;
struct verb;

/* Adds lines with the names to the reply that was begun. */
void help_list(struct session *, const struct verb *table, size_t count);
/* Replies syntax and sentence of one command; NULL: 501. before stands in front of the name. */
void help_one(struct session *, const char *before, const struct verb *);

#endif
