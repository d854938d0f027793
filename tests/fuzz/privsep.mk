# Any bytes as a message.
if FUZZING
EXTRA_PROGRAMS += fuzz_messages
fuzz_messages_SOURCES = tests/fuzz/messages.c
fuzz_messages_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_messages_LDADD = libprivsep.a libcommon.a
endif
