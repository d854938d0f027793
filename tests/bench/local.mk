# What a decision costs: authz-bench [--check]
noinst_PROGRAMS += authz-bench
authz_bench_SOURCES = tests/bench/authz.c
authz_bench_LDADD = $(AUTHZ_LIBS)
EXTRA_DIST += %D%/run %D%/serve

# make bench: a load of our own against tests/bench/serve; root.  BENCH="login retr --seconds 10" chooses.
check_PROGRAMS += load
load_SOURCES = tests/bench/load.c
bench: all load$(EXEEXT)
	$(top_srcdir)/tests/bench/run . $(BENCH)
.PHONY: bench
