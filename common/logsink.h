/*
 * Where log lines go: stderr, the system log, the journal, or a file; and the
 * transfer log.  Opened by the listener and, while it is still root, by each
 * template; a template made afresh at reload thereby opens rotated files anew,
 * and running sessions end in the old ones.
 *
 * Writing needs no allocation and no lock, so that it may happen in a signal
 * handler, and never blocks for the system log: a line that cannot be
 * written is dropped.
 */
#ifndef COMMON_LOGSINK_H
#define COMMON_LOGSINK_H

#include <stddef.h>

/*
 * Sends all further lines to where: "stderr", "stdout", "syslog" (facility ftp),
 * "journal" (each key of a line becomes a field), or the absolute path of a
 * file, which is made with mode 0640 and appended to.  0; -EINVAL for another
 * word; -errno when it cannot be opened: then lines go on as before.
 */
int log_open(const char *where);

/* log_open(), with lines as JSON objects (stderr, stdout and files). */
int log_open_json(const char *where);

/* The descriptor that log_open() opened and keeps, -1: none. Sandboxes leave it open. */
int log_fd(void);

/* Opens the transfer log; NULL: none is kept. 0 or -errno. */
int xferlog_open(const char *path);
/* Is one kept? */
int xferlog_fd(void);
/* Writes one whole line, newline included. 0 or -errno. */
int xferlog_write(const char *line, size_t len);

/*
 * Rewrites a line of "key=value key="quoted value"" pairs as a JSON object into
 * out[size]; pairs that do not fit are left out.  Returns its length.
 */
size_t log_line_to_json(char *out, size_t size, const char *line, size_t len);

/* The journal's form of a line: "KEY=value" lines. Same rules. */
size_t log_line_to_journal(char *out, size_t size, int priority, const char *line, size_t len);

#endif
