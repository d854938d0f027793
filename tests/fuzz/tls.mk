# Fuzz targets of the keeper, of the worker's TLS side, and of who verifies what it says.
if FUZZING
EXTRA_PROGRAMS += fuzz_tbs fuzz_tls fuzz_transcript
fuzz_tbs_SOURCES = tests/fuzz/tbs.c
fuzz_tbs_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
fuzz_tbs_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_tbs_LDADD = libkeeper.a libprivsep.a libcommon.a $(CRYPTO_LIBS)
fuzz_transcript_SOURCES = tests/fuzz/transcript.c
fuzz_transcript_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_transcript_LDADD = libverifier.a libcommon.a $(CRYPTO_LIBS)
fuzz_tls_SOURCES = tests/fuzz/tls.c tests/unit/tls_pair.c tests/unit/tls_pair.h
fuzz_tls_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
fuzz_tls_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_tls_LDADD = $(WORKER_LIBS)
endif
