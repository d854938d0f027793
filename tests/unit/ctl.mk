if HAVE_CHECK
check_PROGRAMS += unit-ctl
TESTS += unit-ctl
endif
unit_ctl_SOURCES = tests/unit/ctl_record.c tests/unit/ctl_top.c tests/unit/ctl_tree.c tests/unit/ctl.h \
	ctl/record.c ctl/record.h ctl/top_model.c ctl/top_model.h ctl/top_read.c ctl/top_text.c ctl/tree.c ctl/tree.h
unit_ctl_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
unit_ctl_LDADD = libcommon.a $(CHECK_LIBS)
