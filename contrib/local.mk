include %D%/packaging.mk
