/*
 * Configurations of other servers that become sections of ours, one for each
 * account or class: what the import commands with readers of their own share
 * (NcFTPd, SFTPPlus, ftpcluster).  Servers whose settings correspond to single keys are in ctl/import.h.
 * What is read may be wrong in every line.
 */
#ifndef CTL_CONVERT_H
#define CTL_CONVERT_H

#include <stdio.h>

#include "ctl/ctl.h"

struct convert {
	const struct invocation *inv;
	const char *path; /* what was named on the command line */
	FILE *out;        /* where the configuration is written to */
	char *text, *notes;
	size_t size, notes_size;
	FILE *notes_out; /* remarks, as comments */
	struct json lost;
	unsigned long lost_count;
};

/* 0 or -ENOMEM. */
int convert_begin(struct convert *, const struct invocation *);

/* A key of ours with a value of any number of lines; control bytes of it vanish. An empty value is left out. */
void convert_say(struct convert *, const char *key, const char *value);
/* The same on one line, made by a format. */
void convert_sayf(struct convert *, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A section: convert_section(c, "account", "bob"). name NULL: none. */
void convert_section(struct convert *, const char *kind, const char *name);
/* Something cannot be expressed. line 0: of the whole. */
void convert_lost(struct convert *, unsigned line, const char *name, const char *value, const char *why);

/*
 * Something that restricted access cannot be expressed: a line in the section that is open, which check and the server
 * refuse until it is removed.
 */
void convert_closed(struct convert *, unsigned line, const char *name, const char *value, const char *why);

/*
 * Lines "key = value" below sections "[NAME]", as several of these servers write them: continuation lines begin with a
 * blank, comments with "#" or ";".  take is called for each value when it is whole, its lines separated by LF; section
 * is "" before the first one. 0 or -errno.
 */
typedef void convert_take(
    struct convert *, void *context, const char *section, unsigned line, const char *key, const char *value);
int convert_read(struct convert *c, const char *path, convert_take *take, void *context);

/* Prints all of it, after a check that it is a configuration. error: what kept it from being read, or 0. Returns the
 * exit code. */
int convert_end(struct convert *, int error);

#endif
