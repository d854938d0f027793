# The keeper as a library too, so that tests can run it in a thread of their own.
noinst_LIBRARIES += libkeeper.a
libkeeper_a_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
libkeeper_a_SOURCES = \
	daemon/keeper/certificate.c daemon/keeper/certificate.h \
	daemon/keeper/keyring.c daemon/keeper/keyring.h \
	daemon/keeper/serve.c daemon/keeper/serve.h \
	daemon/keeper/tbs.c daemon/keeper/tbs.h

pkglibexec_PROGRAMS += sallyport-keeper
sallyport_keeper_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
sallyport_keeper_SOURCES = daemon/keeper/keeper.c
sallyport_keeper_LDADD = libkeeper.a $(PRIVSEP_LIBS) $(INIH_LIBS) $(CRYPTO_LIBS)
