/*
 * Idle sessions are paid for by the page: what a process needs only while it
 * is at work, it gives back to the system when nothing has come for a while.
 */
#ifndef COMMON_IDLE_H
#define COMMON_IDLE_H

#include <stddef.h>

#define IDLE_AFTER_MS	100	/* a session that is silent for so long gives back */

/*
 * Gives back the whole pages within start[size]; their content is zero afterwards. Never heap that malloc(3) has
 * handed out.
 */
void idle_give_back(void *start, size_t size);

/* Gives back what the stack has below the caller. */
void idle_give_back_stack(void);

#endif
