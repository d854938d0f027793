bin_PROGRAMS += sallyctl
sallyctl_SOURCES = \
	ctl/commands.def ctl/options.def ctl/ctl.h \
	ctl/help.c ctl/main.c ctl/say.c ctl/server.c
sallyctl_LDADD = libprivsep.a libcommon.a
