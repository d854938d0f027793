if HAVE_CHECK
check_PROGRAMS += unit-authz
TESTS += unit-authz
endif
unit_authz_SOURCES = tests/unit/authz_main.c tests/unit/authz.h \
	tests/unit/authz_dateglob.c tests/unit/authz_kernel.c tests/unit/authz_languages.c tests/unit/authz_lint.c tests/unit/authz_match.c tests/unit/authz_move.c \
	tests/unit/authz_policy.c tests/unit/authz_posixacl.c
unit_authz_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_authz_LDADD = $(AUTHZ_LIBS) $(CHECK_LIBS)
