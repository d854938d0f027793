/*
 * A container that refuses some system calls, for tests: executes a command below a filter of its own.
 *
 * usage: roles-deny CALL[@ARGUMENT]=ERRNO ... -- COMMAND [ARGUMENT ...]
 *
 *   ARGUMENT  the call is refused only where its first argument has this value
 *   ERRNO     its number; 0: the process is killed
 */
#include "config.h"

#include <err.h>
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
deny(scmp_filter_ctx ctx, char *rule)
{
	char *error = strchr(rule, '='), *argument;
	struct scmp_arg_cmp is = { 0, SCMP_CMP_EQ, 0, 0 };
	int call, number;

	if (error == NULL)
		errx(64, "%s: CALL[@ARGUMENT]=ERRNO is wanted", rule);
	*error++ = '\0';
	argument = strchr(rule, '@');
	if (argument != NULL) {
		*argument++ = '\0';
		is.datum_a = strtoull(argument, NULL, 0);
	}
	call = seccomp_syscall_resolve_name(rule);
	if (call == __NR_SCMP_ERROR)
		errx(64, "%s: there is no such call", rule);
	number = atoi(error);
	return seccomp_rule_add_array(
	    ctx, number == 0 ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO((uint16_t)number), call, argument != NULL, &is);
}

int
main(int argc, char **argv)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int i = 1, r = ctx == NULL ? -ENOMEM : 0;

	/* As a container manager does, without taking set-user-ID programs away where it may. */
	if (r == 0 && geteuid() == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	for (; r == 0 && i < argc && strcmp(argv[i], "--") != 0; i++)
		r = deny(ctx, argv[i]);
	if (r == 0)
		r = seccomp_load(ctx);
	if (r != 0)
		errx(71, "%s", strerror(-r));
	seccomp_release(ctx);
	if (i + 1 >= argc)
		errx(64, "no command");
	execvp(argv[i + 1], argv + i + 1);
	err(71, "%s", argv[i + 1]);
}
