# A forged peer for every row of the table of messages.
check_LIBRARIES = libforge.a
if HAVE_CHECK
check_PROGRAMS += hostile-chan
TESTS += hostile-chan
endif
libforge_a_SOURCES = tests/hostile/forge.c tests/hostile/forge.h
hostile_chan_SOURCES = tests/hostile/chan.c
hostile_chan_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
hostile_chan_LDADD = libforge.a libprivsep.a libcommon.a $(CHECK_LIBS)

# Stands in for sallyport-monitor in tests/it/test_hostile.py.
check_PROGRAMS += hostile-monitor
hostile_monitor_SOURCES = tests/hostile/monitor.c
hostile_monitor_LDADD = libforge.a $(PRIVSEP_LIBS) $(INIH_LIBS)

# Stands in for sallyport-worker there: a worker that has been taken over, and does what the client says.
check_PROGRAMS += hostile-worker
hostile_worker_SOURCES = tests/hostile/worker.c
hostile_worker_LDADD = libforge.a $(PRIVSEP_LIBS) $(INIH_LIBS)
