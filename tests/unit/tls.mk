if HAVE_CHECK
check_PROGRAMS += unit-keeper unit-tls
TESTS += unit-keeper unit-tls
endif
unit_keeper_SOURCES = tests/unit/keeper_main.c tests/unit/keeper.h tests/unit/keeper_tbs.c tests/unit/keeper_keyring.c \
	tests/unit/keeper_serve.c tests/unit/tls_pair.c tests/unit/tls_pair.h
unit_keeper_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(CRYPTO_CFLAGS)
unit_keeper_LDADD = libkeeper.a $(PRIVSEP_LIBS) $(CRYPTO_LIBS) $(CHECK_LIBS)

unit_tls_SOURCES = tests/unit/worker_tls_main.c tests/unit/worker_tls.h tests/unit/worker_tls_memory.c tests/unit/worker_tls_provider.c \
	tests/unit/worker_tls_reuse.c tests/unit/worker_tls_session.c tests/unit/worker_tls_stream.c \
	tests/unit/tls_world.c tests/unit/tls_world.h tests/unit/verifier_proof.c daemon/worker/stream.c \
	tests/unit/tls_pair.c tests/unit/tls_pair.h
unit_tls_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(OPENSSL_CFLAGS)
unit_tls_LDADD = libtls.a libverifier.a libkeeper.a $(PRIVSEP_LIBS) $(OPENSSL_LIBS) $(CHECK_LIBS)
