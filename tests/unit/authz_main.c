#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/str.h"
#include "tests/unit/authz.h"
#include "tests/unit/run.h"

static struct { char *text; size_t size, used; } kept;

static void
keep(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context;
	if (kept.used < kept.size &&
	    str_format(kept.text + kept.used, kept.size - kept.used, "%s %.*s\n", log_level_word(level), (int)len, text) == 0)
		kept.used += strlen(kept.text + kept.used);
}

void
authz_tests_keep_log(char *text, size_t size)
{
	kept.text = text;
	kept.size = size;
	kept.used = 0;
	if (text != NULL)
		text[0] = '\0';
	log_set_sink(text != NULL ? keep : log_to_fd, NULL);
}

int
main(void)
{
#define SUITE(name) authz_##name##_suite,
	static Suite *(*const suites[])(void) = { AUTHZ_SUITES(SUITE) };
#undef SUITE

	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
