include %D%/listener/local.mk
include %D%/monitor/local.mk
include %D%/worker/local.mk
include %D%/agent/local.mk
include %D%/keeper/local.mk
include %D%/verifier/local.mk
