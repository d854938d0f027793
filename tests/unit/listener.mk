if HAVE_CHECK
check_PROGRAMS += unit-listener
TESTS += unit-listener
endif
unit_listener_SOURCES = tests/unit/listener_main.c tests/unit/listener.h \
	tests/unit/listener_certs.c tests/unit/listener_claim.c tests/unit/listener_control.c tests/unit/listener_crowd.c \
	tests/unit/listener_link.c tests/unit/listener_names.c tests/unit/listener_refusals.c tests/unit/listener_session.c tests/unit/listener_serve.c tests/unit/listener_srclimit.c tests/unit/listener_systemd.c
unit_listener_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
unit_listener_LDADD = liblistener.a $(PRIVSEP_LIBS) $(INIH_LIBS) $(EVENT_LIBS) $(CHECK_LIBS)
