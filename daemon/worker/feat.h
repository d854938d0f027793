/*
 * The conditions and tails of FEAT's lines, named in the tables' rows.
 */
#ifndef WORKER_FEAT_H
#define WORKER_FEAT_H

#include "daemon/worker/verbs.h"

/* Appends what fits. */
void piece_add(struct piece *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether this account may ever use the command; before login all of them. FEAT and HELP name no other. */
bool feat_possible(const struct session *, const struct verb *);

/* The same, and what else the row of the table asks for: settings, TLS, other commands that it goes with. */
bool feat_useful(const struct session *, const struct verb *, struct piece *);

verb_feature feat_tls, feat_ccc;	/* verb_tls.c */
verb_feature feat_mlst, feat_mff, feat_hash;
/* Only where data connections of that kind are not switched off. */
verb_feature feat_active, feat_passive;
/* Only where the account can use what they prepare or belong to. */
verb_feature feat_rest, feat_rang, feat_allo, feat_rename;
/* Only where rules are told (explain_denials); nowhere. */
verb_feature feat_why, feat_never;

/* "type*;size*;" with a star at each fact that is chosen; only the chosen ones without stars when all is false. */
void feat_facts(struct piece *, uint32_t facts, bool all);

/*
 * The mask of a list such as "type;size;", which may be empty; facts that are not known do not count.  False, and the
 * mask as it was, when the list breaks the syntax: a semicolon ends each fact (RFC 3659, 7.8 and 7.9).
 */
bool feat_parse_facts(const char *list, uint32_t *mask);

#endif
