if FUZZING
EXTRA_PROGRAMS += fuzz_acl fuzz_record
endif
fuzz_acl_SOURCES = tests/fuzz/acl.c
fuzz_acl_LDADD = $(AUTHZ_LIBS)
fuzz_acl_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_record_SOURCES = tests/fuzz/record.c ctl/record.c ctl/record.h
fuzz_record_LDADD = libcommon.a
fuzz_record_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
EXTRA_DIST += \
	tests/fuzz/seeds/fuzz_acl/attribute \
	tests/fuzz/seeds/fuzz_acl/long \
	tests/fuzz/seeds/fuzz_acl/short \
	tests/fuzz/seeds/fuzz_record/json \
	tests/fuzz/seeds/fuzz_record/text
