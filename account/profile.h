/*
 * What follows from an account for its session: who it is in permission languages, which rules it has, where its
 * root lies and where it starts.  The monitor tells its agent, and sallyctl asks itself: both from here, for the
 * same answers.
 */
#ifndef ACCOUNT_PROFILE_H
#define ACCOUNT_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "account/account.h"
#include "common/conf.h"

/* The account's number in ftpcluster's sense: its source's, that of cluster_uid, or its Unix user's. */
uint32_t profile_dialect_uid(const struct account *);

/*
 * A layer in front of the account's own: anonymous clients read, unless somebody wrote a policy for them. NULL:
 * none.
 */
const struct conf_layer *profile_guest_layer(const struct conf *, const struct account *);

/*
 * Group sections first, then Unix groups where a layer asks for these, separated by commas: the languages ask for
 * either by name.  What does not fit is left out.
 */
void profile_group_names(const struct account *, char *out, size_t size);

/*
 * The folder of the account as its settings or its source have it; root: the folder that it sees as "/", start:
 * where it begins, below that.  Each of size bytes. 0, -ENOENT when there is no folder or it is no absolute path,
 * or a code of account_expand().
 */
int profile_places(const struct account *, char *home, char *root, char *start, size_t size);

#endif
