noinst_LIBRARIES += libaccount.a libaccountdb.a
libaccount_a_SOURCES = \
	account/account.h account/source.h \
	account/certificate.c account/hashes.c account/hashes.h account/login.c account/name.c account/pool.c account/refusal.c account/refusal.h account/rules.c account/sources.c \
	account/cluster.c account/cluster.h account/ledger.c account/ledger.h account/ledger_private.h \
	account/charge.c account/charge.h account/charge_census.c account/charge_record.c account/charge_record.h account/charge_step.c account/charge_step.h account/charge_table.c account/charge_table.h \
	account/profile.c account/profile.h account/password.c account/password.h account/password_kind.c account/password_kind.h account/password_library.c account/password_library.h \
	account/source_anonymous.c account/source_config.c account/source_external.c account/source_passwd_file.c account/source_pam.c account/source_shadow.c \
	account/turn.c account/turn.h account/unix.c account/unix.h
libaccount_a_CFLAGS = $(AM_CFLAGS) $(CRYPT_CFLAGS) $(SODIUM_CFLAGS)
ACCOUNT_LIBS = libaccount.a libcommon.a $(CRYPT_LIBS)

# Sources with libraries of their own: modules for the monitor, which loads only those that are configured;
# programs that link them all add account/linked.c to their sources and ACCOUNT_ALL_LIBS.
tables_sources = \
	account/db.h account/db_said.c account/store.c account/store.h account/source_tables.c account/source_tables.h
database_sources = $(tables_sources) account/db_sqlite.c account/source_database.c
postgresql_sources = $(tables_sources) account/db_postgresql.c account/source_postgresql.c
module_ldflags = -shared -Wl,-Bsymbolic,-z,relro,-z,now,-z,noexecstack $(MARK_LDFLAGS) $(SAN_LDFLAGS)
pkglibexec_PROGRAMS += sallyport-source-database.so
sallyport_source_database_so_SOURCES = $(database_sources)
sallyport_source_database_so_CFLAGS = $(AM_CFLAGS) -fPIC $(SQLITE_CFLAGS)
sallyport_source_database_so_LDFLAGS = $(module_ldflags)
sallyport_source_database_so_LDADD = $(SQLITE_LIBS)
libaccountdb_a_SOURCES = $(database_sources)
libaccountdb_a_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(PQ_CFLAGS)
if HAVE_PQ
pkglibexec_PROGRAMS += sallyport-source-postgresql.so
sallyport_source_postgresql_so_SOURCES = $(postgresql_sources)
sallyport_source_postgresql_so_CFLAGS = $(AM_CFLAGS) -fPIC $(PQ_CFLAGS)
sallyport_source_postgresql_so_LDFLAGS = $(module_ldflags)
sallyport_source_postgresql_so_LDADD = $(PQ_LIBS)
libaccountdb_a_SOURCES += account/db_postgresql.c account/source_postgresql.c
endif
ACCOUNT_ALL_LIBS = libaccountdb.a $(ACCOUNT_LIBS) $(SQLITE_LIBS) $(PQ_LIBS)
