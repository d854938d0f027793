# The worker's TLS side, as a library of its own: tests need it without the rest.
noinst_LIBRARIES += libtls.a
libtls_a_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
libtls_a_SOURCES = \
	daemon/worker/tls_provider.c daemon/worker/tls_provider.h
