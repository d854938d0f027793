/* sallyport-privsep(7) and sallyport-security(7), from privsep/. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "man/mdoc.h"
#include "privsep/msg.h"
#include "privsep/part.h"
#include "privsep/role.h"

enum { W = 1, A = 2, M = 4, K = 8, L = 16, C = 32, V = 64 };
enum { T, S, E };

static const struct { unsigned bit; const char *name; } letters[] = {
	{ L, "listener" }, { W, "worker" }, { A, "agent" }, { M, "monitor" }, { K, "keeper" }, { C, "clerk" },
	{ V, "verifier" },
};

static const struct call { const char *name; unsigned roles; int until; const char *arguments, *reason; } calls[] = {
#define SYS(call, roles, until, arguments, reason) { #call, roles, until, #arguments, reason },
#define REFUSE(call, error, reason)
#define FORBID(call, strictness, reason)
#include "privsep/syscalls.def"
#undef SYS
#undef REFUSE
#undef FORBID
};

static const struct { const char *name, *error, *reason; } refused[] = {
#define SYS(call, roles, until, arguments, reason)
#define REFUSE(call, error, reason) { #call, #error, reason },
#define FORBID(call, strictness, reason)
#include "privsep/syscalls.def"
#undef REFUSE
#undef FORBID
};

static const struct { const char *name, *reason; } forbidden[] = {
#define REFUSE(call, error, reason)
#define FORBID(call, strictness, reason) { #call, reason },
#include "privsep/syscalls.def"
#undef SYS
#undef REFUSE
#undef FORBID
};

static const char *const untils[] = { "while a template", "until the login", "always" };

static void
print_roles(void)
{
	static const enum msg_role roles[] = { ROLE_LISTENER, ROLE_MONITOR, ROLE_WORKER, ROLE_AGENT, ROLE_KEEPER,
	    ROLE_CLERK, ROLE_VERIFIER, ROLE_STARTER };

	mdoc_list_begin("Ds");
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		const struct role_row *r = role_row(roles[i]);

		printf(".It Sy %s Pq Nm %s\n", r->name, r->program);
		mdoc_text(r->doc);
		printf("Runs as %s while starting, %s as a spare session, %s in service.\n", role_user_name(r->user[0]),
		    role_user_name(r->user[1]), role_user_name(r->user[2]));
		if ((r->flags & ROLE_EMPTY_ROOT) != 0)
			puts("Its root is an empty folder.");
		if ((r->flags & ROLE_EMPTY_NET) != 0)
			puts("Its network namespace is empty.");
	}
	mdoc_list_end();
}

static void
print_parts(void)
{
	static const char *const needs[] = {
		[NEED_ALWAYS] = "Without it the server does not start.",
		[NEED_SANDBOX] = "Without it the server starts with sandbox = best_effort only.",
		[NEED_LANDLOCK] = "Without it the server starts unless landlock = require.",
		[NEED_WARN] = "Without it the server starts.",
		[NEED_OTHERWISE] = "Another way is taken without it, and nothing is said.",
	};

	mdoc_list_begin("Ds");
	for (unsigned p = 0; p < PART_COUNT; p++) {
		const struct part_row *row = part_row((enum part)p);

		mdoc_macro("It", row->name, NULL);
		mdoc_text(needs[row->need]);
		mdoc_text(row->without);
		printf("Remedy: ");
		mdoc_text(row->remedy);
	}
	mdoc_list_end();
}

static void
print_calls(void)
{
	puts(".Bl -column \"landlock_restrict_self\" \"worker\" \"while a template\" \"reason\"");
	puts(".It Sy call Ta Sy process Ta Sy when Ta Sy reason");
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		printf(".It %s Ta", calls[i].name);
		for (size_t j = 0; j < sizeof letters / sizeof *letters; j++)
			if ((calls[i].roles & letters[j].bit) != 0)
				printf(" %s", letters[j].name);
		printf(" Ta %s Ta %s%s\n", untils[calls[i].until], calls[i].reason,
		    strcmp(calls[i].arguments, "ANY") == 0 ? "" : " (certain arguments only)");
	}
	puts(".El");
}

static void
print_refused(void)
{
	mdoc_list_begin("set_robust_list");
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		mdoc_macro("It Fn", refused[i].name, NULL);
		printf("fails with\n.Er %s :\n", refused[i].error);
		mdoc_text(refused[i].reason);
	}
	mdoc_list_end();
}

static void
print_forbidden(void)
{
	mdoc_list_begin("io_uring_register");
	for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
		mdoc_macro("It Fn", forbidden[i].name, NULL);
		mdoc_text(forbidden[i].reason);
	}
	mdoc_list_end();
}

static const char *const channels[] = {
	[CH_TEMPLATE] = "listener and a template",
	[CH_SESSION] = "listener and a monitor",
	[CH_LOGIN] = "monitor and worker, until the login",
	[CH_LOG] = "worker to monitor, one way",
	[CH_AGENT] = "monitor and agent",
	[CH_FILES] = "worker and agent",
	[CH_SIGN] = "worker and keeper",
	[CH_KEEPER] = "listener and keeper",
	[CH_CONTROL] = "sallyctl and listener",
	[CH_START] = "listener and starter",
	[CH_LINK] = "the old and the new generation of a server",
	[CH_ANY] = "answers on any channel",
};

static void
print_messages(void)
{
	for (unsigned c = 0; c < sizeof channels / sizeof *channels; c++) {
		mdoc_macro("Ss Between", channels[c], NULL);
		mdoc_list_begin("Ds");
		for (unsigned t = 1; msg_row(t) != NULL; t++)
			if (msg_row(t)->channel == c) {
				mdoc_macro("It", msg_name(t), NULL);
				mdoc_text(msg_row(t)->doc);
			}
		mdoc_list_end();
	}
}

const struct generator role_generators[] = {
	{ "ROLES", print_roles },
	{ "PARTS", print_parts },
	{ "SYSCALLS", print_calls },
	{ "REFUSED_SYSCALLS", print_refused },
	{ "FORBIDDEN_SYSCALLS", print_forbidden },
	{ "MESSAGES", print_messages },
	{ NULL, NULL },
};
