/* Arenas and descriptors. */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "common/idle.h"
#include "tests/unit/common.h"

START_TEST(arena_gives_zeroed_aligned_memory)
{
	struct arena *a = arena_new();

	for (size_t n = 0; n < 300; n += 7) {
		unsigned char *p = arena_alloc(a, n);

		ck_assert_uint_eq((uintptr_t)p % sizeof(long double), 0);
		for (size_t i = 0; i < n; i++)
			ck_assert_int_eq(p[i], 0);
		memset(p, 0xff, n);
	}
	ck_assert_ptr_nonnull(arena_alloc(a, 100000));
	ck_assert_ptr_null(arena_alloc(a, SIZE_MAX));
	ck_assert_str_eq(arena_strdup(a, "text"), "text");
	ck_assert_str_eq(arena_strndup(a, "text", 2), "te");
	ck_assert_str_eq(arena_format(a, "%s %d", "n", 7), "n 7");
	arena_free(a);
	arena_free(NULL);
}
END_TEST

START_TEST(idle_memory_is_given_back_by_whole_pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile char kept[64];

	ck_assert_ptr_ne(p, MAP_FAILED);
	memset(p, 1, 4 * page);
	memset((char *)(uintptr_t)kept, 2, sizeof kept);
	idle_give_back(p + 1, 3 * page);
	ck_assert_int_eq(p[page - 1], 1);
	ck_assert_int_eq(p[page], 0);
	ck_assert_int_eq(p[3 * page - 1], 0);
	ck_assert_int_eq(p[3 * page], 1);
	idle_give_back(p + 3 * page + 1, 10);
	ck_assert_int_eq(p[3 * page + 1], 1);
	idle_give_back_stack();
	for (size_t i = 0; i < sizeof kept; i++)
		ck_assert_int_eq(kept[i], 2);
	munmap(p, 4 * page);
}
END_TEST

START_TEST(sealed_files_cannot_change)
{
	char text[8];
	int fd = fd_sealed("test", "content", 7), loose;

	ck_assert_int_ge(fd, 0);
	ck_assert(fd_is_sealed(fd));
	ck_assert_int_eq(read(fd, text, sizeof text), 7);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	ck_assert_int_eq(ftruncate(fd, 3), -1);
	ck_assert_int_eq(ftruncate(fd, 30), -1);
	ck_assert(mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	close(fd);
	loose = memfd_create("loose", MFD_ALLOW_SEALING);
	ck_assert(!fd_is_sealed(loose));
	ck_assert_int_eq(fcntl(loose, F_ADD_SEALS, F_SEAL_WRITE), 0);
	ck_assert(!fd_is_sealed(loose));
	close(loose);
	ck_assert(!fd_is_sealed(-1));
}
END_TEST

START_TEST(reads_whole_files)
{
	int fd = fd_sealed("test", "content", 7), ends[2];
	char *text;
	size_t len;

	ck_assert_int_eq(fd_read_file(fd, 7, &text, &len), 0);
	ck_assert_uint_eq(len, 7);
	ck_assert_str_eq(text, "content");
	free(text);
	ck_assert_int_eq(fd_read_file(fd, 6, &text, &len), SP_ERANGE);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fd_read_file(ends[0], 100, &text, &len), SP_EFORMAT);
	ck_assert_int_eq(fd_write_all(ends[1], "ab", 2), 0);
	close(ends[0]);
	close(ends[1]);
	ck_assert_int_eq(fd_write_all(ends[1], "ab", 2), -EBADF);
	close(fd);
}
END_TEST

COMMON_SUITE(memory, arena_gives_zeroed_aligned_memory, idle_memory_is_given_back_by_whole_pages, sealed_files_cannot_change, reads_whole_files)
