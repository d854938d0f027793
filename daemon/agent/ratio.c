#include "config.h"

#include "common/str.h"
#include "daemon/agent/ratio.h"

/* bytes / up * down without losing the remainder. The factors are below 2^20 (common/config.def). */
static uint64_t
earned(uint64_t bytes, uint64_t up, uint64_t down)
{
	uint64_t whole, rest = bytes % up * down / up;

	if (__builtin_mul_overflow(bytes / up, down, &whole) || whole > UINT64_MAX - rest)
		return UINT64_MAX;
	return whole + rest;
}

int
ratio_check(struct agent *a, uint64_t bytes)
{
	uint64_t up = (uint64_t)a->set->ratio_up, down = (uint64_t)a->set->ratio_down, may, left;
	char text[128];

	if (up == 0 || down == 0)
		return 0;
	may = earned(a->uploaded, up, down);
	left = may > a->downloaded ? may - a->downloaded : 0;
	if (bytes <= left)
		return 0;
	(void)str_format(text, sizeof text, "the ratio is %llu:%llu (bytes up:down), and %llu bytes are left",
	    (unsigned long long)up, (unsigned long long)down, (unsigned long long)left);
	return agent_refuse(a, FAIL_QUOTA, text);
}

void
ratio_add(uint64_t *total, uint64_t bytes)
{
	*total = bytes > UINT64_MAX - *total ? UINT64_MAX : *total + bytes;
}
