if HAVE_CHECK
check_PROGRAMS += unit-agent
TESTS += unit-agent
endif
unit_agent_SOURCES = tests/unit/agent_main.c tests/unit/agent.h tests/unit/agent_session.c \
	tests/unit/agent_files.c tests/unit/agent_format.c tests/unit/agent_match.c tests/unit/agent_root.c \
	tests/unit/agent_upload.c tests/unit/agent_limits.c tests/unit/agent_durable.c tests/unit/agent_ratio.c tests/unit/agent_listing.c \
	tests/unit/agent_data.c tests/unit/agent_gate.c tests/unit/agent_tree.c tests/unit/agent_hostile.c
unit_agent_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_agent_LDADD = libagent.a libaccount.a $(AUTHZ_LIBS) $(PRIVSEP_LIBS) $(INIH_LIBS) $(CHECK_LIBS)
unit_agent_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fsync -Wl,--wrap=close -Wl,--wrap=renameat2 -Wl,--wrap=fchmod \
	-Wl,--wrap=authz_decide
