#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "privsep/sandbox.h"
#include "tests/unit/privsep.h"
#include "tests/unit/root.h"

static const enum msg_role roles[] = { ROLE_LISTENER, ROLE_MONITOR, ROLE_WORKER, ROLE_AGENT, ROLE_KEEPER,
    ROLE_CLERK, ROLE_VERIFIER };

#define ROLES ((int)(sizeof roles / sizeof roles[0]))

/* What the listener seals, the template takes, and it is what would be made in place. */
START_TEST(filters_survive_sealing)
{
	static struct sandbox_programs made, sealed;
	int fd;

	ck_assert_int_eq(sandbox_make(roles[_i], &made), 0);
	fd = sandbox_seal(roles[_i]);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)read(fd, &sealed, 0), 0);
	ck_assert_int_eq((int)pread(fd, &sealed, sizeof sealed, 0), (int)sizeof sealed);
	ck_assert_int_eq(memcmp(&made, &sealed, sizeof made), 0);
	ck_assert_int_eq((int)pwrite(fd, "x", 1, 0), -1);
	for (int p = 0; p < PHASE_COUNT; p++)
		ck_assert_int_eq(made.len[p] != 0, role_row(roles[_i])->filter[p] != FILTER_NONE);
	close(fd);
}
END_TEST

START_TEST(filters_of_another_role_are_not_taken)
{
	int fd = sandbox_seal(ROLE_AGENT);

	ck_assert_int_eq(sandbox_unseal(fd, ROLE_WORKER, false), SP_EFORMAT);
	close(fd);
	fd = memfd_create("short", MFD_CLOEXEC);
	ck_assert_int_eq(sandbox_unseal(fd, ROLE_WORKER, false), SP_ETRUNC);
	close(fd);
}
END_TEST

/* The monitor's come with those of its clerk; nobody else can become one. */
START_TEST(helpers_come_along)
{
	static struct sandbox_programs clerk;
	int fd, status;
	pid_t pid;

	if (needs_plain_build(__func__))
		return;
	fd = sandbox_seal(ROLE_MONITOR);
	ck_assert_int_eq((int)pread(fd, &clerk, sizeof clerk, sizeof clerk), (int)sizeof clerk);
	ck_assert_uint_eq(clerk.role, ROLE_CLERK);
	ck_assert_uint_gt(clerk.len[PHASE_LIVE], 0);
	ck_assert_int_eq(sandbox_unseal(fd, ROLE_MONITOR, false), 0);
	close(fd);
	pid = fork();
	if (pid == 0) {
		if (sandbox_become(ROLE_AGENT) != -EINVAL || sandbox_become(ROLE_CLERK) != 0)
			_exit(1);
		_exit(syscall(SYS_bind, -1, NULL, 0) == -1 && errno == ENOSYS ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	fd = sandbox_seal(ROLE_AGENT);
	ck_assert_int_eq(sandbox_unseal(fd, ROLE_AGENT, false), 0);
	ck_assert_int_eq(sandbox_become(ROLE_CLERK), -EINVAL);
	close(fd);
}
END_TEST

static int told;

static void
listen_to_log(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level, (void)len;
	told += strstr(text, "number=1023") != NULL ? 1 : 100;
}

/* A call that the kernel has not even a number for: the handler's note of it must not be written anywhere else. */
static int
call_far_away(void)
{
	log_set_sink(listen_to_log, NULL);
	if (sandbox_prepare(ROLE_KEEPER, false) != 0 || sandbox_enter(PHASE_LIVE) != 0)
		return 1;
	for (long call = 1024; call < 0x30000000; call *= 2) {
		if (syscall(call) != -1 || errno != ENOSYS)
			return 2;
		sandbox_report();
		if (told != 1)
			return 3;
	}
	return 0;
}

START_TEST(calls_without_number)
{
	if (needs_plain_build(__func__))
		return;
	ck_assert_int_eq(privsep_in_child(call_far_away), 0);
}
END_TEST

/* What stands behind the monitor's own programs must be its clerk's. */
START_TEST(helpers_of_another_role_are_not_taken)
{
	static struct sandbox_programs p[2];
	static const enum msg_role behind[] = { ROLE_AGENT, ROLE_MONITOR, ROLE_LISTENER, ROLE_CLERK };

	for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
		int fd = memfd_create("forged", MFD_CLOEXEC);

		ck_assert_int_eq(sandbox_make(ROLE_MONITOR, &p[0]), 0);
		ck_assert_int_eq(sandbox_make(behind[i], &p[1]), 0);
		ck_assert_int_eq((int)pwrite(fd, p, sizeof p, 0), (int)sizeof p);
		ck_assert_int_eq(sandbox_unseal(fd, ROLE_MONITOR, false), behind[i] == ROLE_CLERK ? 0 : SP_EFORMAT);
		close(fd);
	}
}
END_TEST

static struct sandbox_programs broken;

static int
load_what_the_kernel_refuses(void)
{
	if (sandbox_make(ROLE_KEEPER, &broken) != 0)
		return 1;
	memset(broken.code[PHASE_LIVE], 0xff, sizeof broken.code[PHASE_LIVE]);
	if (sandbox_take(&broken, ROLE_KEEPER, false) != 0 || sandbox_enter(PHASE_LIVE) != -EINVAL)
		return 2;
	/* sandbox = best_effort goes on without; that is what it is for. */
	return sandbox_take(&broken, ROLE_KEEPER, true) == 0 && sandbox_enter(PHASE_LIVE) == 0 ? 0 : 3;
}

START_TEST(a_filter_that_cannot_be_loaded_is_an_error)
{
	if (needs_plain_build(__func__))
		return;
	ck_assert_int_eq(privsep_in_child(load_what_the_kernel_refuses), 0);
}
END_TEST

/* No later phase allows what an earlier one did not. */
START_TEST(phases_get_stricter)
{
	const struct role_row *row = role_row(roles[_i]);

	for (int call = 0; call < 450; call++)
		for (int p = 1; p < PHASE_COUNT; p++) {
			char before = sandbox_verdict(row->role, (enum role_phase)(p - 1), call);
			char now = sandbox_verdict(row->role, (enum role_phase)p, call);

			if (role_filters(row, (enum role_phase)(p - 1)) == 0)
				continue;
			ck_assert_msg((now != 'a' && now != 'c') || before == 'a' || before == 'c', "%s: call %d in %s", row->name,
			    call, role_phase_name((enum role_phase)p));
		}
}
END_TEST

START_TEST(printing_gives_reasons)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	sandbox_print(out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "openat2"));
	ck_assert_ptr_nonnull(strstr(text, "the only way a path of a client becomes a descriptor"));
	ck_assert_ptr_nonnull(strstr(text, "forbidden      ptrace"));
	free(text);
}
END_TEST

Suite *
privsep_sandbox_suite(void)
{
	Suite *s = suite_create("sandbox");
	TCase *t = tcase_create("filters");

	tcase_add_loop_test(t, filters_survive_sealing, 0, ROLES);
	tcase_add_test(t, filters_of_another_role_are_not_taken);
	tcase_add_test(t, helpers_come_along);
	tcase_add_test(t, helpers_of_another_role_are_not_taken);
	tcase_add_test(t, calls_without_number);
	tcase_add_test(t, a_filter_that_cannot_be_loaded_is_an_error);
	tcase_add_loop_test(t, phases_get_stricter, 0, ROLES);
	tcase_add_test(t, printing_gives_reasons);
	suite_add_tcase(s, t);
	return s;
}
