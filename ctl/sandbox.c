/* sallyctl sandbox: what each process is and may be, from the tables that also make it so. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

#include "ctl/ctl.h"
#include "privsep/role.h"
#include "privsep/sandbox.h"

enum { W = 1 << 0, A = 1 << 1, M = 1 << 2, K = 1 << 3, L = 1 << 4, C = 1 << 5, S = 1 << 6,
	V = 1 << 7 };

static const struct {
	unsigned bit;
	enum msg_role role;
} roles[] = {
	{ L, ROLE_LISTENER }, { M, ROLE_MONITOR }, { W, ROLE_WORKER }, { A, ROLE_AGENT }, { K, ROLE_KEEPER },
	{ C, ROLE_CLERK }, { S, ROLE_STARTER }, { V, ROLE_VERIFIER },
};

#define ROLES (sizeof(roles) / sizeof(roles[0]))

static const struct {
	const char *call;
	unsigned roles;
	const char *until, *arguments, *reason;
} calls[] = {
#define SYS(call, roles, until, arguments, reason) { #call, roles, #until, #arguments, reason },
#define REFUSE(call, error, reason)
#define FORBID(call, strictness, reason)
#include "privsep/syscalls.def"
#undef SYS
#undef REFUSE
#undef FORBID
};

static const struct {
	const char *call, *what, *reason;
} refused[] = {
#define SYS(call, roles, until, arguments, reason)
#define REFUSE(call, error, reason) { #call, #error, reason },
#define FORBID(call, strictness, reason) { #call, "killed", reason },
#include "privsep/syscalls.def"
#undef SYS
#undef REFUSE
#undef FORBID
};

static const char *const filters[] = {
	[FILTER_NONE] = "none", [FILTER_LIST] = "listed calls", [FILTER_LESS] = "fewer calls",
	[FILTER_BROAD] = "all but forbidden calls"
};

static const char *
phase_word(const char *until)
{
	return *until == 'T' ? "template" : *until == 'S' ? "login" : "ever";
}

static void
caps_json(struct json *j, uint64_t caps)
{
	char *name;

	json_open(j, "capabilities", '[');
	for (int cap = 0; cap_valid(cap); cap++)
		if ((caps & UINT64_C(1) << cap) != 0 && (name = cap_to_name(cap)) != NULL) {
			json_str(j, NULL, name);
			cap_free(name);
		}
	json_close(j);
}

static void
role_json(struct json *j, const struct role_row *r)
{
	json_open(j, NULL, '{');
	json_str(j, "role", r->name);
	json_str(j, "program", r->program);
	json_str(j, "doc", r->doc);
	json_bool(j, "empty_root", (r->flags & ROLE_EMPTY_ROOT) != 0);
	json_bool(j, "empty_network", (r->flags & ROLE_EMPTY_NET) != 0);
	json_unsigned(j, "files", r->files);
	json_unsigned(j, "memory_mib", r->memory);
	json_open(j, "phases", '[');
	for (int p = 0; p < PHASE_COUNT; p++) {
		json_open(j, NULL, '{');
		json_str(j, "phase", role_phase_name((enum role_phase)p));
		json_str(j, "user", role_user_name(r->user[p]));
		caps_json(j, r->caps[p]);
		json_str(j, "filter", filters[r->filter[p]]);
		json_close(j);
	}
	json_close(j);
	json_close(j);
}

static int
print_json(const struct invocation *inv)
{
	struct json j;

	json_init(&j);
	json_open(&j, NULL, '{');
	json_open(&j, "roles", '[');
	for (size_t i = 0; i < ROLES; i++)
		role_json(&j, role_row(roles[i].role));
	json_close(&j);
	json_open(&j, "syscalls", '[');
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "call", calls[i].call);
		json_open(&j, "roles", '[');
		for (size_t r = 0; r < ROLES; r++)
			if ((calls[i].roles & roles[r].bit) != 0)
				json_str(&j, NULL, role_row(roles[r].role)->name);
		json_close(&j);
		json_str(&j, "until", phase_word(calls[i].until));
		json_str(&j, "arguments", calls[i].arguments);
		json_str(&j, "reason", calls[i].reason);
		json_close(&j);
	}
	json_close(&j);
	json_open(&j, "refused", '[');
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "call", refused[i].call);
		json_str(&j, "with", refused[i].what);
		json_str(&j, "reason", refused[i].reason);
		json_close(&j);
	}
	json_close(&j);
	json_close(&j);
	return ctl_print_json(inv, &j);
}

static void
print_caps(uint64_t caps)
{
	char *name;
	int n = 0;

	for (int cap = 0; cap_valid(cap); cap++)
		if ((caps & UINT64_C(1) << cap) != 0 && (name = cap_to_name(cap)) != NULL) {
			printf("%s%s", n++ > 0 ? "," : "", name);
			cap_free(name);
		}
	printf("%s\n", n == 0 ? "none" : "");
}

static void
print_role(const struct role_row *r)
{
	printf("%s (%s)%s%s\n  %s\n", r->name, r->program, (r->flags & ROLE_EMPTY_ROOT) != 0 ? ", empty root" : "",
	    (r->flags & ROLE_EMPTY_NET) != 0 ? ", empty network" : "", r->doc);
	for (int p = 0; p < PHASE_COUNT; p++) {
		printf("  %-9s user %-12s filter %-24s capabilities ", role_phase_name((enum role_phase)p),
		    role_user_name(r->user[p]), filters[r->filter[p]]);
		print_caps(r->caps[p]);
	}
	putchar('\n');
}

int
sandbox_command(struct invocation *inv)
{
	if (inv->json)
		return print_json(inv);
	for (size_t i = 0; i < ROLES; i++)
		print_role(role_row(roles[i].role));
	sandbox_print(stdout);
	return CTL_OK;
}
