# vectors FILE...: decisions of the five systems, run through the engine.
check_PROGRAMS += vectors
TESTS += vectors
vectors_SOURCES = tests/authz/vectors.c tests/authz/ask.c tests/authz/languages.c tests/authz/run.h \
	tests/authz/posix1e.c tests/authz/posix1e.h tests/authz/posix1e_act.c tests/authz/posix1e_act.h \
	tests/authz/posix1e_text.c tests/authz/posix1e_text.h \
	tests/authz/world.c tests/authz/world.h
vectors_CFLAGS = $(AM_CFLAGS) $(CRYPT_CFLAGS)
vectors_LDADD = libworker.a libaccount.a $(AUTHZ_LIBS) $(CRYPT_LIBS)
EXTRA_DIST += tests/authz/vectors.tsv tests/authz/corners.tsv
