/* ftpcluster's .permissions files: what other files of authz/ need of them. */
#ifndef AUTHZ_FTPCLUSTER_H
#define AUTHZ_FTPCLUSTER_H

#include "authz/layer.h"

#define CLUSTER_PERMISSIONS	".permissions"
#define CLUSTER_PASSWD		".passwd"

extern const struct letter cluster_letters[];
extern const size_t cluster_letter_count;

/* What a file says about one subject. */
struct cluster_entry {
	bool present;
	bool bad;			/* an unknown letter: no letters at all from this file */
	uint32_t letters;		/* bit i: cluster_letters[i] */
	unsigned line;			/* of the last entry, from 1 */
};

/* A control file as one subject sees it. */
struct cluster_file {
	bool malformed;
	unsigned malformed_line;
	struct cluster_entry own, everybody;
};

/* A mistake in a control file, for lint and logs; line from 1. */
typedef void cluster_complain(void *context, unsigned line, bool whole_file, const char *what, struct span text);

/* Reads len bytes of a .permissions file for the number uid (AUTHZ_NOBODY: only "*" speaks to him). */
void cluster_parse(
    const char *text, size_t len, uint32_t uid, struct cluster_file *, cluster_complain *, void *context);

/* Rights of letters on the contents of a folder (dialects 4.2). */
uint32_t cluster_rights(uint32_t letters, uint32_t choices);

#endif
