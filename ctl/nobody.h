/* For commands that take apart what the network says: they give up what root has first. */
#ifndef CTL_NOBODY_H
#define CTL_NOBODY_H

#include <stdbool.h>

/*
 * Becomes nobody, for ever; who is not root keeps their user, and gains nothing from programs either.  even_so: it is
 * no failure where this root may not change its user, as in a container without CAP_SETUID.  true: done.
 */
bool nobody_become(bool even_so);

#endif
