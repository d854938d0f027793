noinst_LIBRARIES += libworker.a
libworker_a_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS) $(ZLIB_CFLAGS)
libworker_a_SOURCES = \
	daemon/worker/ascii.c daemon/worker/ascii.h \
	daemon/worker/ask.c daemon/worker/ask.h \
	daemon/worker/auth.h \
	daemon/worker/data.c daemon/worker/data.h \
	daemon/worker/digest.c daemon/worker/digest.h \
	daemon/worker/feat.c daemon/worker/feat.h \
	daemon/worker/handlers.h daemon/worker/help.h \
	daemon/worker/line.c daemon/worker/line.h \
	daemon/worker/move.c daemon/worker/move.h \
	daemon/worker/pulse.c daemon/worker/pulse.h \
	daemon/worker/queue.c daemon/worker/queue.h \
	daemon/worker/rate.h \
	daemon/worker/reply.c daemon/worker/reply.h \
	daemon/worker/session.c daemon/worker/session.h \
	daemon/worker/sites.def daemon/worker/verbs.def \
	daemon/worker/stream.c daemon/worker/stream.h \
	daemon/worker/times.c daemon/worker/times.h \
	daemon/worker/transfer.c daemon/worker/transfer.h \
	daemon/worker/verb_auth.c daemon/worker/verb_data.c \
	daemon/worker/verb_hash.c daemon/worker/verb_info.c \
	daemon/worker/verb_list.c daemon/worker/verb_path.c \
	daemon/worker/verb_site.c daemon/worker/verb_transfer.c \
	daemon/worker/verb_tls.c daemon/worker/verb_tls.h \
	daemon/worker/verbs.c daemon/worker/verbs.h \
	daemon/worker/words.c daemon/worker/words.h \
	daemon/worker/worker.c daemon/worker/worker.h

WORKER_LIBS = libworker.a libtls.a $(PRIVSEP_LIBS) $(OPENSSL_LIBS) $(ZLIB_LIBS)

pkglibexec_PROGRAMS += sallyport-worker
sallyport_worker_SOURCES = daemon/worker/main.c
sallyport_worker_LDADD = $(WORKER_LIBS)

include %D%/tls.mk
