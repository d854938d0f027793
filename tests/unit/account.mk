if HAVE_CHECK
check_PROGRAMS += unit-account
TESTS += unit-account
endif
unit_account_SOURCES = account/linked.c tests/unit/account_main.c tests/unit/account.h \
	tests/unit/account_login.c tests/unit/account_name.c tests/unit/account_pam.c tests/unit/account_password.c \
	tests/unit/account_pool.c tests/unit/account_refusal.c tests/unit/account_cluster.c tests/unit/account_ledger.c tests/unit/account_charge.c tests/unit/account_intent.c tests/unit/charge_rig.h tests/unit/account_store.c tests/unit/account_unix.c
unit_account_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SQLITE_CFLAGS)
unit_account_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fdatasync -Wl,--wrap=password_check_argon2 -Wl,--wrap=password_check_pbkdf2
unit_account_LDADD = $(ACCOUNT_ALL_LIBS) $(INIH_LIBS) $(CHECK_LIBS)
