#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bucket.h"
#include "daemon/listener/claim.h"
#include "tests/unit/listener.h"

static struct claim_table *c;

static void
begin(void)
{
	c = claim_new();
	ck_assert_ptr_nonnull(c);
}

static void
finish(void)
{
	claim_free(c);
}

START_TEST(limits_of_a_user)
{
	ck_assert_int_eq(claim_take(c, "alice", "", 2, 0), CLAIM_COUNTED);
	ck_assert_int_eq(claim_take(c, "alice", "", 2, 0), CLAIM_COUNTED);
	ck_assert_int_eq(claim_take(c, "alice", "", 2, 0), CLAIM_USER_FULL);
	ck_assert_int_eq(claim_take(c, "alicia", "", 2, 0), CLAIM_COUNTED);
	claim_release(c, "alice", "");
	ck_assert_int_eq(claim_take(c, "alice", "", 2, 0), CLAIM_COUNTED);
	ck_assert_uint_eq(claim_users(c, "alice"), 2);
}
END_TEST

/* A refused claim leaves no trace. */
START_TEST(limits_of_a_class)
{
	ck_assert_int_eq(claim_take(c, "alice", "guests", 0, 1), CLAIM_COUNTED);
	ck_assert_int_eq(claim_take(c, "bob", "guests", 0, 1), CLAIM_CLASS_FULL);
	ck_assert_uint_eq(claim_users(c, "bob"), 0);
	ck_assert_uint_eq(claim_classes(c, "guests"), 1);
	claim_release(c, "alice", "guests");
	ck_assert_uint_eq(claim_classes(c, "guests"), 0);
	ck_assert_int_eq(claim_take(c, "bob", "guests", 0, 1), CLAIM_COUNTED);
}
END_TEST

static int
memory_of(size_t size)
{
	int fd = memfd_create("rates", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* Sessions of two generations share their account's rates; but not memory of another shape. */
START_TEST(rates_of_another_generation)
{
	int fd = memory_of(sizeof(struct bucket_pair));

	ck_assert_int_eq(claim_memory_of(c, "alice"), -1);
	ck_assert_int_eq(claim_take(c, "alice", "", 0, 0), CLAIM_COUNTED);
	ck_assert_int_eq(claim_memory_of(c, "alice"), -1);
	claim_adopt(c, "alice", memory_of(1));
	ck_assert_int_eq(claim_memory_of(c, "alice"), -1);
	claim_adopt(c, "alice", fd);
	ck_assert_int_eq(claim_memory_of(c, "alice"), fd);
	claim_adopt(c, "alice", memory_of(sizeof(struct bucket_pair)));
	ck_assert_int_eq(claim_memory(c, "alice", 1, 1), fd);
}
END_TEST

START_TEST(releasing_what_was_never_taken)
{
	claim_release(c, "nobody", "nothing");
	ck_assert_uint_eq(claim_users(c, "nobody"), 0);
}
END_TEST

START_TEST(many_users_share_chains)
{
	char name[16];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "u%d", i);
		ck_assert_int_eq(claim_take(c, name, "all", 1, 5000), CLAIM_COUNTED);
	}
	ck_assert_int_eq(claim_take(c, "one more", "all", 1, 5000), CLAIM_CLASS_FULL);
	for (int i = 0; i < 5000; i += 2) {
		snprintf(name, sizeof name, "u%d", i);
		claim_release(c, name, "all");
		ck_assert_uint_eq(claim_users(c, name), 0);
	}
	ck_assert_uint_eq(claim_classes(c, "all"), 2500);
	ck_assert_uint_eq(claim_users(c, "u1"), 1);
}
END_TEST

/* All sessions of a user get the same memory, and nobody can change its size. */
START_TEST(shared_memory)
{
	struct bucket_pair rates;
	struct stat st;
	int fd;

	ck_assert_int_eq(claim_memory(c, "alice", 1000, 0), -1);
	claim_take(c, "alice", "", 0, 0);
	claim_take(c, "alice", "", 0, 0);
	fd = claim_memory(c, "alice", 1000, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(claim_memory(c, "alice", 1000, 0), fd);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq((int)st.st_size, (int)sizeof rates);
	ck_assert_int_eq((int)pread(fd, &rates, sizeof rates, 0), (int)sizeof rates);
	ck_assert_uint_eq(rates.up.limit, 1000);
	ck_assert_uint_eq(rates.down.limit, 0);
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), -1);
	claim_release(c, "alice", "");
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	claim_release(c, "alice", "");
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

/* Whose processes cannot be ended gets no more of them after a few, and others are not touched by it. */
START_TEST(who_leaves_processes_behind_is_full)
{
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(claim_take(c, "alice", "", 0, 0), CLAIM_COUNTED);
		ck_assert_int_eq(claim_linger(c, "alice"), 0);
		claim_release(c, "alice", "");
	}
	ck_assert_uint_eq(claim_users(c, "alice"), 0);
	ck_assert_int_eq(claim_take(c, "alice", "", 0, 0), CLAIM_LINGERING);
	ck_assert_int_eq(claim_take(c, "bob", "", 0, 0), CLAIM_COUNTED);
	claim_linger_end(c, "alice");
	ck_assert_int_eq(claim_take(c, "alice", "", 0, 0), CLAIM_COUNTED);
}
END_TEST

Suite *
listener_claim_suite(void)
{
	Suite *suite = suite_create("claim");
	TCase *t = tcase_create("counts");

	tcase_add_checked_fixture(t, begin, finish);
	tcase_add_test(t, limits_of_a_user);
	tcase_add_test(t, limits_of_a_class);
	tcase_add_test(t, rates_of_another_generation);
	tcase_add_test(t, releasing_what_was_never_taken);
	tcase_add_test(t, many_users_share_chains);
	tcase_add_test(t, shared_memory);
	tcase_add_test(t, who_leaves_processes_behind_is_full);
	suite_add_tcase(suite, t);
	return suite;
}
