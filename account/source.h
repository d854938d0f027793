/*
 * The sources built in, a file each.  Only account/sources.c names them all;
 * everybody else goes through the table.
 */
#ifndef ACCOUNT_SOURCE_H
#define ACCOUNT_SOURCE_H

#include "account/account.h"

extern const struct account_source source_config;	/* [account NAME] sections */
extern const struct account_source source_anonymous;
extern const struct account_source source_shadow;	/* system users, their passwords in shadow */
extern const struct account_source source_pam;		/* system users, their passwords behind PAM */
extern const struct account_source source_passwd_file;	/* ftpcluster's .passwd */
extern const struct account_source source_external;	/* a program behind a socket */
extern const struct account_source source_database;	/* tables in SQLite */
#ifdef HAVE_PQ
extern const struct account_source source_postgresql;	/* the same tables in PostgreSQL */
#endif

/*
 * Those that a program links although they bring libraries of their own, ended by NULL
 * (account/linked.c).  Who does not, such as the monitor, loads them when they are configured.
 */
extern const struct account_source *const account_sources_linked[] __attribute__((weak));

/*
 * What system users must satisfy beyond the rules for all accounts:
 * ftpusers_file, valid shell, allowed and rejected users.  REASON_NONE: fine.
 */
enum account_reason source_system_rules(const struct account_query *, const struct account *);

/* The hashes of shadow(5): hashes() and stamp() of every source of system users. */
int source_shadow_hashes(void *state, const struct account_query *, void (*each)(const char *hash));
uint64_t source_shadow_stamp(void *state, const struct account_query *);

/*
 * Looks the name up in the name service; flags, origin and home of a system user.  The account's name
 * becomes the one that the name service has, whatever spelling of it the client chose.
 */
enum account_result source_find_system_user(const struct account_query *, struct account *, enum account_reason *why);

#endif
