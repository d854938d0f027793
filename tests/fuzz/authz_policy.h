/*
 * What the fuzz targets of rule languages share.  The input is the text of a
 * layer, up to a NUL; what follows the NUL is a path.
 */
#ifndef TESTS_FUZZ_AUTHZ_POLICY_H
#define TESTS_FUZZ_AUTHZ_POLICY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authz/authz.h"
#include "common/log.h"

static void
fuzz_silent(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context;
	(void)level;
	(void)text;
	(void)len;
}

/* Asks everything about one path; a denial must have a reason, and rights must agree with decisions. */
static inline void
fuzz_ask(struct authz_policy *p, const char *path)
{
	for (int kind = 0; kind < AUTHZ_KINDS; kind++) {
		struct authz_object o = { .path = path, .kind = kind };
		uint32_t rights = authz_rights(p, &o);
		struct authz_verdict v;
		char why[256];

		for (int op = 0; op < AUTHZ_OP_COUNT; op += 3) {
			if (authz_op_session(op))
				continue;
			if (!authz_decide(p, op, &o, &v) && strlen(authz_reason(p, &o, &v, why, sizeof(why))) == 0)
				abort();
			if (v.allow && authz_need(op, kind)->n == 1 && (authz_need(op, kind)->alt[0] & ~rights))
				abort();
		}
	}
}

static inline int
fuzz_layer(const char *dialect, const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), path[4096];
	struct authz_source source = { .dialect = dialect, .text = text, .file = "f", .line = 1, .scope = AUTHZ_SCOPE_ACCOUNT };
	static const char *const groups[] = { "staff", "users" };
	struct authz_subject who = { .user = "b*b.", .dialect_uid = 1003, .group_names = groups, .group_name_count = 2, .home = "/home/b" };
	struct authz_problems problems = { 0 };
	struct authz_policy *p;
	size_t len, rest;

	log_set_sink(fuzz_silent, NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	len = strlen(text);
	rest = len < size ? size - len - 1 : 0;
	if (rest > sizeof(path) - 2)
		rest = sizeof(path) - 2;
	path[0] = '/';
	memcpy(path + 1, text + (rest ? len + 1 : 0), rest);
	path[rest + 1] = '\0';
	p = authz_compile(&source, 1, &who, NULL, &problems);
	if (p) {
		fuzz_ask(p, path);
		fuzz_ask(p, "/inbox/x");
	}
	authz_free(p);
	authz_problems_clear(&problems);
	free(text);
	return 0;
}

#endif
