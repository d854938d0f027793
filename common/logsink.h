/*
 * Where log lines go: stderr, the system log, the journal, or a file; and the
 * transfer log.  Opened by the listener and, while it is still root, by each
 * template; a template made afresh at reload thereby opens rotated files anew,
 * and running sessions end in the old ones.
 *
 * Writing needs no allocation and no lock, so that it may happen in a signal
 * handler, and never blocks for the system log.  A line that cannot be written,
 * or only in part, is counted as lost: the next one that can begins on a line of its own,
 * behind "event=log-gap lost=N".  Meanwhile the system log, or stderr where there
 * is none, gets "event=log-unwritable" once a minute.
 */
#ifndef COMMON_LOGSINK_H
#define COMMON_LOGSINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sends all further lines to where: "stderr", "stdout" (what is the journal's of them gets priorities, see
 * log_find_journal()), "syslog" (facility ftp),
 * "journal" (each key of a line becomes a field), or the absolute path of a
 * file, which is made with mode 0640 and appended to; links to it are followed where they
 * are root's (trusted_open()).  0; -EINVAL for another
 * word; -errno when it cannot be opened: then lines go on as before.
 */
int log_open(const char *where);

/* log_open(), with lines as JSON objects (stderr, stdout and files). */
int log_open_json(const char *where);

/*
 * While it is on, errors go to stderr as well where the log is another place: what keeps a server from starting is
 * read where it was started.
 */
void log_echo(bool on);
/* The errors that were logged meanwhile, a line each, as far as they fit; for who started the server from elsewhere. */
const char *log_echoed(void);

/* The descriptor that log_open() opened and keeps, -1: none. Sandboxes leave it open. */
int log_fd(void);

/*
 * Has every line been written so far?  While some are lost this tries to write how many; true
 * when it succeeds.  For those who must not go on without records.
 */
bool log_is_whole(void);
/* Lines that could not be written, of the log and of the transfer log, since the server was started. */
uint64_t log_lost(void);

/*
 * Lets processes count together what they lose: a memory file for the others' log_shared(), or
 * -errno.  It holds numbers only; without it each counts for itself.
 */
int log_share(void);
int log_shared(int fd);

/* Where alerts go: /dev/log, but in tests. */
extern const char *log_alert_socket;

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
