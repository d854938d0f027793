bin_PROGRAMS += sallyctl
sallyctl_CPPFLAGS = $(AM_CPPFLAGS) $(CURSES_CFLAGS) $(OPENSSL_CFLAGS) $(CRYPTO_CFLAGS)
sallyctl_SOURCES = \
	account/linked.c ctl/account.c ctl/account.h ctl/account_csv.c ctl/account_import.c ctl/account_layer.c ctl/account_lines.c ctl/account_show.c ctl/changes.c \
	ctl/commands.def ctl/ctl.h ctl/exits.def ctl/options.def \
	ctl/acl.c ctl/acl.h ctl/acl_change.c ctl/acl_save.c ctl/acl_walk.c ctl/tree.c ctl/tree.h \
	ctl/conf.h ctl/config.c ctl/convert.c ctl/convert.h \
	ctl/doctor.c ctl/doctor.def ctl/doctor.h ctl/doctor_files.c ctl/doctor_net.c \
	ctl/help.c ctl/import_ftpcluster.c ctl/import_ncftpd.c ctl/import_sftpplus.c ctl/import.c ctl/import.def ctl/import.h ctl/import_proftpd.c ctl/import_pureftpd.c ctl/import_pyftpdlib.c \
	ctl/import_vsftpd.c ctl/imported.c ctl/diff.c ctl/empty.c ctl/identity.c ctl/certificates.c ctl/lint.c ctl/machine.c ctl/machine.h ctl/main.c ctl/nobody.c ctl/nobody.h ctl/passwd.c ctl/passwd.h ctl/policies.c ctl/policy.c ctl/policy.h ctl/probe.c ctl/progress.c ctl/progress.h \
	ctl/quota.c ctl/record.c ctl/record.h ctl/replay.c ctl/resolve.c ctl/resolve.h ctl/sandbox.c ctl/say.c ctl/scrape.c ctl/server.c ctl/server.h ctl/standing.c \
	ctl/talk.c ctl/talk.h ctl/top.c ctl/top_model.c ctl/top_model.h ctl/top_read.c ctl/top_text.c ctl/why.c
sallyctl_LDADD = $(ACCOUNT_ALL_LIBS) libauthz.a $(PRIVSEP_LIBS) $(PCRE2_LIBS) $(ACL_LIBS) $(INIH_LIBS) $(CRYPT_LIBS) $(SODIUM_LIBS) \
	$(OPENSSL_LIBS) $(CRYPTO_LIBS) $(CURSES_LIBS)
