/*
 * Reading the configuration again, all or nothing: the files are parsed, the
 * administrator's expectations are tested against them (sallyctl expect, a child
 * that is waited for in the event loop), new templates are prepared with them.
 * Only when all that has succeeded the new configuration is the running one;
 * before, and on any error, the old one is.
 */
#ifndef LISTENER_RELOAD_H
#define LISTENER_RELOAD_H

#include <stddef.h>

struct server;

/*
 * Begins a reload.  0: its end will be told to the log and to
 * control_reloaded().  A negative code: it has failed already, with the reasons,
 * one a line, in why[size].
 */
int server_reload(struct server *, char *why, size_t size);

/* Fresh templates have taken over, or died before they could: ends a reload if one is going on. */
void reload_succeeded(struct server *);
void reload_failed(struct server *);

#endif
