noinst_LIBRARIES += libauthz.a
libauthz_a_CPPFLAGS = $(AM_CPPFLAGS) $(PCRE2_CFLAGS) $(ACL_CFLAGS)
libauthz_a_SOURCES = \
	authz/authz.h authz/layer.h authz/settings.h \
	authz/choices.def authz/commands.def authz/ops.def authz/rights.def \
	authz/dateglob.c authz/dateglob.h \
	authz/explain.c \
	authz/ftpcluster.c authz/ftpcluster.h authz/ftpcluster_parse.c \
	authz/glob.c authz/glob.h \
	authz/kernel.c authz/kernel.h authz/kernel_look.c \
	authz/lint.c authz/lint.def authz/lint.h authz/lint_regex.c authz/lint_rename.c authz/lint_rules.h authz/lint_sftpplus.c \
	authz/layer.c authz/letters.c authz/listing.c authz/move.c authz/policy.c \
	authz/posixacl.c authz/posixacl.h authz/posixacl_file.c authz/posixacl_text.c \
	authz/pairs.c authz/pairs.h \
	authz/pyftpdlib.c authz/pyftpdlib.h authz/pyftpdlib_file.c authz/pyftpdlib_file.h authz/pyftpdlib_move.c \
	authz/pyftpdlib_read.h authz/pyftpdlib_system.c \
	authz/regex.c authz/regex.h \
	authz/rights.c \
	authz/root.c authz/root.h \
	authz/ruleindex.c authz/ruleindex.h \
	authz/sftpplus.c authz/sftpplus.h authz/sftpplus_move.c authz/sftpplus_parse.c \
	authz/system.c \
	authz/tree.c authz/tree.h \
	authz/ups.c authz/ups.h
AUTHZ_LIBS = libauthz.a libcommon.a $(PCRE2_LIBS) $(ACL_LIBS)
