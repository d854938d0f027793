/* The matchers: globs against a slow and simple one, the index against trying all, bounded work. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "authz/glob.h"
#include "authz/regex.h"
#include "authz/ruleindex.h"
#include "authz/authz.h"
#include "common/arena.h"
#include "tests/unit/authz.h"

static struct arena *arena;

static void
setup(void)
{
	arena = arena_new();
}

static void
teardown(void)
{
	arena_free(arena);
}

static bool
glob(const char *pattern, const char *path)
{
	struct glob g;
	const char *at;
	char folded[512];

	ck_assert_ptr_null(glob_compile(arena, (struct span){ pattern, strlen(pattern) }, "Bob", &g, &at));
	text_fold(folded, path, strlen(path));
	return glob_match(&g, folded, strlen(path));
}

static const struct {
	const char *pattern, *path;
	bool match;
} globs[] = {
	{ "/a", "/a", true }, { "/a", "/A", true }, { "/a", "/ab", false }, { "/a*", "/a", true }, { "/a*", "/a/b/c", true },
	{ "*.txt", "/x/y.TXT", true }, { "*.txt", "/x.txt.gz", false }, { "*", "/", true }, { "?", "/", true }, { "??", "/", false },
	{ "/*/*", "/a/b", true }, { "/*/*", "/a", false }, { "/a?c", "/a/c", true }, { "/a?c", "/a\nc", true },
	{ "/[ab]x", "/ax", true }, { "/[ab]x", "/cx", false }, { "/[!ab]x", "/cx", true }, { "/[!ab]x", "/Ax", false },
	{ "/[]]x", "/]x", true }, { "/[a-c]", "/B", true }, { "/[A-C]", "/b", true }, { "/[*]", "/*", true }, { "/[*]", "/a", false },
	{ "/[ab", "/[ab", true }, { "/[", "/[", true }, { "/a|/b", "/b", true }, { "/a | /b", "/b", true }, { "!/a|/b", "/b", false },
	{ "! /a|/b", "/c", true }, { "/[|]", "/|", true }, { "/${USER}", "/bob", true }, { "/${USER}/*", "/BOB/x", true },
	{ "/[${USER}]", "/o", true }, { "/[${USER}]", "/$", false }, { "*a*b*c", "/xaybzc", true }, { "*a*b*c", "/xaybz", false },
	{ "**", "/", true }, { "/a**b", "/ab", true }, { "*/x/*", "/x/", true }, { "a*a", "a", false }, { "aa", "a", false },
	{ "/\xd0\x96*", "/\xd0\xb6uk", true }, { "/[\xc3\x84]", "/\xc3\xa4", true }, { "/\xce\xa9", "/\xcf\x89", true },
	{ "/\xc5\xbd", "/\xc5\xbe", true }, { "/?", "/\xe2\x82\xac", true }, { "/?", "/\xff", true },
};

START_TEST(globs_match)
{
	ck_assert_msg(glob(globs[_i].pattern, globs[_i].path) == globs[_i].match, "%s %s", globs[_i].pattern, globs[_i].path);
}
END_TEST

/* The definition, taken literally. */
static bool
slow(const char *p, const char *s)
{
	if (*p == '\0')
		return *s == '\0';
	if (*p == '*')
		return slow(p + 1, s) || (*s && slow(p, s + 1));
	return *s && (*p == '?' || *p == *s) && slow(p + 1, s + 1);
}

START_TEST(globs_agree_with_the_definition)
{
	unsigned seed = 42;

	for (int i = 0; i < 60000; i++) {
		char pattern[12], path[14];
		size_t n = 1 + (size_t)rand_r(&seed) % 9, m = (size_t)rand_r(&seed) % 12;

		for (size_t k = 0; k < n; k++)
			pattern[k] = "ab/*?*"[rand_r(&seed) % 6];
		for (size_t k = 0; k < m; k++)
			path[k] = "ab/"[rand_r(&seed) % 3];
		pattern[n] = path[m] = '\0';
		ck_assert_msg(glob(pattern, path) == slow(pattern, path), "%s %s", pattern, path);
	}
}
END_TEST

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(exploding_glob_is_bounded)
{
	char pattern[400], path[4096];
	double start;

	for (size_t i = 0; i < 99; i++)
		memcpy(pattern + 3 * i, "a?*", 3);
	memcpy(pattern + 297, "[b]", 4);
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	start = seconds();
	struct glob g;
	const char *at;
	ck_assert_ptr_null(glob_compile(arena, (struct span){ pattern, strlen(pattern) }, "u", &g, &at));
	ck_assert(!glob_match(&g, path, strlen(path)));
	ck_assert(seconds() - start < 0.5);
}
END_TEST

/* -------------------------------------------------------------- expressions */

static enum regex_answer
search(const char *pattern, bool caseless, const char *path)
{
	struct regex *rx;
	char why[120], folded[8192];
	size_t at, len = strlen(path);
	enum regex_answer a;

	ck_assert_ptr_null(regex_compile(arena, (struct span){ pattern, strlen(pattern) }, caseless, "a.b", &rx, &at, why));
	a = regex_search(rx, path, len, text_fold(folded, path, len));
	if (a != REGEX_LIMIT && text_fold(folded, path, len)) {
		struct pairs pairs;
		struct pairs_needed need;

		pairs_collect(&pairs, folded, len);
		regex_pairs(rx, &need);
		ck_assert_msg(a == REGEX_NO || pairs_possible(&pairs, &need), "the filter loses a match: %s %s", pattern, path);
	}
	regex_free(rx);
	return a;
}

static const struct {
	const char *pattern, *path;
	bool caseless, match;
} searches[] = {
	{ "abc", "/xabcx", false, true }, { "^abc", "/abc", false, false }, { "^/a", "/a", false, true }, { "c$", "/abc", false, true },
	{ "c$", "/abc\n", false, true }, { "c\\Z", "/abc\n", false, false }, { "c\\Z", "/abc", false, true }, { "^/abc$", "/abc", false, true },
	{ "^/abc$", "/abcd", false, false }, { ".*\\.pdf", "/x.pdf.gz", false, true }, { ".*\\.pdf$", "/x.pdf", false, true },
	{ "\\.PDF$", "/x.pdf", true, true }, { "\\.PDF$", "/x.pdf", false, false }, { "a.c", "/a\nc", false, false }, { "\\d+-", "/12-x", false, true },
	{ "", "/", false, true }, { "ab+c", "/abbbc", false, true }, { "ab?c", "/ac", false, true }, { "ab*c", "/ac", false, true },
	{ "a{2}b", "/aab", false, true }, { "x{0}y", "/y", false, true }, { "[a-c]+x", "/bx", false, true }, { "[]]x", "/]x", false, true },
	{ "\\x41b", "/Ab", false, true }, { "a|b", "/b", false, true }, { "(?i)ABC", "/abc", false, true }, { "^.*$", "/a\nb", false, false },
	{ "^(?=.*x)(?!.*y)", "/x", false, true }, { "/${USER}/", "/a.b/", false, true }, { "/${USER}/", "/axb/", false, false },
	{ "\\w", "\xc3\xa4", false, true }, { "ab\\.c+d", "/ab.ccd", false, true }, { "K", "k", true, true }, { "^/\\/$", "//", false, true },
};

START_TEST(expressions_search)
{
	enum regex_answer want = searches[_i].match ? REGEX_YES : REGEX_NO;

	ck_assert_msg(search(searches[_i].pattern, searches[_i].caseless, searches[_i].path) == want, "%s", searches[_i].pattern);
}
END_TEST

START_TEST(exploding_expression_is_bounded)
{
	static const char *const patterns[] = { "(a+)+$", "(a|aa)+$", "(.*)*x\\d", "^(([a-z])+.)+[A-Z]([a-z])+$", "(?:a?){50}a{50}b" };
	char path[4000];
	double start;

	memset(path, 'a', sizeof(path) - 2);
	path[sizeof(path) - 2] = '!';
	path[sizeof(path) - 1] = '\0';
	start = seconds();
	ck_assert_int_ne(search(patterns[_i], false, path), REGEX_YES);
	ck_assert(seconds() - start < 0.5);
}
END_TEST

START_TEST(costly_rule_denies)
{
	struct authz_source source = { .dialect = "sftpplus", .text = "allow-full-control\ne/(a+)+$/, allow-full-control" };
	struct authz_subject who = { .user = "u" };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, NULL);
	char path[3000], log[8192];
	struct authz_object o = { .path = path, .kind = AUTHZ_FILE };
	struct authz_verdict v;

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 2] = '!';
	path[sizeof(path) - 1] = '\0';
	authz_tests_keep_log(log, sizeof log);
	ck_assert(!authz_decide(p, AUTHZ_OP_RETR, &o, &v));
	authz_tests_keep_log(NULL, 0);
	ck_assert_ptr_nonnull(strstr(log, "warning event=rule-too-costly rule="));
	ck_assert_ptr_nonnull(strstr(log, "(a+)+$"));
	ck_assert_ptr_nonnull(strstr(log, " effect=denied "));
	authz_free(p);
}
END_TEST

/* ------------------------------------------------------------------ the index */

START_TEST(index_agrees_with_trying_all)
{
	unsigned seed = 4711;

	for (int round = 0; round < 300; round++) {
		struct glob globs_[40];
		struct rule_index x = { 0 };
		uint32_t indexed[40] = { 0 };
		const char *at;

		ck_assert_int_eq(index_begin(&x, arena, 40), 0);
		for (uint32_t i = 0; i < 40; i++) {
			char *pattern = arena_alloc(arena, 16);
			size_t n = 1 + (size_t)rand_r(&seed) % 7;

			for (size_t k = 0; k < n; k++)
				pattern[k] = "ab/ab*?"[rand_r(&seed) % 7];
			ck_assert_ptr_null(glob_compile(arena, (struct span){ pattern, n }, "u", &globs_[i], &at));
			indexed[i] = (uint32_t)index_add(&x, arena, &globs_[i].alts[0], i);
		}
		for (int k = 0; k < 60; k++) {
			char path[10];
			size_t len = 1 + (size_t)rand_r(&seed) % 8;
			uint32_t first = 0;

			for (size_t m = 0; m < len; m++)
				path[m] = "ab/"[rand_r(&seed) % 3];
			while (first < 40 && !(indexed[first] && glob_match(&globs_[first], path, len)))
				first++;
			ck_assert_uint_eq(index_find(&x, path, len, 40), first);
		}
	}
}
END_TEST

Suite *
authz_match_suite(void)
{
	Suite *s = suite_create("authz/match");
	TCase *t = tcase_create("match");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, globs_match, 0, sizeof(globs) / sizeof(globs[0]));
	tcase_add_test(t, globs_agree_with_the_definition);
	tcase_add_test(t, exploding_glob_is_bounded);
	tcase_add_loop_test(t, expressions_search, 0, sizeof(searches) / sizeof(searches[0]));
	tcase_add_loop_test(t, exploding_expression_is_bounded, 0, 5);
	tcase_add_test(t, costly_rule_denies);
	tcase_add_test(t, index_agrees_with_trying_all);
	suite_add_tcase(s, t);
	return s;
}
