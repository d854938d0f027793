# Unit tests: one program a folder of the product, one Check suite a module.
UNIT_LIBS = $(CHECK_LIBS)
EXTRA_DIST += %D%/copies.h %D%/root.h %D%/run.h
include %D%/tls.mk
include %D%/common.mk
include %D%/authz.mk
include %D%/account.mk
include %D%/agent.mk
include %D%/monitor.mk
include %D%/worker.mk
include %D%/ctl.mk
include %D%/privsep.mk
include %D%/listener.mk
