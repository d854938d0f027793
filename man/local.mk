# Manual pages: templates that mangen completes from the tables.
MAN_PAGES = \
	%D%/sallyport.conf.5 \
	%D%/sallyport-accounts.5 \
	%D%/sallyport-log.5 \
	%D%/sallyport-policy.5 \
	%D%/sallyport-containers.7 \
	%D%/sallyport-dialects.7 \
	%D%/sallyport-migration.7 \
	%D%/sallyport-panels.7 \
	%D%/sallyport-privsep.7 \
	%D%/sallyport-quickstart.7 \
	%D%/sallyport-replies.7 \
	%D%/sallyport-security.7 \
	%D%/sallyport-upgrading.7 \
	%D%/sallyport-verbs.7 \
	%D%/sallyctl.8 \
	%D%/sallyportd.8
man_MANS += $(MAN_PAGES)
EXTRA_DIST += $(MAN_PAGES:=.in)
CLEANFILES += $(MAN_PAGES)

noinst_PROGRAMS += mangen
mangen_SOURCES = %D%/mangen.c %D%/mdoc.h %D%/gen_authz.c %D%/gen_conf.c %D%/gen_ctl.c %D%/gen_log.c %D%/gen_roles.c %D%/gen_verbs.c
mangen_LDADD = $(PRIVSEP_LIBS)

$(MAN_PAGES): mangen
	$(AM_V_GEN)$(MKDIR_P) $(@D) && ./mangen < $(top_srcdir)/$@.in > $@.tmp && mv $@.tmp $@
%D%/sallyport.conf.5: %D%/sallyport.conf.5.in
%D%/sallyport-accounts.5: %D%/sallyport-accounts.5.in
%D%/sallyport-log.5: %D%/sallyport-log.5.in
%D%/sallyport-policy.5: %D%/sallyport-policy.5.in
%D%/sallyport-containers.7: %D%/sallyport-containers.7.in
%D%/sallyport-dialects.7: %D%/sallyport-dialects.7.in
%D%/sallyport-migration.7: %D%/sallyport-migration.7.in
%D%/sallyport-panels.7: %D%/sallyport-panels.7.in
%D%/sallyport-privsep.7: %D%/sallyport-privsep.7.in
%D%/sallyport-quickstart.7: %D%/sallyport-quickstart.7.in
%D%/sallyport-replies.7: %D%/sallyport-replies.7.in
%D%/sallyport-security.7: %D%/sallyport-security.7.in
%D%/sallyport-upgrading.7: %D%/sallyport-upgrading.7.in
%D%/sallyport-verbs.7: %D%/sallyport-verbs.7.in
%D%/sallyctl.8: %D%/sallyctl.8.in
%D%/sallyportd.8: %D%/sallyportd.8.in

# Every page passes mandoc's lint, and the pages and the tables name the same things.
check-manual: $(MAN_PAGES)
	mandoc -T lint -W warning $(MAN_PAGES)
	$(top_srcdir)/man/check-tables $(top_srcdir) man
.PHONY: check-manual
EXTRA_DIST += %D%/check-tables
