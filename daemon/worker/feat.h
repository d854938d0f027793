/*
 * The conditions and tails of FEAT's lines, named in the table's feature_if.
 */
#ifndef WORKER_FEAT_H
#define WORKER_FEAT_H

#include "daemon/worker/verbs.h"

/* Appends what fits. */
void piece_add(struct piece *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Only where a right of the command can ever be had. */
verb_feature feat_verb;
verb_feature feat_tls, feat_ccc;	/* verb_tls.c */
verb_feature feat_mlst, feat_mff, feat_hash;

/* "type*;size*;" with a star at each fact that is chosen; only the chosen ones without stars when all is false. */
void feat_facts(struct piece *, uint32_t facts, bool all);

/* The mask of a list such as "type;size;" (RFC 3659, 7.9): unknown ones do not count. */
uint32_t feat_parse_facts(const char *list);

#endif
