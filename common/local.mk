noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	common/addr.h \
	common/clock.c common/clock.h \
	common/conf.h common/config.def \
	common/err.c common/err.h \
	common/exitcode.c common/exitcode.h \
	common/json.c common/json.h \
	common/log.c common/log.h \
	common/logsink.c common/logsink.h \
	common/secret.c common/secret.h \
	common/str.c common/str.h \
	common/wire.c common/wire.h
