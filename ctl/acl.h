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
	bool changes;			/* sets ACLs: second names of foreign files are left alone */
	bool below;			/* in a folder of the command line (--recursive) */
	uid_t owner;			/* of that folder */
};

/* An object that is held by a descriptor (O_PATH), whatever becomes of its name. */
struct acl_object {
	int fd;
	struct stat st;
	char name[32];			/* room of acl_held() */
};

/*
 * Finds what a path leads to (trusted_walk()).  0 or -errno; in either case fd is to be closed
 * unless it is negative.
 */
int acl_find(struct acl_object *, const char *path);
/* Where its ACL is, for as long as the object is kept. */
struct pacl_place acl_held(struct acl_object *);
/* Reads the ACL of the object that a path leads to. 0 or a negative code. */
int acl_read(const char *path, enum pacl_type, struct pacl **);
/* Says what went wrong with a path; CTL_FAILED. */
int acl_fail(const struct invocation *, const char *path, int error);

/*
 * Runs job->one on each path and, with --recursive, on everything below.
 * Paths of the command line may be links of root or of whoever runs the command; what is found below is not followed.
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
