if HAVE_CHECK
check_PROGRAMS += unit-privsep
TESTS += unit-privsep
endif
unit_privsep_SOURCES = tests/unit/privsep_main.c tests/unit/privsep.h \
	tests/unit/privsep_chan.c tests/unit/privsep_drop.c tests/unit/privsep_msg.c tests/unit/privsep_role.c \
	tests/unit/privsep_sandbox.c tests/unit/privsep_spawn.c tests/unit/privsep_template.c tests/unit/privsep_verify.c
unit_privsep_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_privsep_LDADD = libforge.a $(PRIVSEP_LIBS) $(INIH_LIBS) $(CHECK_LIBS)
