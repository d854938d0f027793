/*
 * Whether this system gives the processes the sandbox that they should have
 * (privsep/part.h).  Used by the listener's start, while it is still root.
 */
#ifndef LISTENER_PARTS_H
#define LISTENER_PARTS_H

struct conf;
struct server;

/*
 * Tries every part and says what is missing: what the server cannot do
 * without, and with what it goes on.  What inetd starts is not examined, because its client waits; its
 * processes say themselves what they cannot do.  0; SP_ENOTDROPPED when the server must not start.
 */
int parts_examine(struct server *);

/*
 * Where Landlock does not work, landlock = auto means off from now on: no process tries it, as some systems kill
 * who does.
 */
void parts_override(const struct server *, struct conf *);

#endif
