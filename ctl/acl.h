/*
 * What the files of "sallyctl acl" share: walking over paths without being led
 * astray by links, and reading the words of a command line.
 */
#ifndef CTL_ACL_H
#define CTL_ACL_H

#include <sys/stat.h>

#include "authz/posixacl.h"
#include "ctl/ctl.h"

/* A command at work on one path after another. */
struct acl_job {
	struct invocation *inv;
	enum pacl_type type;
	/*
	 * Handles one object.  0, or a negative code, which is reported with
	 * the path; answer may be set to CTL_NO.
	 */
	int (*one)(struct acl_job *, struct pacl_place, const char *path, const struct stat *);
	int (*edit)(struct acl_job *, struct pacl *);	/* changes a list that was read; NULL: not this command */
	struct pacl *acl;		/* for set, modify, copy; the job's */
	enum pacl_tag tag;		/* for remove, perm, test, clone */
	uint32_t id;
	enum pacl_tag to_tag;		/* clone */
	uint32_t to_id;
	unsigned perm;
	char sign;			/* perm: '+', '-' or '=' */
	struct json json;
	int answer;			/* the exit code so far */
	unsigned long done;		/* for the progress */
};

/*
 * Runs job->one on each path and, with --recursive, on everything below.
 * Paths of the command line may be links, what is found below is not followed.
 * Prints the JSON list, returns the exit code.
 */
int acl_run(struct acl_job *, struct invocation *, char **paths, int n);

/* Reads an ACL text of the command line; what is wrong is told on stderr with a mark under the place. NULL then. */
struct pacl *acl_text_argument(const struct invocation *, const char *text);

/* Reads "u:bob", "g", "m" ...: a tag and, for some, whom it is for. 0, or CTL_USAGE after a message. */
int acl_entry_argument(const struct invocation *, const char *spec, enum pacl_tag *, uint32_t *id);

/* The options of the command line as enum pacl_option. */
unsigned acl_text_options(const struct invocation *);

/* Writes one ACL as an object {"type", "entries", "mode", "extended", "valid", "text"} with that key. */
void acl_json(struct json *, const char *key, enum pacl_type, const struct pacl *);

#endif
