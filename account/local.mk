noinst_LIBRARIES += libaccount.a
libaccount_a_SOURCES = account/account.h account/name.c
