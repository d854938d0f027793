/*
 * Names of Unix users and groups for listings (list_owner = names).  The files
 * are opened once by the template, outside of every jail, and read when the
 * first such listing is made; each number is looked for once.  Names that are not in /etc/passwd
 * and /etc/group are shown as numbers.
 */
#ifndef AGENT_NAMES_H
#define AGENT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* To be called once, before any jail. */
void names_open(void);

/* The name of a user, a group; the number as text when there is none. Valid until 64 others were asked for. */
const char *names_user(uint32_t uid);
const char *names_group(uint32_t gid);

/* The number of a user, a group by its name; UINT32_MAX when there is none. */
uint32_t names_user_id(const char *name);
uint32_t names_group_id(const char *name);

#endif
