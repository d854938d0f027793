noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	common/addr.c common/addr.h \
	common/arena.c common/arena.h \
	common/bucket.c common/bucket.h \
	common/clock.c common/clock.h \
	common/conf.c common/conf.h common/conf_private.h common/config.def common/foreign.def \
	common/conf_check.c \
	common/conf_load.c \
	common/conf_read.c \
	common/conf_resolve.c \
	common/conf_rules.c \
	common/conf_seal.c \
	common/conf_show.c common/conf_show.h \
	common/conf_table.c \
	common/conf_text.c \
	common/conf_value.c \
	common/err.c common/err.h \
	common/exitcode.c common/exitcode.h \
	common/fdutil.c common/fdutil.h \
	common/hours.c common/hours.h \
	common/idle.c common/idle.h \
	common/json.c common/json.h \
	common/log.c common/log.h common/events.def \
	common/reserved.h \
	common/logform.c common/logrelay.c common/logrelay.h common/logsink.c common/logsink.h \
	common/secret.c common/secret.h \
	common/str.c common/str.h \
	common/trusted.c common/trusted.h \
	common/wire.c common/wire.h
