/* Host names and their addresses: the one place that asks a name service for them. */
#ifndef CTL_RESOLVE_H
#define CTL_RESOLVE_H

#include "common/addr.h"
#include "common/conf.h"

/*
 * The first address of each family, AF_UNSPEC where there is none. 0, or a code of getaddrinfo(3), also when there
 * is no address at all. May take as long as the name service.
 */
int resolve(const char *name, struct addr *v4, struct addr *v6);
/* Adds a warning to the configuration's problems for each name in passive_address that cannot be looked up. */
void resolve_check(struct conf *);

#endif
