/* What other commands ask the running server. */
#ifndef CTL_SERVER_H
#define CTL_SERVER_H

#include "ctl/ctl.h"

/*
 * Sends one command (arguments: one a line) and collects its answer in JSON.  The exit code that the server gave with
 * *text, which is the caller's to free(3); or a negative code where there was no answer. Nothing is printed.
 */
int server_ask(const struct invocation *, const char *verb, const char *arguments, char **text);
/* Says why the server could not be asked; the exit code. */
int server_unreachable(const struct invocation *, int code);

#endif
