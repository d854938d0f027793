if HAVE_CHECK
check_PROGRAMS += unit-monitor
TESTS += unit-monitor
endif
unit_monitor_SOURCES = tests/unit/monitor_main.c tests/unit/monitor.h tests/unit/monitor_rig.c \
	tests/unit/monitor_hostile.c tests/unit/monitor_home.c tests/unit/monitor_login.c tests/unit/monitor_relay.c tests/unit/monitor_serve.c \
	tests/unit/monitor_session.c tests/unit/monitor_xferlog.c $(monitor_sources)
unit_monitor_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_monitor_LDADD = $(ACCOUNT_LIBS) $(PRIVSEP_LIBS) $(INIH_LIBS) $(CHECK_LIBS)
