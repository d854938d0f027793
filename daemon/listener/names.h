/*
 * Host names in passive_address.  Sessions cannot ask a name service, and
 * nothing in the listener may wait for one: sallyctl resolve, executed for it, is
 * asked at the start, after reloads and every few minutes.  A name that is not
 * answered keeps its last address.
 */
#ifndef LISTENER_NAMES_H
#define LISTENER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/addr.h"
#include "common/conf.h"

struct server;

/*
 * Looks up what the configuration names, now and from time to time.  Again when a reload begins, together with the
 * names of the old configuration, which may stay.  Never fails: it is tried again.
 */
void names_start(struct server *);
/*
 * The reload is over, however it ended: what neither configuration nor a listener that is still there names is
 * forgotten.
 */
void names_settle(struct server *);
/* They are being asked for; server_names_known() tells the end of it, whatever came of it. */
bool names_awaited(const struct server *);
/* No more. */
void names_stop(struct server *);
/* The same for the section of that name, as MSG_CLIENT carries them. */
void names_of_section(const struct server *, const char *section, sa_family_t, char *out, size_t size);
/*
 * Writes "name=address" lines for those of the map whose address of that family is known; what does not fit is left
 * out.
 */
void names_known(const struct server *, const struct addr_map *, sa_family_t, char *out, size_t size);

#endif
