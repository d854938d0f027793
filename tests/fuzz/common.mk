# Fuzz targets of common/.
if FUZZING
EXTRA_PROGRAMS += fuzz_addr fuzz_conf
fuzz_addr_SOURCES = tests/fuzz/addr.c
fuzz_addr_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_addr_LDADD = libcommon.a
fuzz_conf_SOURCES = tests/fuzz/conf.c
fuzz_conf_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_conf_LDADD = libcommon.a $(INIH_LIBS)
endif
