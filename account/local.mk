noinst_LIBRARIES += libaccount.a
libaccount_a_SOURCES = \
	account/account.h account/source.h \
	account/certificate.c account/login.c account/name.c account/pool.c account/rules.c account/sources.c \
	account/password.c account/password.h \
	account/source_anonymous.c account/source_config.c account/source_pam.c account/source_shadow.c \
	account/unix.c account/unix.h
libaccount_a_CFLAGS = $(AM_CFLAGS) $(CRYPT_CFLAGS) $(SODIUM_CFLAGS)
ACCOUNT_LIBS = libaccount.a libcommon.a $(CRYPT_LIBS)
