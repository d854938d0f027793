# Fuzz targets of daemon/agent.
if FUZZING
EXTRA_PROGRAMS += fuzz_paths
fuzz_paths_SOURCES = tests/fuzz/agent_paths.c
fuzz_paths_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_paths_LDADD = libagent.a $(AUTHZ_LIBS) $(PRIVSEP_LIBS) $(INIH_LIBS)
endif
