# What account/ reads.
if FUZZING
EXTRA_PROGRAMS += fuzz_passwd
fuzz_passwd_SOURCES = tests/fuzz/account_passwd.c
fuzz_passwd_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_passwd_LDADD = libaccount.a
endif
