/* Rules of ups as hostile text: compiled, asked about everything, explained. */
#include "tests/fuzz/authz_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_layer("ups", data, size);
}
