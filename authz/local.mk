noinst_LIBRARIES += libauthz.a
libauthz_a_CPPFLAGS = $(AM_CPPFLAGS) $(PCRE2_CFLAGS) $(ACL_CFLAGS)
libauthz_a_SOURCES = \
	authz/authz.h \
	authz/commands.def authz/ops.def authz/rights.def \
	authz/rights.c
AUTHZ_LIBS = libauthz.a libcommon.a $(PCRE2_LIBS) $(ACL_LIBS)
