# The worker's TLS side, as a library of its own: tests need it without the rest.
noinst_LIBRARIES += libtls.a
libtls_a_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
libtls_a_SOURCES = \
	daemon/worker/tls_bio.c daemon/worker/tls_bio.h \
	daemon/worker/tls_memory.c daemon/worker/tls_memory.h \
	daemon/worker/tls_profile.c daemon/worker/tls_profile.h \
	daemon/worker/tls_provider.c daemon/worker/tls_provider.h \
	daemon/worker/tls_reuse.c daemon/worker/tls_reuse.h \
	daemon/worker/tls_link.h daemon/worker/tls_session.c \
	daemon/worker/tls_stream.c daemon/worker/tls_stream.h \
	daemon/worker/tls_warm.c
