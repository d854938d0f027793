bin_PROGRAMS += sallyctl
sallyctl_SOURCES = \
	ctl/commands.def ctl/options.def ctl/ctl.h \
	ctl/acl.c ctl/acl.h ctl/acl_save.c ctl/acl_walk.c \
	ctl/help.c ctl/main.c ctl/progress.c ctl/progress.h ctl/say.c ctl/server.c
sallyctl_LDADD = libprivsep.a $(AUTHZ_LIBS)
