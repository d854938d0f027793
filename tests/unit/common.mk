if HAVE_CHECK
check_PROGRAMS += unit-common
TESTS += unit-common
unit_common_SOURCES = \
	tests/unit/common.h \
	tests/unit/common_addr.c \
	tests/unit/common_conf_read.c \
	tests/unit/common_conf_resolve.c \
	tests/unit/common_conf_seal.c \
	tests/unit/common_conf_show.c \
	tests/unit/common_conf_table.c \
	tests/unit/common_hours.c \
	tests/unit/common_json.c \
	tests/unit/common_log.c \
	tests/unit/common_logsink.c \
	tests/unit/common_main.c \
	tests/unit/common_memory.c \
	tests/unit/common_secret.c \
	tests/unit/common_str.c \
	tests/unit/common_wire.c
unit_common_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(INIH_CFLAGS)
unit_common_LDADD = libcommon.a $(UNIT_LIBS) $(INIH_LIBS)
endif
