# Fuzz targets of daemon/worker/.
if FUZZING
EXTRA_PROGRAMS += fuzz_line fuzz_command
fuzz_line_SOURCES = tests/fuzz/line.c
fuzz_line_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_line_LDADD = $(WORKER_LIBS)
fuzz_command_SOURCES = tests/fuzz/command.c
fuzz_command_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_command_LDADD = $(WORKER_LIBS)
endif
