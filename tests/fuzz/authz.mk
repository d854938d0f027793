# The permission languages and their matchers.
if FUZZING
EXTRA_PROGRAMS += fuzz_pyftpdlib fuzz_sftpplus fuzz_ups fuzz_permissions fuzz_match
fuzz_pyftpdlib_SOURCES = tests/fuzz/authz_pyftpdlib.c tests/fuzz/authz_policy.h
fuzz_pyftpdlib_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_pyftpdlib_LDADD = $(AUTHZ_LIBS)
fuzz_sftpplus_SOURCES = tests/fuzz/authz_sftpplus.c tests/fuzz/authz_policy.h
fuzz_sftpplus_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_sftpplus_LDADD = $(AUTHZ_LIBS)
fuzz_ups_SOURCES = tests/fuzz/authz_ups.c tests/fuzz/authz_policy.h
fuzz_ups_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_ups_LDADD = $(AUTHZ_LIBS)
fuzz_permissions_SOURCES = tests/fuzz/authz_permissions.c
fuzz_permissions_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_permissions_LDADD = $(AUTHZ_LIBS)
fuzz_match_SOURCES = tests/fuzz/authz_match.c
fuzz_match_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_match_LDADD = $(AUTHZ_LIBS)
endif
