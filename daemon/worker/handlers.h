/*
 * Declarations of all handlers of the table: verb_<handler> and site_<handler>.
 */
#ifndef WORKER_HANDLERS_H
#define WORKER_HANDLERS_H

#include "daemon/worker/verbs.h"

#define VERB(NAME, handler, states, argument, messages, syntax, feature, if_, doc) verb_handler verb_##handler;
#define ALIAS(text, NAME)
#define FEATURE(text, doc)
#include "daemon/worker/verbs.def"
#undef VERB
#undef ALIAS
#undef FEATURE

#define SITE(NAME, handler, argument, messages, syntax, if_, doc) verb_handler site_##handler;
#define SITE_ALIAS(text, NAME)
#include "daemon/worker/sites.def"
#undef SITE
#undef SITE_ALIAS

#endif
