# What the system's other programs need of sallyport.  Files an administrator edits are installed
# once and never overwritten.
ETC_MADE = \
	%D%/sallyport.conf \
	%D%/sallyport.logrotate \
	%D%/sallyport.service \
	%D%/sallyport.tmpfiles \
	%D%/sallyport.xinetd \
	%D%/sallyport-metrics@.service \
	%D%/sallyport@.service
ETC_PLAIN = %D%/conf.d.README %D%/sallyport.pam %D%/sallyport.pam-rpm %D%/sallyport.socket %D%/sallyport-metrics.socket %D%/sallyport.sysusers
EXTRA_DIST += $(ETC_MADE:=.in) $(ETC_PLAIN)
CLEANFILES += $(ETC_MADE)

$(ETC_MADE): Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@bindir[@]|$(bindir)|g' \
		-e 's|@logdir[@]|$(localstatedir)/log/sallyport|g' -e 's|@statedir[@]|$(localstatedir)/lib/sallyport|g' \
		-e 's|@rundir[@]|$(runstatedir)/sallyport|g' '$(top_srcdir)/$@.in' > '$@.tmp' && mv '$@.tmp' '$@'
%D%/sallyport.conf: %D%/sallyport.conf.in
%D%/sallyport.logrotate: %D%/sallyport.logrotate.in
%D%/sallyport.service: %D%/sallyport.service.in
%D%/sallyport.tmpfiles: %D%/sallyport.tmpfiles.in
%D%/sallyport.xinetd: %D%/sallyport.xinetd.in
%D%/sallyport@.service: %D%/sallyport@.service.in
%D%/sallyport-metrics@.service: %D%/sallyport-metrics@.service.in

systemdsystemunit_DATA = %D%/sallyport.service %D%/sallyport@.service %D%/sallyport.socket %D%/sallyport-metrics.socket \
	%D%/sallyport-metrics@.service
examplesdir = $(docdir)/examples
examples_DATA = %D%/sallyport.conf %D%/sallyport.xinetd

# keep SOURCE TARGET MODE: installs a file that is not there yet
KEEP = keep() { test -e "$$2" || $(INSTALL) -m "$$3" "$$1" "$$2"; }

install-data-local: $(ETC_MADE)
	$(MKDIR_P) '$(DESTDIR)$(sysconfdir)/sallyport/conf.d' '$(DESTDIR)$(sysconfdir)/logrotate.d' '$(DESTDIR)$(pamdir)' \
		'$(DESTDIR)$(sysusersdir)' '$(DESTDIR)$(tmpfilesdir)'
	@$(KEEP); set -e; \
	keep %D%/sallyport.conf '$(DESTDIR)$(sysconfdir)/sallyport/sallyport.conf' 640; \
	keep $(srcdir)/%D%/conf.d.README '$(DESTDIR)$(sysconfdir)/sallyport/conf.d/README' 644; \
	keep $(srcdir)/%D%/sallyport.pam '$(DESTDIR)$(pamdir)/sallyport' 644; \
	keep %D%/sallyport.logrotate '$(DESTDIR)$(sysconfdir)/logrotate.d/sallyport' 644
	$(INSTALL_DATA) $(srcdir)/%D%/sallyport.sysusers '$(DESTDIR)$(sysusersdir)/sallyport.conf'
	$(INSTALL_DATA) %D%/sallyport.tmpfiles '$(DESTDIR)$(tmpfilesdir)/sallyport.conf'

uninstall-local:
	rm -f '$(DESTDIR)$(sysconfdir)/sallyport/conf.d/README' '$(DESTDIR)$(sysconfdir)/logrotate.d/sallyport' \
		'$(DESTDIR)$(sysusersdir)/sallyport.conf' '$(DESTDIR)$(tmpfilesdir)/sallyport.conf'
	@for pair in '%D%/sallyport.conf $(DESTDIR)$(sysconfdir)/sallyport/sallyport.conf' \
	    '$(srcdir)/%D%/sallyport.pam $(DESTDIR)$(pamdir)/sallyport'; do \
		set -- $$pair; if cmp -s "$$1" "$$2"; then rm -f "$$2"; fi; \
	done
