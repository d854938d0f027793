# Black-box tests and all that is beside them: see tests/run.
EXTRA_DIST += %D% tests/run tests/model tests/mutate tests/mutations.tsv tests/newcomer tests/package tests/soak
