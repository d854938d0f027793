noinst_LIBRARIES += libprivsep.a
libprivsep_a_SOURCES = \
	privsep/chan.c privsep/chan.h \
	privsep/messages.def privsep/messages_rows.h privsep/messages_undef.h \
	privsep/msg.c privsep/msg.h
