#include "config.h"

#include <crypt.h>
#include <errno.h>
#include <string.h>

#ifdef HAVE_SODIUM
#include <dlfcn.h>
#include <sodium.h>
#endif

#include "account/password.h"
#include "common/err.h"
#include "common/str.h"

#define SODIUM_MAJOR "23"	/* of its binary interface since version 1.0.12 */

_Static_assert(sizeof(struct crypt_data) <= PASSWORD_MEMORY, "libcrypt wants more memory than is lent");

/* libcrypt's working memory. */
static struct crypt_data own_memory;
static struct crypt_data *work = &own_memory;

typedef enum password_verdict check_function(const struct secret *, const char *hash);

static check_function check_crypt;
#ifdef HAVE_SODIUM
static check_function check_sodium;
#endif

/* Kinds of hashes, as crypt(5) lists them. Of two that fit, the first counts. */
static const struct kind {
	const char *prefix, *name;
	bool strong;		/* as good as what password_make() makes */
	check_function *check;
} kinds[] = {
	{ "$y$",	"yescrypt",	true,	check_crypt },
	{ "$gy$",	"gost-yescrypt", true,	check_crypt },
	{ "$7$",	"scrypt",	true,	check_crypt },
#ifdef HAVE_SODIUM
	{ "$argon2id$",	"argon2id",	true,	check_sodium },
	{ "$argon2i$",	"argon2i",	true,	check_sodium },
#endif
	{ "$2b$",	"bcrypt",	true,	check_crypt },
	{ "$2y$",	"bcrypt",	true,	check_crypt },
	{ "$2a$",	"bcrypt",	false,	check_crypt },
	{ "$2x$",	"bcrypt",	false,	check_crypt },
	{ "$6$",	"sha512crypt",	false,	check_crypt },
	{ "$5$",	"sha256crypt",	false,	check_crypt },
	{ "$sha1",	"sha1crypt",	false,	check_crypt },
	{ "$md5",	"sunmd5",	false,	check_crypt },
	{ "$1$",	"md5crypt",	false,	check_crypt },
	{ "_",		"bsdicrypt",	false,	check_crypt },
};

/* Thirteen characters of the crypt alphabet without any prefix. */
static bool
is_descrypt(const char *hash)
{
	static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	return strlen(hash) == 13 && strspn(hash, alphabet) == 13;
}

static const struct kind *
kind_of(const char *hash)
{
	static const struct kind des = { "", "descrypt", false, check_crypt };

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strncmp(hash, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return &kinds[i];
	return is_descrypt(hash) ? &des : NULL;
}

const char *
password_kind(const char *hash)
{
	const struct kind *k = kind_of(hash);

	return k == NULL ? NULL : k->name;
}

bool
password_is_hash(const char *text)
{
	return text[0] == '$' && kind_of(text) != NULL;
}

/*
 * Is it yescrypt with less work than the system's default of today?  Behind
 * the flavour the parameters name the block count, a character of crypt's
 * own alphabet, whose order is that of the numbers.
 */
static bool
is_cheap(const char *hash)
{
	static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *mine, *now;

	if (strncmp(hash, "$y$j", 4) != 0 || crypt_gensalt_rn("$y$", 0, NULL, 0, setting,
	    (int)sizeof setting) == NULL ||
	    strncmp(setting, "$y$j", 4) != 0)
		return false;
	mine = hash[4] == '\0' ? NULL : strchr(alphabet, hash[4]);
	now = strchr(alphabet, setting[4]);
	return mine != NULL && now != NULL && mine < now;
}

bool
password_outdated(const char *hash)
{
	const struct kind *k = kind_of(hash);

	return k == NULL || !k->strong || is_cheap(hash);
}

bool
password_same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	volatile unsigned char differ = a_len != b_len;

	/* As long as the client's text lasts, whatever the secret one is. */
	for (size_t i = 0; i < a_len; i++)
		differ = (unsigned char)(differ | (a[i] ^ (b_len == 0 ? 1 : b[i % b_len])));
	return differ == 0;
}

void
password_lend(void *memory)
{
	work = memory;
}

void
password_release(void)
{
	/* What libcrypt needs in between it clears itself. */
	explicit_bzero(work->output, sizeof work->output);
	explicit_bzero(work->setting, sizeof work->setting);
	explicit_bzero(work->input, sizeof work->input);
}

static enum password_verdict
check_crypt(const struct secret *password, const char *hash)
{
	const char *out = crypt_rn(password->data, hash, work, (int)sizeof *work);

	/* libcrypt refuses long passwords and unknown settings alike; a long password is merely wrong. */
	if (out == NULL || out[0] == '*')
		return password->len >= CRYPT_MAX_PASSPHRASE_SIZE ? PASSWORD_WRONG : PASSWORD_UNSUPPORTED;
	return password_same(out, strlen(out), hash, strlen(hash)) ? PASSWORD_RIGHT : PASSWORD_WRONG;
}

#ifdef HAVE_SODIUM
/*
 * Opened at the first hash of this kind: each library that the monitor's
 * template maps makes every session dearer, and most servers have no such hash.
 */
static enum password_verdict
check_sodium(const struct secret *password, const char *hash)
{
	void *library = dlopen("libsodium.so." SODIUM_MAJOR, RTLD_NOW);
	__typeof__(sodium_init) *init;
	__typeof__(crypto_pwhash_str_verify) *verify;

	if (library == NULL || strlen(hash) >= crypto_pwhash_STRBYTES)
		return PASSWORD_UNSUPPORTED;
	*(void **)&init = dlsym(library, "sodium_init");
	*(void **)&verify = dlsym(library, "crypto_pwhash_str_verify");
	if (init == NULL || verify == NULL || init() < 0)
		return PASSWORD_UNSUPPORTED;
	return verify(hash, password->data, password->len) == 0 ? PASSWORD_RIGHT : PASSWORD_WRONG;
}
#endif

enum password_verdict
password_check(const struct secret *password, const char *hash)
{
	const struct kind *k;

	/* shadow(5): these fit no password. An empty field would fit any: never here. */
	if (hash[0] == '\0' || hash[0] == '!' || hash[0] == '*')
		return PASSWORD_LOCKED;
	k = kind_of(hash);
	return k == NULL ? PASSWORD_UNSUPPORTED : k->check(password, hash);
}

void
password_waste(const struct secret *password, const char *hash)
{
	enum password_verdict ignored = password_check(password, hash);

	(void)ignored;
}

void
password_mask(char *hash)
{
	char *last = strrchr(hash, '$');
	size_t n = strlen(hash), from = last == NULL ? 2 : (size_t)(last - hash) + 1;

	/* bcrypt has no sign between its 22 characters of salt and the hash. */
	if (strncmp(hash, "$2", 2) == 0)
		from += 22;
	if (from < n)
		memset(hash + from, '.', n - from);
}

int
password_make(const struct secret *password, char *hash, size_t size)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *preferred = crypt_preferred_method(), *out;

	if (password->len >= CRYPT_MAX_PASSPHRASE_SIZE)
		return -EINVAL;
	if (preferred == NULL)
		preferred = "$y$";
	if (crypt_gensalt_rn(preferred, 0, NULL, 0, setting, (int)sizeof setting) == NULL)
		return -errno;
	out = crypt_rn(password->data, setting, work, (int)sizeof *work);
	if (out == NULL || out[0] == '*')
		return errno != 0 ? -errno : -EINVAL;
	return str_copy(hash, size, out);
}
