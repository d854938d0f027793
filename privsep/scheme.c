#include "config.h"

#include <string.h>

#include "privsep/scheme.h"

static const struct scheme schemes[] = {
#define SCHEME(code, name, key, digest, pss, shapes, group) { code, name, key, digest, pss, shapes, group },
#include "privsep/schemes.def"
#undef SCHEME
};

#define SCHEMES (sizeof schemes / sizeof schemes[0])

const struct scheme *
scheme_at(size_t i)
{
	return i < SCHEMES ? &schemes[i] : NULL;
}

const struct scheme *
scheme_by_code(unsigned code)
{
	for (size_t i = 0; i < SCHEMES; i++)
		if (schemes[i].code == code)
			return &schemes[i];
	return NULL;
}

/* "sha2-256" and "SHA256" are two names of one digest. */
static bool
same_digest(const char *ours, const char *given)
{
	if (strncasecmp(given, "SHA2-", 5) == 0)
		return strncasecmp(ours, "SHA", 3) == 0 && strcasecmp(ours + 3, given + 5) == 0;
	return strcasecmp(ours, given) == 0;
}

const struct scheme *
scheme_find(enum scheme_key key, const char *digest, bool pss)
{
	for (size_t i = 0; i < SCHEMES; i++)
		if (schemes[i].key == key && schemes[i].pss == pss && same_digest(schemes[i].digest, digest))
			return &schemes[i];
	return NULL;
}

const char *
scheme_key_name(enum scheme_key key)
{
	static const char *const names[] = { [SCHEME_RSA] = "RSA", [SCHEME_EC] = "EC", [SCHEME_ED25519] = "ED25519" };

	return names[key];
}
