# What a decision costs: authz-bench [--check]
noinst_PROGRAMS += authz-bench
authz_bench_SOURCES = tests/bench/authz.c
authz_bench_LDADD = $(AUTHZ_LIBS)
EXTRA_DIST += %D%/serve
