pkglibexec_PROGRAMS += sallyport-monitor
monitor_sources = \
	daemon/monitor/admit.c daemon/monitor/clerk.c daemon/monitor/grace.c daemon/monitor/home.c \
	daemon/monitor/login.c daemon/monitor/lowport.c daemon/monitor/monitor.h \
	daemon/monitor/pamsession.c daemon/monitor/profile.c daemon/monitor/proof.c daemon/monitor/ration.c daemon/monitor/stranger.c \
	daemon/monitor/quota.c daemon/monitor/relay.c daemon/monitor/serve.c daemon/monitor/session.c daemon/monitor/xferlog.c
sallyport_monitor_SOURCES = daemon/monitor/main.c $(monitor_sources)
sallyport_monitor_LDADD = $(ACCOUNT_LIBS) $(PRIVSEP_LIBS) $(INIH_LIBS)
# Modules with account sources use the functions of account/ and common/ that stand here.
sallyport_monitor_LDFLAGS = $(AM_LDFLAGS) -Wl,--export-dynamic
