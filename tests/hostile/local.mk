# A forged peer for every row of the table of messages.
if HAVE_CHECK
check_LIBRARIES = libforge.a
check_PROGRAMS += hostile-chan
TESTS += hostile-chan
endif
libforge_a_SOURCES = tests/hostile/forge.c tests/hostile/forge.h
hostile_chan_SOURCES = tests/hostile/chan.c
hostile_chan_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
hostile_chan_LDADD = libforge.a libprivsep.a libcommon.a $(CHECK_LIBS)
