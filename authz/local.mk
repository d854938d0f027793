noinst_LIBRARIES += libauthz.a
libauthz_a_CPPFLAGS = $(AM_CPPFLAGS) $(PCRE2_CFLAGS) $(ACL_CFLAGS)
libauthz_a_SOURCES = \
	authz/authz.h \
	authz/commands.def authz/ops.def authz/rights.def \
	authz/kernel.c authz/kernel.h authz/kernel_look.c \
	authz/posixacl.c authz/posixacl.h authz/posixacl_file.c authz/posixacl_text.c \
	authz/rights.c
AUTHZ_LIBS = libauthz.a libcommon.a $(PCRE2_LIBS) $(ACL_LIBS)
