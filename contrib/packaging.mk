# Samples and packaging.  "./bootstrap package" makes the archive and the Debian packages; "rpmbuild -tb" the other one.
EXTRA_DIST += \
	contrib/apparmor/usr.sbin.sallyportd \
	contrib/container/Containerfile \
	contrib/container/build-root \
	contrib/container/compose.yaml \
	contrib/container/finish-root \
	contrib/container/kubernetes.yaml \
	contrib/container/sallyport-container \
	contrib/debian/README.Debian \
	contrib/debian/changelog \
	contrib/debian/control \
	contrib/debian/copyright \
	contrib/debian/rules \
	contrib/debian/sallyport.docs \
	contrib/debian/sallyport.examples \
	contrib/debian/sallyport.lintian-overrides \
	contrib/debian/sallyport.postinst \
	contrib/debian/sallyport.postrm \
	contrib/debian/sallyport.prerm \
	contrib/debian/source/format \
	contrib/debian/tests/control \
	contrib/debian/tests/login \
	contrib/debian/watch \
	contrib/demo.sh \
	contrib/fail2ban/filter.conf \
	contrib/fail2ban/jail.conf \
	contrib/firewalld/sallyport.xml \
	contrib/grafana/sallyport.json \
	contrib/nftables/sallyport.nft \
	contrib/prometheus/rules-test.yml \
	contrib/prometheus/rules.yml \
	contrib/rpm/sallyport.spec \
	contrib/selinux/sallyport.fc \
	contrib/selinux/sallyport.if \
	contrib/selinux/sallyport.te
EXTRA_DIST += contrib/floors.sh
