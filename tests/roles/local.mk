# What each process may and may not: from inside its filter, and from outside on a running server (test_*.py).
if HAVE_CHECK
check_PROGRAMS += roles-inside
TESTS += roles-inside
endif
roles_inside_SOURCES = tests/roles/inside.c
roles_inside_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SECCOMP_CFLAGS)
roles_inside_LDADD = $(PRIVSEP_LIBS) $(CHECK_LIBS)
# A container that denies system calls, for tests/it/test_sandbox.py.
check_PROGRAMS += roles-deny
roles_deny_SOURCES = tests/roles/deny.c
roles_deny_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
roles_deny_LDADD = $(SECCOMP_LIBS)

EXTRA_DIST += tests/roles/conftest.py tests/roles/test_floors.py tests/roles/test_processes.py
