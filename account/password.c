#include "config.h"

#include <crypt.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "account/password.h"
#include "account/password_library.h"
#include "account/turn.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

_Static_assert(sizeof(struct crypt_data) <= PASSWORD_MEMORY, "libcrypt wants more memory than is lent");

/* libcrypt's working memory. */
static struct crypt_data own_memory;
static struct crypt_data *work = &own_memory;

/* What goes into new hashes: crypt_gensalt(3)'s count, 0 for the system's default. */
static unsigned long new_count;

/* What a hash asks for: bytes of memory, and work in a measure of its kind. */
struct demand {
	uint64_t memory, work;
};

typedef enum password_verdict check_function(const struct secret *, const char *hash);
typedef struct demand demand_function(const char *hash);

static check_function check_crypt;
static demand_function yescrypt_demand, scrypt_demand, bcrypt_demand;
#ifdef HAVE_SODIUM
static demand_function argon2_demand;
#endif

#define AS_A_NEW_ONE 0

/*
 * Kinds of hashes, as crypt(5) lists them, and those of other libraries.  Of two that fit, the first counts.
 * demand NULL: no work of that kind is enough today.  enough: less work than this is outdated.
 */
static const struct kind {
	const char *prefix, *name;
	check_function *check;
	demand_function *demand;
	uint64_t enough;
} kinds[] = {
	{ "$y$",	"yescrypt",	check_crypt, yescrypt_demand, AS_A_NEW_ONE },
	{ "$gy$",	"gost-yescrypt", check_crypt, yescrypt_demand, AS_A_NEW_ONE },
	{ "$7$",	"scrypt",	check_crypt, scrypt_demand, AS_A_NEW_ONE },
#ifdef HAVE_SODIUM
	/* RFC 9106, 4: 64 MiB are the least, and two passes over them what libsodium asks of a login. */
	{ "$argon2id$",	"argon2id",	password_check_argon2, argon2_demand, 2 * (UINT64_C(64) << 20) },
	{ "$argon2i$",	"argon2i",	password_check_argon2, argon2_demand, UINT64_MAX },
#endif
	{ "$pbkdf2",	"pbkdf2",	password_check_pbkdf2, NULL, 0 },
	{ "$2b$",	"bcrypt",	check_crypt, bcrypt_demand, 1 << 10 },
	{ "$2y$",	"bcrypt",	check_crypt, bcrypt_demand, 1 << 10 },
	{ "$2a$",	"bcrypt",	check_crypt, NULL, 0 },
	{ "$2x$",	"bcrypt",	check_crypt, NULL, 0 },
	{ "$6$",	"sha512crypt",	check_crypt, NULL, 0 },
	{ "$5$",	"sha256crypt",	check_crypt, NULL, 0 },
	{ "$sha1",	"sha1crypt",	check_crypt, NULL, 0 },
	{ "$md5",	"sunmd5",	check_crypt, NULL, 0 },
	{ "$1$",	"md5crypt",	check_crypt, NULL, 0 },
	{ "_",		"bsdicrypt",	check_crypt, NULL, 0 },
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
	static const struct kind des = { "", "descrypt", check_crypt, NULL, 0 };

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

/* --------------------------------------------------------------------- what they cost */

/* The number that a character of crypt's own alphabet stands for; 0 for any other. */
static unsigned
digit(char c)
{
	static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);

	return at == NULL ? 0 : (unsigned)(at - alphabet);
}

/* 128 * r * 2^log, as the papers on scrypt and yescrypt have it. */
static uint64_t
block_memory(unsigned log, uint64_t r)
{
	return log > 40 || r > UINT32_MAX ? UINT64_MAX : (UINT64_C(128) * r) << log;
}

/* Behind the prefix a flavour, then the logarithm and the block size, each less one. */
static struct demand
yescrypt_demand(const char *hash)
{
	const char *p = strchr(hash + 1, '$') + 1;
	uint64_t memory = strnlen(p, 3) < 3 ? 0 : block_memory(digit(p[1]) + 1, digit(p[2]) + 1);

	return (struct demand){ memory, memory };
}

/* Five characters, the lowest six bits first. */
static uint64_t
thirty_bits(const char *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 5; i++)
		n |= (uint64_t)digit(p[i]) << (6 * i);
	return n;
}

/* The logarithm, the block size, the number of rounds. */
static struct demand
scrypt_demand(const char *hash)
{
	const char *p = hash + strlen("$7$");
	uint64_t memory = strnlen(p, 11) < 11 ? 0 : block_memory(digit(p[0]), thirty_bits(p + 1));

	return (struct demand){ memory, memory };
}

static struct demand
bcrypt_demand(const char *hash)
{
	unsigned long log = strtoul(hash + strlen("$2b$"), NULL, 10);

	return (struct demand){ 0, log > 31 ? UINT64_MAX : UINT64_C(1) << log };
}

#ifdef HAVE_SODIUM
/* $argon2id$v=19$m=KIBIBYTES,t=PASSES,p=LANES$ */
static struct demand
argon2_demand(const char *hash)
{
	const char *m = strstr(hash, "$m="), *t = m == NULL ? NULL : strstr(m, ",t=");
	uint64_t memory = m == NULL ? 0 : (strtoull(m + 3, NULL, 10) & UINT32_MAX) << 10;

	return (struct demand){ memory, t == NULL ? 0 : memory * (strtoull(t + 3, NULL, 10) & 0xffff) };
}
#endif

static struct demand
demand_of(const struct kind *k, const char *hash)
{
	return k == NULL || k->demand == NULL ? (struct demand){ 0, 0 } : k->demand(hash);
}

static const char *
preferred(void)
{
	const char *prefix = crypt_preferred_method();

	return prefix != NULL ? prefix : "$y$";
}

/* The beginning of a new hash of that kind: prefix, parameters, salt. 0 or -errno. */
static int
new_setting(const char *prefix, char *setting, size_t size)
{
	unsigned long count = strcmp(prefix, preferred()) == 0 ? new_count : 0;

	errno = 0;
	if (crypt_gensalt_rn(prefix, count, NULL, 0, setting, (int)size) != NULL)
		return 0;
	return errno != 0 ? -errno : -EINVAL;
}

/* What a number in the hash says of its work: crypt(5)'s rounds=, or the rounds of PBKDF2; 5000 is the former's default. */
static uint64_t
rounds_of(const char *hash)
{
	const char *rounds = strstr(hash, "rounds="), *second = hash[0] == '$' ? strchr(hash + 1, '$') : NULL;

	if (rounds != NULL)
		return strtoull(rounds + strlen("rounds="), NULL, 10);
	if (strncmp(hash, "$5$", 3) == 0 || strncmp(hash, "$6$", 3) == 0)
		return 5000;
	return strncmp(hash, "$pbkdf2", 7) == 0 && second != NULL ? strtoull(second + 1, NULL, 10) : 0;
}

static uint64_t
work_of(const struct kind *k, const char *hash)
{
	return k->demand != NULL ? demand_of(k, hash).work : rounds_of(hash);
}

/* The table of kinds begins with the dearest; descrypt stands behind it. */
static size_t
rank(const struct kind *k)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (k == &kinds[i])
			return i;
	return sizeof kinds / sizeof *kinds;
}

bool
password_is_dearer(const char *hash, const char *than)
{
	const struct kind *a = kind_of(hash), *b = kind_of(than);

	if (a == NULL || b == NULL)
		return a != NULL;
	return a != b ? rank(a) < rank(b) : work_of(a, hash) > work_of(b, than);
}

bool
password_same_work(const char *hash, const char *other)
{
	const struct kind *a = kind_of(hash);

	return a != NULL && a == kind_of(other) && work_of(a, hash) == work_of(a, other);
}

int
password_setting(char *setting, size_t size)
{
	return new_setting(preferred(), setting, size);
}

void
password_set_cost(unsigned cost)
{
	new_count = cost;
}

bool
password_outdated(const char *hash)
{
	const struct kind *k = kind_of(hash);
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	uint64_t enough;

	if (k == NULL || k->demand == NULL)
		return true;
	enough = k->enough;
	if (enough == AS_A_NEW_ONE && new_setting(k->prefix, setting, sizeof setting) == 0)
		enough = demand_of(k, setting).work;
	return demand_of(k, hash).work < enough;
}

/* ------------------------------------------------------------------------- at work */

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

/* Waits until there is memory for a hash. false: there will never be, which is logged. */
static bool
begin_turn(const struct kind *k, const char *hash)
{
	int r = turn_take(demand_of(k, hash).memory);

	if (r != 0)
		log_problem(LOG_LEVEL_ERROR, "password-memory-too-small", k->name, r);
	return r == 0;
}

enum password_verdict
password_check(const struct secret *password, const char *hash)
{
	const struct kind *k;
	enum password_verdict verdict;

	/* shadow(5): these fit no password. An empty field would fit any: never here. */
	if (hash[0] == '\0' || hash[0] == '!' || hash[0] == '*')
		return PASSWORD_LOCKED;
	k = kind_of(hash);
	if (k == NULL || !begin_turn(k, hash))
		return PASSWORD_UNSUPPORTED;
	verdict = k->check(password, hash);
	turn_end();
	return verdict;
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
	/* A stands in every alphabet, and for zero in base64, whose padding stays. */
	for (; from < n; from++)
		if (hash[from] != '=')
			hash[from] = 'A';
}

bool
password_storable(const struct secret *password)
{
	return password->len > 0;
}

int
password_make(const struct secret *password, char *hash, size_t size)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const struct kind *k;
	const char *out;
	int r;

	if (!password_storable(password) || password->len >= CRYPT_MAX_PASSPHRASE_SIZE)
		return -EINVAL;
	r = new_setting(preferred(), setting, sizeof setting);
	if (r != 0)
		return r;
	k = kind_of(setting);
	if (k != NULL && !begin_turn(k, setting))
		return -ENOMEM;
	errno = 0;
	out = crypt_rn(password->data, setting, work, (int)sizeof *work);
	r = out != NULL && out[0] != '*' ? str_copy(hash, size, out) : errno != 0 ? -errno : -EINVAL;
	turn_end();
	return r;
}
