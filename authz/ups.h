/* NcFTPd's user permission strings: what other files of authz/ need of them. */
#ifndef AUTHZ_UPS_H
#define AUTHZ_UPS_H

#include "authz/layer.h"

#define UPS_LETTERS	"rmacdnLCMDtuol"	/* bit i of a state is letter i */
#define UPS_COUNT	14
#define UPS_EVERYTHING	((1u << UPS_COUNT) - 1)

/*
 * Applies a string to a state.  touched (may be NULL) becomes the letters it
 * set or took.  NULL, or what is wrong, with *at the place; the state is then
 * unchanged: half a string is never applied.
 */
const char *ups_apply(struct span, uint32_t *state, uint32_t *touched, const char **at);

/* Rights of a state. */
uint32_t ups_rights(uint32_t state, uint32_t choices);

/* The canonical string of a state: the shorter of "+* -..." and "-* +...". */
void ups_print(uint32_t state, struct text *);

#endif
