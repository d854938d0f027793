include %D%/common.mk
