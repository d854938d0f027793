include %D%/common.mk
include %D%/acl.mk
