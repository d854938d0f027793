#include "config.h"

#include <string.h>

#include "common/err.h"
#include "privsep/msg.h"
#include "tests/unit/privsep.h"

/* Every row has all that its derivations need. */
START_TEST(rows_are_complete)
{
	const struct msg_row *row = msg_row((unsigned)_i);
	size_t letters = 0;

	ck_assert_ptr_nonnull(row);
	ck_assert_str_eq(row->name, msg_name((unsigned)_i));
	ck_assert_msg(strlen(row->doc) > 10 && row->doc[strlen(row->doc) - 1] == '.', "%s: doc", row->name);
	ck_assert_msg(row->states != 0, "%s: never allowed", row->name);
	for (const char *k = row->fds; *k != '\0'; k++) {
		ck_assert_msg(strchr("rwtldcpmf?", *k) != NULL, "%s: descriptor %c", row->name, *k);
		letters += *k != '?';
		ck_assert_msg(*k != '?' || k[1] == '\0', "%s: only the last descriptor may be absent", row->name);
	}
	ck_assert_uint_le(letters, MSG_FDS_MAX);
	ck_assert_msg(row->gated == (row->channel == CH_FILES && row->from == ROLE_WORKER && row->gated), "%s: gate",
	    row->name);
	ck_assert_msg(row->gate != NULL && *row->gate != '\0', "%s: no reason", row->name);
	ck_assert_msg(row->size <= sizeof(struct msg), "%s: size", row->name);
}
END_TEST

START_TEST(unknown_types_have_no_row)
{
	ck_assert_ptr_null(msg_row(MSG_NONE));
	ck_assert_ptr_null(msg_row(MSG_COUNT));
	ck_assert_ptr_null(msg_row(~0u));
	ck_assert_str_eq(msg_name(MSG_COUNT), "?");
}
END_TEST

START_TEST(a_body_survives_the_journey)
{
	static struct msg_login in = { .user = "alice", .tls = 1, .host = "ftp.example.org" };
	static struct msg_login out;
	static uint8_t packet[MSG_SIZE_MAX];
	struct wr w;
	struct rd r;

	ck_assert_int_eq(secret_set(&in.password, "geheim", 6), 0);
	wr_init(&w, packet, sizeof packet);
	msg_encode(&w, MSG_LOGIN, &in);
	ck_assert_int_eq(w.error, 0);
	rd_init(&r, packet, w.len);
	ck_assert_int_eq(msg_decode(&r, MSG_LOGIN, &out), 0);
	ck_assert_str_eq(out.user, "alice");
	ck_assert_str_eq(out.host, "ftp.example.org");
	ck_assert_str_eq(out.password.data, "geheim");
	ck_assert_uint_eq(out.password.len, 6);
	ck_assert_uint_eq(out.tls, 1);
}
END_TEST

/* Where passwords travel, the receiver must know to clear the packet. */
START_TEST(rows_with_passwords_say_so)
{
	ck_assert_uint_eq(msg_row(MSG_LOGIN)->secrets, 1);
	ck_assert_uint_eq(msg_row(MSG_OWN_PASSWORD)->secrets, 1);
	ck_assert_uint_eq(msg_row(MSG_RETRIEVE)->secrets, 0);
}
END_TEST

START_TEST(descriptors_are_taken_once)
{
	static struct msg m = { .fd_count = 1, .fd = { 77 } };

	ck_assert_int_eq(msg_take_fd(&m, 1), -1);
	ck_assert_int_eq(msg_take_fd(&m, 0), 77);
	ck_assert_int_eq(msg_take_fd(&m, 0), -1);
	msg_close(&m);
	ck_assert_uint_eq(m.fd_count, 0);
}
END_TEST

Suite *
privsep_msg_suite(void)
{
	Suite *s = suite_create("msg");
	TCase *t = tcase_create("table");

	tcase_add_loop_test(t, rows_are_complete, MSG_NONE + 1, MSG_COUNT);
	tcase_add_test(t, unknown_types_have_no_row);
	tcase_add_test(t, a_body_survives_the_journey);
	tcase_add_test(t, rows_with_passwords_say_so);
	tcase_add_test(t, descriptors_are_taken_once);
	suite_add_tcase(s, t);
	return s;
}
