#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/secret.h"

int
secret_set(struct secret *s, const char *p, size_t n)
{
	if (n > SECRET_MAX)
		return SP_ERANGE;
	if (memchr(p, '\0', n) != NULL)
		return SP_EFORMAT;
	memcpy(s->data, p, n);
	s->data[n] = '\0';
	s->len = n;
	return 0;
}

void
secret_clear(struct secret *s)
{
	explicit_bzero(s, sizeof *s);
}
