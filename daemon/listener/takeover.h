/*
 * A new generation of the server takes the place of the one that runs, be it of another version: sallyctl restart.
 * This is the side of the new one, leave.h that of the old.  The old one lets the starter execute the program,
 * gives it the listening sockets over a link, and goes on as before until that says that it serves; then it keeps
 * only the sessions that it has, and ends with the last.  See DESIGN.md, "Generations".
 */
#ifndef LISTENER_TAKEOVER_H
#define LISTENER_TAKEOVER_H

struct server;

/* Was this process started as a new generation? Takes the link out of the environment. Before anything else. */
void takeover_find(void);
/* What keeps it from starting, a line each, for the old one. Does nothing for other starts. */
void takeover_note(const char *text);
/* It ends with this status without having served. Does nothing for other starts. */
void takeover_refuse(int status);

/*
 * Hears what the old generation has to give, sockets above all: before doors_open().  Waits for it.  0, for other
 * starts as well, or a negative code, said on the log.
 */
int takeover_meet(struct server *);
#endif
