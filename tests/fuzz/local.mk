include %D%/authz.mk
include %D%/common.mk
include %D%/account.mk
include %D%/acl.mk
include %D%/worker.mk
include %D%/agent.mk
EXTRA_DIST += %D%/seeds
include %D%/privsep.mk
include %D%/tls.mk
