/*
 * The conditions and tails of FEAT's lines, named in the table's feature_if.
 */
#ifndef WORKER_FEAT_H
#define WORKER_FEAT_H

#include "daemon/worker/verbs.h"

/* Appends what fits. */
void piece_add(struct piece *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether this account may ever use the command; before login all of them. FEAT and HELP name no other. */
bool feat_possible(const struct session *, const struct verb *);

verb_feature feat_tls, feat_ccc;	/* verb_tls.c */
verb_feature feat_mlst, feat_mff, feat_hash;
/* Only where data connections of that kind are not switched off. */
verb_feature feat_active, feat_passive;

/* "type*;size*;" with a star at each fact that is chosen; only the chosen ones without stars when all is false. */
void feat_facts(struct piece *, uint32_t facts, bool all);

/*
 * The mask of a list such as "type;size;", which may be empty; facts that are not known do not count.  False, and the
 * mask as it was, when the list breaks the syntax: a semicolon ends each fact (RFC 3659, 7.8 and 7.9).
 */
bool feat_parse_facts(const char *list, uint32_t *mask);

#endif
