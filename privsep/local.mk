noinst_LIBRARIES += libprivsep.a
libprivsep_a_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS) $(CAP_CFLAGS)
libprivsep_a_SOURCES = \
	privsep/chan.c privsep/chan.h \
	privsep/drop.c privsep/drop.h \
	privsep/landlock.c \
	privsep/messages.def privsep/messages_rows.h privsep/messages_undef.h \
	privsep/msg.c privsep/msg.h \
	privsep/role.c privsep/role.h privsep/roles.def \
	privsep/sandbox.c privsep/sandbox.h privsep/syscalls.def \
	privsep/spawn.c privsep/spawn.h \
	privsep/template.c privsep/template.h \
	privsep/verify.c privsep/verify.h

# What every program that links libprivsep.a needs beside it.
PRIVSEP_LIBS = libprivsep.a libcommon.a $(SECCOMP_LIBS) $(CAP_LIBS)

libprivsep_a_SOURCES += \
	privsep/scheme.c privsep/scheme.h privsep/schemes.def \
	privsep/tlsfiles.c privsep/tlsfiles.h

# PROTOCOL.md comes from the table of messages; tests/protocol.sh compares them.
noinst_PROGRAMS += make-protocol
make_protocol_SOURCES = privsep/protocol.c
make_protocol_LDADD = libprivsep.a libcommon.a
EXTRA_DIST += PROTOCOL.md tests/protocol.sh
TESTS += tests/protocol.sh

.PHONY: protocol
protocol: make-protocol$(EXEEXT)
	./make-protocol > $(top_srcdir)/PROTOCOL.md
