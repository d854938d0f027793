if FUZZING
EXTRA_PROGRAMS += fuzz_acl fuzz_record
endif
fuzz_acl_SOURCES = tests/fuzz/acl.c
fuzz_acl_LDADD = $(AUTHZ_LIBS)
fuzz_acl_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_record_SOURCES = tests/fuzz/record.c ctl/record.c ctl/record.h
fuzz_record_LDADD = libcommon.a
fuzz_record_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
