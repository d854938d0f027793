if HAVE_CHECK
check_PROGRAMS += unit-worker
TESTS += unit-worker
endif
unit_worker_SOURCES = tests/unit/worker_main.c tests/unit/worker.h tests/unit/worker_fake.c tests/unit/worker_fake.h \
	tests/unit/worker_line.c tests/unit/worker_text.c tests/unit/worker_verbs.c tests/unit/worker_session.c \
	tests/unit/worker_transfer.c tests/unit/worker_ask.c tests/unit/worker_hostile.c
unit_worker_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(OPENSSL_CFLAGS)
unit_worker_LDADD = $(WORKER_LIBS) $(CHECK_LIBS)
