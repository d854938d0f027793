#include "config.h"

#include <sys/capability.h>

#include "privsep/role.h"

static void
print_caps(FILE *out, uint64_t caps)
{
	const char *between = "";

	if (~caps == 0 || caps == 0) {
		fputs(caps == 0 ? "none" : "all", out);
		return;
	}
	for (int c = 0; c < 64; c++) {
		char *name;

		if ((caps & UINT64_C(1) << c) == 0 || (name = cap_to_name(c)) == NULL)
			continue;
		fprintf(out, "%s%s", between, name);
		between = " ";
		cap_free(name);
	}
}

void
role_print(FILE *out)
{
	static const char *const filters[] = { "as before", "listed calls only", "fewer calls", "all but forbidden calls" };

	for (int role = ROLE_ANY; role <= ROLE_CTL; role++) {
		const struct role_row *r = role_row((enum msg_role)role);

		if (r == NULL)
			continue;

		fprintf(out, "%s (%s)\n    %s\n", r->name, r->program, r->doc);
		for (int p = 0; p < PHASE_COUNT; p++) {
			fprintf(out, "    %-9s user %-13s filter: %s; capabilities: ", role_phase_name((enum role_phase)p),
			    role_user_name(r->user[p]), filters[r->filter[p]]);
			print_caps(out, r->caps[p]);
			putc('\n', out);
		}
		fprintf(out, "    %s%sdescriptors: %u%s; memory: %u%s\n\n", (r->flags & ROLE_EMPTY_ROOT) != 0 ? "empty root; " : "",
		    (r->flags & ROLE_EMPTY_NET) != 0 ? "empty network namespace; " : "", r->files,
		    r->files == 0 ? " (as the server's)" : "", r->memory, r->memory == 0 ? " (as the server's)" : " MiB");
	}
}
