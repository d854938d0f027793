if FUZZING
EXTRA_PROGRAMS += fuzz_acl
endif
fuzz_acl_SOURCES = tests/fuzz/acl.c
fuzz_acl_LDADD = $(AUTHZ_LIBS)
fuzz_acl_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
EXTRA_DIST += \
	tests/fuzz/seeds/fuzz_acl/attribute \
	tests/fuzz/seeds/fuzz_acl/long \
	tests/fuzz/seeds/fuzz_acl/short
