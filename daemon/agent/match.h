/*
 * Shell wild cards in a name: * ? [a-z] [!a-z] and \ before one of them.  The
 * time is bounded by (pattern x name): a star is never tried twice.  A name
 * that begins with a dot is matched only by a pattern that does.  Used by the
 * agent for LIST and NLST; trusts nothing.
 */
#ifndef AGENT_MATCH_H
#define AGENT_MATCH_H

#include <stdbool.h>

bool match_name(const char *pattern, const char *name);

/* Does the name hold a character that match_name() would not take literally? */
bool match_is_pattern(const char *name);

#endif
