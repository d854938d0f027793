/*
 * The configuration.  An input that begins with a NUL is what follows the
 * header of a sealed blob; any other is a file, which is then resolved for
 * each of its accounts and sealed for each role: what could be loaded must
 * arrive.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fdutil.h"

#define HEADER 16		/* magic, role, fingerprint */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
unseal_anything(const uint8_t *data, size_t size)
{
	struct conf *c = conf_new(), *out;
	int fd = conf_seal(c, TO_MONITOR);
	uint8_t *blob = malloc(HEADER + size);

	if (fd < 0 || pread(fd, blob, HEADER, 0) != HEADER)
		abort();
	close(fd);
	memcpy(blob + HEADER, data, size);
	fd = fd_sealed("fuzz", blob, HEADER + size);
	if (conf_unseal(fd, TO_MONITOR, &out) == 0)
		conf_free(out);
	close(fd);
	free(blob);
	conf_free(c);
}

static void
resolve_all(const struct conf *c)
{
	const struct conf_section *s = NULL;
	struct conf_resolved r;
	char text[8192];

	while ((s = conf_section_next(c, SC_ACCOUNT, s)) != NULL) {
		struct conf_subject who = { .user = conf_section_name(s), .listener = "l" };

		int e = conf_resolve(c, &who, &r);

		/* An account of a class or group that has no section is refused, with the reason. */
		if (e != 0 && e != -E2BIG && (e != SP_EFORMAT || r.error[0] == '\0'))
			abort();
		if (e != 0)
			continue;
		for (int i = 0; i < K_COUNT; i++)
			conf_value_text(&r.s, i, text, sizeof text);
		(void)conf_pack(&r, TO_AGENT, text, sizeof text);
		conf_resolved_free(&r);
	}
}

static void
load_anything(const uint8_t *data, size_t size)
{
	static const enum conf_audience roles[] = { TO_LISTENER, TO_MONITOR, TO_WORKER, TO_AGENT, TO_KEEPER };
	struct conf *c = conf_new(), *out;
	char line[1500];
	int errors = conf_load_text(c, "fuzz", (const char *)data, size);

	for (size_t i = 0; i < conf_problem_count(c); i++)
		(void)conf_problem_text(conf_problem_at(c, i), line, sizeof line);
	resolve_all(c);
	for (size_t i = 0; errors == 0 && i < sizeof roles / sizeof *roles; i++) {
		int fd = conf_seal(c, roles[i]);

		if (fd < 0 || conf_unseal(fd, roles[i], &out) != 0)
			abort();
		conf_free(out);
		close(fd);
	}
	conf_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == 0)
		unseal_anything(data + 1, size - 1);
	else
		load_anything(data, size);
	return 0;
}
