noinst_LIBRARIES += libagent.a
libagent_a_SOURCES = \
	daemon/agent/account.c \
	daemon/agent/agent.h \
	daemon/agent/attribute.c \
	daemon/agent/change.c \
	daemon/agent/commit.c \
	daemon/agent/data.c \
	daemon/agent/entries.c daemon/agent/entries.h \
	daemon/agent/explain.c \
	daemon/agent/format.c daemon/agent/format.h \
	daemon/agent/gate.c daemon/agent/gate.h \
	daemon/agent/hold.c daemon/agent/hold.h \
	daemon/agent/hidden.c daemon/agent/hidden.h \
	daemon/agent/links.c daemon/agent/links.h \
	daemon/agent/listing.c daemon/agent/listing.h \
	daemon/agent/look.c \
	daemon/agent/match.c daemon/agent/match.h \
	daemon/agent/names.c daemon/agent/names.h \
	daemon/agent/perm.c \
	daemon/agent/policy.c \
	daemon/agent/quota.c daemon/agent/quota.h \
	daemon/agent/ratio.c daemon/agent/ratio.h \
	daemon/agent/serve.c \
	daemon/agent/session.c \
	daemon/agent/temporary.c daemon/agent/temporary.h \
	daemon/agent/transfer.c \
	daemon/agent/upload.c daemon/agent/upload.h

pkglibexec_PROGRAMS += sallyport-agent
sallyport_agent_SOURCES = daemon/agent/main.c
sallyport_agent_LDADD = libagent.a $(AUTHZ_LIBS) $(PRIVSEP_LIBS) $(INIH_LIBS)
