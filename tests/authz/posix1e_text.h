/*
 * Between posix1e.c, which has the stage and the cast, and posix1e_text.c,
 * which runs the rows that need neither.
 */
#ifndef TESTS_AUTHZ_POSIX1E_TEXT_H
#define TESTS_AUTHZ_POSIX1E_TEXT_H

#include <stdint.h>

#include "authz/posixacl.h"

/* Runs a row "ACL ..." whose policy is a text, or two separated by " || ". As posix1e_row(). */
int posix1e_text_row(const char *policy, const char *command);

/* Writes why and returns result. */
int posix1e_tell(int result, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Names of the cast, then of the system; for struct pacl_names. */
int posix1e_name(void *context, enum pacl_tag, const char *name, uint32_t *id);
/* An ACL text with such names; NULL after posix1e_tell(). */
struct pacl *posix1e_parse(const char *text);
/* An empty stage with the groups that every row has. */
void posix1e_clear(void);

#endif
