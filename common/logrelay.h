/*
 * Log lines that one process states and another writes.  The one that states them may be in a
 * client's hands: a line is taken apart and put together again, tagged with the role, and can neither
 * be an event nor have a field that the event's row in events.def does not give to that role.
 */
#ifndef COMMON_LOGRELAY_H
#define COMMON_LOGRELAY_H

/*
 * Writes a line that a process of that role has sent: text as a log_sink gets it.  by: BY_WORKER and
 * so on.  What is no line of its kind is written as event=claimed, with all of the text as one field.
 */
void log_relay(const char *role, unsigned by, unsigned level, const char *text);

#endif
