#include "config.h"

#include <string.h>

#include "common/exitcode.h"
#include "daemon/agent/ratio.h"
#include "tests/unit/agent.h"

/* Downloads what is left of the file; the agent is told that so many bytes were sent. */
static void
fetch(const char *path, uint64_t sent)
{
	struct msg_finish f = { .complete = 1, .bytes = sent };

	expect_path(MSG_RETRIEVE, path, MSG_READING);
	tell(MSG_FINISH, &f);
}

START_TEST(downloads_follow_uploads)
{
	struct msg_retrieve rest = { .path = "big", .offset = 5 };

	agent_test_make();
	make_file("big", "0123456789a");
	make_file("ten", "0123456789");
	make_file("empty", "");
	at->settings = "ratio_up=1\nratio_down=5\n";
	agent_test_start();
	fetch("empty", 0);
	expect_path_failed(MSG_RETRIEVE, "ten", FAIL_QUOTA, 0);
	ck_assert_int_eq(put_file("up", 0, "xy", true), MSG_DONE);
	expect_path_failed(MSG_RETRIEVE, "big", FAIL_QUOTA, 0);
	ck_assert_ptr_nonnull(strstr(at->reply.failed.text, "1:5"));
	ck_assert_ptr_nonnull(strstr(at->reply.failed.text, "10 bytes are left"));
	fetch("ten", 4);	/* broken off: only what was sent counts */
	expect(MSG_RETRIEVE, &rest, MSG_READING);
	tell(MSG_FINISH, &(struct msg_finish){ .complete = 1, .bytes = 6 });
	expect_path_failed(MSG_RETRIEVE, "up", FAIL_QUOTA, 0);
	ck_assert_ptr_nonnull(strstr(at->reply.failed.text, " 0 bytes are left"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(half_a_ratio_is_none)
{
	static const char *const halves[] = { "ratio_up=1\n", "ratio_down=1\n", "ratio_up=0\nratio_down=0\n" };

	for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
		agent_test_make();
		make_file("f", "12345");
		at->settings = halves[i];
		agent_test_start();
		fetch("f", 5);
		agent_test_end(SP_EXIT_OK);
	}
}
END_TEST

START_TEST(sums_stay_in_bounds)
{
	static struct settings set;
	static struct agent a = { .set = &set };

	set.ratio_up = 3;
	set.ratio_down = 2;
	ratio_add(&a.uploaded, 5);
	ck_assert_int_eq(ratio_check(&a, 3), 0);
	ck_assert_int_ne(ratio_check(&a, 4), 0);
	ratio_add(&a.downloaded, 100);	/* the file grew meanwhile */
	ck_assert_int_eq(ratio_check(&a, 0), 0);
	ck_assert_int_ne(ratio_check(&a, 1), 0);
	ratio_add(&a.uploaded, UINT64_MAX);
	ck_assert_uint_eq(a.uploaded, UINT64_MAX);
	set.ratio_down = 1000000;
	ck_assert_int_eq(ratio_check(&a, UINT64_MAX - 100), 0);
}
END_TEST

Suite *
agent_ratio_suite(void)
{
	Suite *s = suite_create("ratio");
	TCase *t = tcase_create("ratio");

	tcase_add_test(t, downloads_follow_uploads);
	tcase_add_test(t, half_a_ratio_is_none);
	tcase_add_test(t, sums_stay_in_bounds);
	suite_add_tcase(s, t);
	return s;
}
