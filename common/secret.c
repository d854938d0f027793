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

/* The least number of dollar signs, and the characters behind the last one; dollars 0: those of the whole. */
static const struct {
	const char *prefix;
	unsigned dollars, length;
} hash_forms[] = {
	{ "$y$", 4, 43 }, { "$gy$", 4, 43 }, { "$7$", 3, 43 }, { "$6$", 3, 86 }, { "$5$", 3, 43 }, { "$1$", 3, 22 },
	{ "$sha1$", 4, 28 }, { "$md5", 3, 22 }, { "$2a$", 0, 60 }, { "$2b$", 0, 60 }, { "$2x$", 0, 60 }, { "$2y$", 0, 60 },
	{ "_", 0, 20 },
};

bool
secret_hash_whole(const char *hash)
{
	const char *last = strrchr(hash, '$');
	unsigned dollars = 0;

	for (const char *p = hash; *p != '\0'; p++)
		dollars += *p == '$';
	for (size_t i = 0; i < sizeof hash_forms / sizeof hash_forms[0]; i++)
		if (strncmp(hash, hash_forms[i].prefix, strlen(hash_forms[i].prefix)) == 0)
			return hash_forms[i].dollars == 0 ? strlen(hash) == hash_forms[i].length :
			    dollars >= hash_forms[i].dollars && strlen(last + 1) == hash_forms[i].length;
	return true;
}
