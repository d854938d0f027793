/*
 * Writing mdoc(7): what every generator of the manual uses.  Built for the
 * build machine only, never installed.
 */
#ifndef MAN_MDOC_H
#define MAN_MDOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Running text: escaped, each sentence on a line of its own. */
void mdoc_text(const char *);
/* A request or macro line: name and arguments, NULL at the end; the arguments are quoted and escaped. */
void mdoc_macro(const char *name, ...) __attribute__((sentinel));
/* A sentence that ends with a literal. */
void mdoc_value(const char *lead, const char *value);
/* A tagged list, and its end. */
void mdoc_list_begin(const char *width);
void mdoc_list_end(void);

/* One row of @NAME@. */
struct generator {
	const char *name;
	void (*print)(void);
};

/* Each file's own generators, ended by a NULL name. */
extern const struct generator conf_generators[], verb_generators[], role_generators[], ctl_generators[], log_generators[],
    authz_generators[];

#endif
