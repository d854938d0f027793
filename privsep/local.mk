noinst_LIBRARIES += libprivsep.a
libprivsep_a_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS) $(CAP_CFLAGS)
libprivsep_a_SOURCES = \
	privsep/chan.c privsep/chan.h \
	privsep/drop.h \
	privsep/messages.def privsep/messages_rows.h privsep/messages_undef.h \
	privsep/msg.c privsep/msg.h \
	privsep/role.h \
	privsep/sandbox.h \
	privsep/spawn.h \
	privsep/template.h \
	privsep/verify.h

# What every program that links libprivsep.a needs beside it.
PRIVSEP_LIBS = libprivsep.a libcommon.a $(SECCOMP_LIBS) $(CAP_LIBS)

libprivsep_a_SOURCES += \
	privsep/scheme.c privsep/scheme.h privsep/schemes.def \
	privsep/tlsfiles.c privsep/tlsfiles.h
