/* Names that are told to clients as addresses (passive_address): looked up here, where nothing else is at stake. */
#include "config.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/ctl.h"
#include "ctl/nobody.h"
#include "ctl/resolve.h"

int
resolve(const char *name, struct addr *v4, struct addr *v6)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *i;
	int r = getaddrinfo(name, NULL, &hints, &list);

	*v4 = *v6 = (struct addr){ .sa.sa_family = AF_UNSPEC };
	if (r != 0)
		return r;
	for (i = list; i != NULL; i = i->ai_next) {
		struct addr a, *to;

		if (addr_from(&a, i->ai_addr, i->ai_addrlen) != 0)
			continue;
		to = a.sa.sa_family == AF_INET ? v4 : v6;
		if (to->sa.sa_family == AF_UNSPEC)
			*to = a;
	}
	freeaddrinfo(list);
	return v4->sa.sa_family == AF_UNSPEC && v6->sa.sa_family == AF_UNSPEC ? EAI_NONAME : 0;
}

static void
check_settings(struct conf *conf, const struct conf_resolved *r)
{
	const struct addr_map *map = &r->s.passive_address;
	const struct conf_origin *o = &r->origin[K_passive_address];

	for (size_t i = 0; i < map->n; i++) {
		const char *name = map->v[i].target;
		struct addr a, b;
		char what[600];
		int e = addr_parse(&a, name, 0) == 0 ? 0 : resolve(name, &a, &b);

		(void)str_format(what, sizeof what, "%.300s cannot be looked up: %s", name, gai_strerror(e));
		if (e != 0 && !ctl_problem_known(conf, o->file, o->line, what))
			conf_problem_add(conf, CONF_WARNING, o->file, o->line, "passive_address", what,
			    "correct it, or the name service; until then clients are told the address that they are connected to");
	}
}

void
resolve_check(struct conf *conf)
{
	const struct conf_section *l = conf_section_next(conf, SC_LISTENER, NULL);

	do {
		const struct conf_subject subject = { .listener = l == NULL ? NULL : conf_section_name(l) };
		struct conf_resolved r;

		if (conf_resolve(conf, &subject, &r) != 0)
			continue;
		check_settings(conf, &r);
		conf_resolved_free(&r);
	} while (l != NULL && (l = conf_section_next(conf, SC_LISTENER, l)) != NULL);
}

int
resolve_command(struct invocation *inv)
{
	int result = CTL_OK;

	/* Answers of the network are taken apart by a process that owns nothing. */
	if (!nobody_become(false))
		return ctl_fail(inv, CTL_FAILED, "privileges cannot be dropped");
	for (int i = 0; i < inv->argc; i++) {
		char text[2][ADDR_TEXT_MAX];
		struct addr v4, v6;
		int r = resolve(inv->argv[i], &v4, &v6);

		if (r != 0) {
			printf("%s ! %s\n", inv->argv[i], gai_strerror(r));
			result = CTL_NO;
			continue;
		}
		printf("%s %s %s\n", inv->argv[i], addr_host(text[0], &v4), addr_host(text[1], &v6));
	}
	return result;
}
