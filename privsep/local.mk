noinst_LIBRARIES += libprivsep.a
libprivsep_a_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS) $(CAP_CFLAGS) $(CRYPTO_CFLAGS)
libprivsep_a_SOURCES = \
	privsep/chain.c privsep/chain.h \
	privsep/chan.c privsep/chan.h \
	privsep/drop.c privsep/drop.h \
	privsep/inflight.c privsep/inflight.h \
	privsep/landlock.c \
	privsep/messages.def privsep/messages_rows.h privsep/messages_undef.h \
	privsep/msg.c privsep/msg.h \
	privsep/part.c privsep/part.h privsep/parts.def \
	privsep/role.c privsep/role.h privsep/role_print.c privsep/roles.def \
	privsep/sandbox.c privsep/sandbox.h privsep/sandbox_make.c privsep/syscalls.def \
	privsep/spawn.c privsep/spawn.h \
	privsep/template.c privsep/template.h \
	privsep/verify.c privsep/verify.h

nodist_libprivsep_a_SOURCES = privsep/syscall_names.h
BUILT_SOURCES += privsep/syscall_names.h
CLEANFILES += privsep/syscall_names.h

# Names of system calls for the log, from the C library's headers.
privsep/syscall_names.h:
	$(AM_V_GEN)$(MKDIR_P) privsep && echo '#include <sys/syscall.h>' | $(CPP) -dM - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9][0-9]*\)$$/CALL_NAME(\1, \2)/p' | LC_ALL=C sort > $@.tmp && \
		test -s $@.tmp && mv $@.tmp $@

# What every program that links libprivsep.a needs beside it.
# The session programs need neither libseccomp nor libcap; --as-needed (Makefile.am) leaves them out.
PRIVSEP_LIBS = libprivsep.a libcommon.a $(SECCOMP_LIBS) $(CAP_LIBS)

libprivsep_a_SOURCES += \
	privsep/scheme.c privsep/scheme.h privsep/schemes.def \
	privsep/tlsfiles.c privsep/tlsfiles.h \
	privsep/tlstrust.c privsep/tlstrust.h

# PROTOCOL.md comes from the table of messages; tests/protocol.sh compares them.
noinst_PROGRAMS += make-protocol
make_protocol_SOURCES = privsep/protocol.c
make_protocol_LDADD = libprivsep.a libcommon.a
EXTRA_DIST += PROTOCOL.md tests/protocol.sh
TESTS += tests/protocol.sh

.PHONY: protocol
protocol: make-protocol$(EXEEXT)
	./make-protocol > $(top_srcdir)/PROTOCOL.md

# BUILT_SOURCES serves only all, check and install: a single program needs it too.
privsep/libprivsep_a-sandbox.$(OBJEXT): privsep/syscall_names.h
