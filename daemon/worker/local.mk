include %D%/tls.mk
