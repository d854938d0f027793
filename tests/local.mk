include %D%/unit/local.mk
include %D%/hostile/local.mk
include %D%/roles/local.mk
include %D%/it/local.mk
include %D%/fuzz/local.mk
include %D%/bench/local.mk
include %D%/authz/local.mk
AM_TESTS_ENVIRONMENT = top_srcdir='$(abs_top_srcdir)'; export top_srcdir;
