/* For programs that link the sources with libraries of their own instead of loading them: sallyctl, tests. */
#include "config.h"

#include <stddef.h>

#include "account/source.h"

const struct account_source *const account_sources_linked[] = {
	&source_database,
#ifdef HAVE_PQ
	&source_postgresql,
#endif
	NULL
};
