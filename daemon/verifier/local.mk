# As a library too, so that tests and the fuzzer can ask it.
noinst_LIBRARIES += libverifier.a
libverifier_a_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
libverifier_a_SOURCES = \
	daemon/verifier/identity.c daemon/verifier/identity.h \
	daemon/verifier/proof.c daemon/verifier/proof.h \
	daemon/verifier/transcript.c daemon/verifier/transcript.h

pkglibexec_PROGRAMS += sallyport-verifier
sallyport_verifier_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
sallyport_verifier_SOURCES = daemon/verifier/main.c
sallyport_verifier_LDADD = libverifier.a $(PRIVSEP_LIBS) $(INIH_LIBS) $(CRYPTO_LIBS)
