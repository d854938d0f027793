#include "config.h"

#include <string.h>
#include <time.h>

#include "daemon/agent/match.h"
#include "tests/unit/agent.h"

static const struct {
	const char *pattern, *name;
	bool match;
} rows[] = {
	{ "", "", true }, { "", "a", false }, { "a", "a", true }, { "a", "b", false }, { "a", "ab", false },
	{ "*", "", true }, { "*", "abc", true }, { "*", ".a", false }, { ".*", ".a", true }, { "?a", ".a", false },
	{ "*.c", "x.c", true }, { "*.c", "x.h", false }, { "*.c", ".c", false }, { "a*b*c", "aXbYc", true },
	{ "a*b*c", "abcb", false }, { "a**b", "ab", true }, { "?", "a", true }, { "?", "", false },
	{ "[abc]", "b", true }, { "[abc]", "d", false }, { "[a-c]x", "bx", true }, { "[a-c]x", "dx", false },
	{ "[!a-c]", "d", true }, { "[!a-c]", "a", false }, { "[^a]", "b", true }, { "[]]", "]", true },
	{ "[!]]", "]", false }, { "[a", "[a", true }, { "[a-]", "-", true }, { "\\*", "*", true },
	{ "\\*", "a", false }, { "\\", "\\", true }, { "[\\]", "\\", true }, { "\xc3\xa4*", "\xc3\xa4x", true },
	{ "[a-", "[a-", true }, { "*[", "x[", true }, { "\\.a", ".a", true },
};

START_TEST(rows_hold)
{
	bool got = match_name(rows[_i].pattern, rows[_i].name);

	ck_assert_msg(got == rows[_i].match, "'%s' and '%s'", rows[_i].pattern, rows[_i].name);
}
END_TEST

/* What takes an exponential matcher hours is done at once. */
START_TEST(stars_cost_little)
{
	char pattern[256], name[256];

	for (size_t i = 0; i + 1 < sizeof pattern; i += 2)
		memcpy(pattern + i, "a*", 2);
	pattern[254] = 'b';
	pattern[255] = '\0';
	memset(name, 'a', 255);
	name[255] = '\0';
	ck_assert(!match_name(pattern, name));
	ck_assert_int_lt(clock() / CLOCKS_PER_SEC, 20);
}
END_TEST

START_TEST(patterns_are_known)
{
	ck_assert(match_is_pattern("a*") && match_is_pattern("?") && match_is_pattern("x[y]"));
	ck_assert(!match_is_pattern("plain") && !match_is_pattern("back\\slash") && !match_is_pattern(""));
}
END_TEST

Suite *
agent_match_suite(void)
{
	Suite *s = suite_create("agent: wild cards");
	TCase *c = tcase_create("wild cards");

	tcase_add_loop_test(c, rows_hold, 0, sizeof rows / sizeof rows[0]);
	tcase_add_test(c, stars_cost_little);
	tcase_add_test(c, patterns_are_known);
	suite_add_tcase(s, c);
	return s;
}
