/*
 * Temporary files of uploads.  Their names tell where they were made: on which
 * node, since which boot, in which file system as this kernel knows it.  Where all
 * of that is one's own, flock(2) tells whether the session lives, for the kernel that gave the lock
 * is the one that is asked.  It does not where two mounts, or two machines, keep locks for themselves:
 * there only age tells, by the clock of the file server, which is who dates the files.
 */
#ifndef AGENT_TEMPORARY_H
#define AGENT_TEMPORARY_H

#include "daemon/agent/agent.h"

/* Remembers node and boot, while their names can be read. */
void temporary_warm_up(void);

/* Makes one in a folder, locked; its name goes to name (64 bytes). A descriptor for writing, or -errno. */
int temporary_make(int dir_fd, mode_t mode, char name[64]);

/*
 * A new name for something else that is to take another one at once, such as a link: what is left of it is swept as
 * well. 0 or -errno.
 */
int temporary_name(int dir_fd, char name[64]);

/* Removes one that nobody writes any more: name was found in the folder. */
void temporary_sweep(struct agent *, int dir_fd, const char *name);

/* The same for all of a folder that an upload goes to, once a session: nobody may ever list it. */
void temporary_sweep_folder(struct agent *, int dir_fd);

#endif
