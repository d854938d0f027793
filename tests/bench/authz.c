/*
 * authz [SECONDS]: what one decision costs, with 1, 100 and 10,000 rules of
 * each language, on short and long paths, when the first, the last or no rule
 * matches.  A line a case: nanoseconds a decision (the best of several rounds,
 * so that a busy machine does not count).  With --check it exits 1 when the
 * allow path with 100 literal or simple rules is over its budget.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "authz/authz.h"

#define BUDGET_NS 1000.0
#define ROUNDS 7

struct text {
	char *s;
	size_t len;
};

static void
add(struct text *t, const char *line)
{
	size_t n = strlen(line);

	t->s = realloc(t->s, t->len + n + 1);
	memcpy(t->s + t->len, line, n + 1);
	t->len += n;
}

/* ------------------------------------------------------------ rules by number */

static void
make_pyftpdlib(struct text *t, unsigned n)
{
	char line[128];

	add(t, "elr\n");
	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "override customers/c%05u/in elradfmwMT recursive\n", i);
		add(t, line);
	}
}

static void
make_literal(struct text *t, unsigned n)
{
	char line[128];

	add(t, "allow-read\n");
	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "/customers/c%05u/in/file.dat, allow-full-control\n", i);
		add(t, line);
	}
}

static void
make_prefix(struct text *t, unsigned n)
{
	char line[128];

	add(t, "allow-read\n");
	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line),
		    i % 3 == 2 ? "*.x%05u, allow-write\n" : "/customers/c%05u/in/*, allow-full-control\n", i);
		add(t, line);
	}
}

static void
make_glob(struct text *t, unsigned n)
{
	char line[128];

	add(t, "allow-read\n");
	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "*/c%05u/*/file.d?t*, allow-full-control\n", i);
		add(t, line);
	}
}

static void
make_regex(struct text *t, unsigned n)
{
	char line[128];

	add(t, "allow-read\n");
	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "m/^.customers.c%05u.in.[a-z]+\\.dat$/, allow-full-control\n", i);
		add(t, line);
	}
}

static void
make_ups(struct text *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		add(t, i % 2 ? "-rM\n" : "+* -Luo\n");
	add(t, "+*\n");
}

static void
make_cluster(struct text *t, unsigned n)
{
	(void)n;
	add(t, "");
}

/* A tree whose root holds one control file with n lines; it never changes. */
static unsigned control_lines;

static int
tree_control(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	(void)context;
	(void)name;
	if (strcmp(folder, "/customers") != 0)
		return -ENOENT;
	found->inode = 1;
	if (known && known->inode == 1)
		return 1;
	*len = 0;
	for (unsigned i = 0; i < control_lines && *len + 32 < AUTHZ_CONTROL_MAX; i++)
		*len += (size_t)snprintf(text + *len, AUTHZ_CONTROL_MAX - *len, "%u lr\n", i + 5000);
	*len += (size_t)snprintf(text + *len, AUTHZ_CONTROL_MAX - *len, "1000 lrwdmsn\n");
	return 0;
}

static int
tree_owner(void *context, const char *path, uint32_t *owner)
{
	(void)context;
	(void)path;
	*owner = AUTHZ_NOBODY;
	return 0;
}

/* -------------------------------------------------------------------- measuring */

static volatile unsigned long sink;

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double
measure(struct authz_policy *p, const char *path)
{
	struct authz_object o = { .path = path, .kind = AUTHZ_FILE };
	struct authz_verdict v;
	double best = 1e18;
	unsigned long repeat = 20;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns(), took;

		for (unsigned long i = 0; i < repeat; i++)
			sink += authz_decide(p, AUTHZ_OP_RETR, &o, &v);
		took = now_ns() - start;
		if (took / (double)repeat < best)
			best = took / (double)repeat;
		if (took < 5e6)
			repeat *= 8;
	}
	return best;
}

static const struct language {
	const char *name, *dialect;
	void (*make)(struct text *, unsigned n);
	bool simple;			/* the budget holds */
} languages[] = {
	{ "pyftpdlib", "pyftpdlib", make_pyftpdlib, true },
	{ "sftpplus literal", "sftpplus", make_literal, true },
	{ "sftpplus prefix+suffix", "sftpplus", make_prefix, true },
	{ "sftpplus any glob", "sftpplus", make_glob, false },
	{ "sftpplus regex", "sftpplus", make_regex, false },
	{ "ups", "ups", make_ups, true },
	{ "ftpcluster", "ftpcluster", make_cluster, true },
};

static int
bench(const struct language *l, unsigned n, const char *where, const char *path)
{
	struct authz_subject who = { .user = "bench", .dialect_uid = 1000 };
	struct authz_tree tree = { NULL, tree_control, tree_owner, NULL, NULL };
	struct text t = { NULL, 0 };
	struct authz_source source = {
		.dialect = l->dialect, .file = "bench", .line = 1, .scope = AUTHZ_SCOPE_ACCOUNT
	};
	struct authz_policy *p;
	double start, compiled, ns;
	bool over;

	l->make(&t, n);
	source.text = t.s;
	control_lines = n;
	start = now_ns();
	p = authz_compile(&source, 1, &who, &tree, NULL);
	compiled = now_ns() - start;
	ns = measure(p, path);
	over = l->simple && n <= 100 && strlen(path) < 200 && ns > BUDGET_NS;
	printf("%-24s %6u rules  %-10s %9.0f ns  (compiled in %8.1f us)%s\n", l->name, n, where, ns, compiled / 1e3,
	    over ? "  OVER BUDGET" : "");
	authz_free(p);
	free(t.s);
	return over;
}

int
main(int argc, char **argv)
{
	static const unsigned sizes[] = { 1, 100, 10000 };
	static char deep[4096];
	int over = 0;

	for (size_t n = 0; n < 3900; n = strlen(deep))
		snprintf(deep + n, sizeof(deep) - n, n ? "/a-folder-of-a-long-path" : "/customers/c00000/in");
	snprintf(deep + strlen(deep), sizeof(deep) - strlen(deep), "/file.dat");
	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			char last[128];

			snprintf(last, sizeof(last), "/customers/c%05u/in/file.dat", sizes[k] - 1);
			over |= bench(&languages[i], sizes[k], "first", "/customers/c00000/in/file.dat");
			over |= bench(&languages[i], sizes[k], "last", last);
			over |= bench(&languages[i], sizes[k], "none", "/elsewhere/readme.txt");
			bench(&languages[i], sizes[k], "long path", deep);
		}
	return argc > 1 && strcmp(argv[1], "--check") == 0 ? over : 0;
}
