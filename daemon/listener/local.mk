noinst_LIBRARIES += liblistener.a
liblistener_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
liblistener_a_SOURCES = \
	daemon/listener/admission.c daemon/listener/admission.h \
	daemon/listener/certs.c daemon/listener/certs.h \
	daemon/listener/claim.c daemon/listener/claim.h \
	daemon/listener/clients.c \
	daemon/listener/commands.c daemon/listener/commands.h \
	daemon/listener/control.c daemon/listener/control.h \
	daemon/listener/crowd.c daemon/listener/crowd.h \
	daemon/listener/doors.c daemon/listener/doors.h \
	daemon/listener/elsewhere.c daemon/listener/elsewhere.h \
	daemon/listener/ending.c \
	daemon/listener/keeper.c daemon/listener/keeper.h \
	daemon/listener/keeper_keys.c daemon/listener/keeper_keys.h \
	daemon/listener/leave.c daemon/listener/leave.h \
	daemon/listener/link.c daemon/listener/link.h \
	daemon/listener/metrics.c daemon/listener/metrics.h daemon/listener/metrics.def \
	daemon/listener/monitors.c \
	daemon/listener/names.c daemon/listener/names.h \
	daemon/listener/nft.c daemon/listener/nft.h \
	daemon/listener/parts.c daemon/listener/parts.h \
	daemon/listener/pace.c daemon/listener/pace.h \
	daemon/listener/pool.c daemon/listener/pool.h daemon/listener/pool_inside.h \
	daemon/listener/reaper.c daemon/listener/reaper.h \
	daemon/listener/refusals.c daemon/listener/refusals.h \
	daemon/listener/reload.c daemon/listener/reload.h \
	daemon/listener/report.c daemon/listener/report.h \
	daemon/listener/roster.c \
	daemon/listener/selftest.c daemon/listener/selftest.h \
	daemon/listener/serve.c \
	daemon/listener/server.c daemon/listener/server.h \
	daemon/listener/session.c daemon/listener/session.h \
	daemon/listener/socket.c daemon/listener/socket.h \
	daemon/listener/srclimit.c daemon/listener/srclimit.h \
	daemon/listener/starter.c daemon/listener/starter.h daemon/listener/state.h \
	daemon/listener/systemd.c daemon/listener/systemd.h \
	daemon/listener/takeover.c daemon/listener/takeover.h \
	daemon/listener/tell.c daemon/listener/tell.h \
	daemon/listener/templates.c daemon/listener/templates.h \
	daemon/listener/users.c daemon/listener/users.h

sbin_PROGRAMS += sallyportd
sallyportd_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
sallyportd_SOURCES = daemon/listener/main.c
sallyportd_LDADD = liblistener.a $(PRIVSEP_LIBS) $(INIH_LIBS) $(EVENT_LIBS)
