#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "account/password_kind.h"
#include "account/password_library.h"
#include "common/str.h"

#define MIB(n)		(UINT64_C(n) << 20)
#define ROUNDS_MOST	10000000
#define MEMORY_MOST	(UINT64_C(8) << 30)	/* bytes filled, all passes together */

static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* The number that a character of crypt's own alphabet stands for; 0 for any other. */
static unsigned
digit(char c)
{
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);

	return at == NULL ? 0 : (unsigned)(at - alphabet);
}

/* A copy of the hash in which other digits stand at a place. */
static bool
with_number(const char *hash, size_t at, uint64_t number, char *out, size_t size)
{
	size_t digits = strspn(hash + at, "0123456789");

	return str_format(out, size, "%.*s%llu%s", (int)at, hash, (unsigned long long)number, hash + at + digits) == 0;
}

/* The largest logarithm of which the power of two, times unit, is no more than work; -1: none. */
static int
log_within(uint64_t work, uint64_t unit)
{
	int log = -1;

	while (unit != 0 && log < 40 && unit <= work >> (log + 1))
		log++;
	return log;
}

/* ------------------------------------------------------------- memory: yescrypt and scrypt */

#define LOG_MIN 6	/* less than that is lost in the work around it */

/* 128 * r * 2^log, as the papers on scrypt and yescrypt have it. */
static uint64_t
block_memory(unsigned log, uint64_t r)
{
	return log > 40 || r > UINT32_MAX ? UINT64_MAX : (UINT64_C(128) * r) << log;
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

/* A copy with another logarithm, which stands at a place as one character, less so many. */
static uint64_t
with_log(const char *hash, size_t at, uint64_t unit, unsigned less, uint64_t work, char *out, size_t size)
{
	int log = log_within(work, unit);

	if (log < LOG_MIN || str_copy(out, size, hash) != 0)
		return 0;
	out[at] = alphabet[(unsigned)log - less];
	return unit << log;
}

/* Behind the prefix a flavour, then the logarithm and the block size, each less one. */
static const char *
yescrypt_parameters(const char *hash)
{
	const char *p = strchr(hash + 1, '$') + 1;

	return strnlen(p, 3) < 3 ? NULL : p;
}

static struct demand
yescrypt_demand(const char *hash)
{
	const char *p = yescrypt_parameters(hash);
	uint64_t memory = p == NULL ? 0 : block_memory(digit(p[1]) + 1, digit(p[2]) + 1);

	return (struct demand){ memory, memory };
}

static uint64_t
divide_yescrypt(const char *hash, uint64_t work, char *out, size_t size)
{
	const char *p = yescrypt_parameters(hash);

	return p == NULL ? 0 : with_log(hash, (size_t)(p + 1 - hash), block_memory(0, digit(p[2]) + 1), 1, work, out, size);
}

#define SCRYPT_AT	strlen("$7$")
#define SCRYPT_LEN	11	/* the logarithm, five characters of block size, five of how often */

/* What the hash does for each unit of its logarithm's power. */
static uint64_t
scrypt_unit(const char *hash)
{
	const char *p = hash + SCRYPT_AT;
	uint64_t times = strnlen(p, SCRYPT_LEN) < SCRYPT_LEN ? 0 : thirty_bits(p + 6);
	uint64_t block = times == 0 ? 0 : block_memory(0, thirty_bits(p + 1));

	return times != 0 && block > UINT64_MAX / times ? UINT64_MAX : block * times;
}

static struct demand
scrypt_demand(const char *hash)
{
	const char *p = hash + SCRYPT_AT;
	uint64_t unit = scrypt_unit(hash);
	unsigned log = unit == 0 ? 0 : digit(p[0]);
	uint64_t memory = unit == 0 ? 0 : block_memory(log, thirty_bits(p + 1));

	return (struct demand){ memory, log > 40 || unit > UINT64_MAX >> log ? UINT64_MAX : unit << log };
}

static uint64_t
divide_scrypt(const char *hash, uint64_t work, char *out, size_t size)
{
	return with_log(hash, SCRYPT_AT, scrypt_unit(hash), 0, work, out, size);
}

/* --------------------------------------------------------------------------- memory: Argon2 */

#ifdef HAVE_SODIUM
#define KIB_MIN		8	/* RFC 9106, 3.1, of one lane */
#define ARGON2I_PASSES	3	/* libsodium computes none of fewer */

/* $argon2id$v=19$m=KIBIBYTES,t=PASSES,p=LANES$ */
struct argon2 {
	const char *end;	/* of m and t */
	size_t begin;
	uint64_t kib, passes;
};

static bool
argon2_parameters(const char *hash, struct argon2 *a)
{
	const char *m = strstr(hash, "$m="), *t = m == NULL ? NULL : strstr(m, ",t=");

	if (t == NULL)
		return false;
	a->begin = (size_t)(m - hash);
	a->kib = strtoull(m + 3, NULL, 10) & UINT32_MAX;
	a->passes = strtoull(t + 3, NULL, 10) & 0xffff;
	a->end = t + 3 + strspn(t + 3, "0123456789");
	return a->kib > 0 && a->passes > 0;
}

static struct demand
argon2_demand(const char *hash)
{
	struct argon2 a;

	if (!argon2_parameters(hash, &a))
		return (struct demand){ 0, 0 };
	return (struct demand){ a.kib << 10, (a.kib << 10) * a.passes };
}

/* As many passes as it takes to stay within the memory of the whole. */
static uint64_t
divide_argon2(const char *hash, uint64_t work, char *out, size_t size)
{
	uint64_t least = strncmp(hash, "$argon2i$", 9) == 0 ? ARGON2I_PASSES : 1, passes, kib;
	struct argon2 a;

	if (!argon2_parameters(hash, &a))
		return 0;
	passes = ((work >> 10) + a.kib - 1) / a.kib;
	passes = passes < least ? least : passes;
	kib = (work >> 10) / passes;
	if (kib < KIB_MIN || str_format(out, size, "%.*s$m=%llu,t=%llu%s", (int)a.begin, hash, (unsigned long long)kib,
	    (unsigned long long)passes, a.end) != 0)
		return 0;
	return (kib * passes) << 10;
}
#endif

/* --------------------------------------------------------------------------- rounds */

#define BCRYPT_MIN	4
#define SHA_DEFAULT	5000	/* crypt(5), where rounds= is not given */
#define SHA_MIN		1000

static struct demand
bcrypt_demand(const char *hash)
{
	unsigned long log = strtoul(hash + strlen("$2b$"), NULL, 10);

	return (struct demand){ 0, log > 31 ? UINT64_MAX : UINT64_C(1) << log };
}

static uint64_t
divide_bcrypt(const char *hash, uint64_t work, char *out, size_t size)
{
	const size_t at = strlen("$2b$");
	int log = log_within(work, 1);

	if (log < BCRYPT_MIN || strnlen(hash, at + 2) < at + 2 ||
	    str_format(out, size, "%.*s%02d%s", (int)at, hash, log, hash + at + 2) != 0)
		return 0;
	return UINT64_C(1) << log;
}

/*
 * The number behind "rounds=", where that stands first behind the prefix; in a salt it means nothing. NULL: there
 * is none.
 */
static const char *
rounds_of(const char *hash, const char *prefix)
{
	static const char word[] = "rounds=";
	const char *at = hash + strlen(prefix);

	return strncmp(at, word, sizeof word - 1) == 0 ? at + sizeof word - 1 : NULL;
}

static struct demand
sha_demand(const char *hash)
{
	const char *rounds = rounds_of(hash, "$6$");

	return (struct demand){ 0, rounds == NULL ? SHA_DEFAULT : strtoull(rounds, NULL, 10) };
}

static uint64_t
divide_sha(const char *hash, uint64_t work, char *out, size_t size)
{
	const size_t at = strlen("$6$");
	const char *rounds = rounds_of(hash, "$6$");
	bool ok = rounds != NULL ? with_number(hash, (size_t)(rounds - hash), work, out, size)
	    : str_format(out, size, "%.*srounds=%llu$%s", (int)at, hash, (unsigned long long)work, hash + at) == 0;

	return ok && work >= SHA_MIN ? work : 0;
}

/* $sha1$ROUNDS$, $pbkdf2-sha256$ROUNDS$ */
static struct demand
second_field_demand(const char *hash)
{
	const char *second = strchr(hash + 1, '$');

	return (struct demand){ 0, second == NULL ? 0 : strtoull(second + 1, NULL, 10) };
}

static uint64_t
divide_second_field(const char *hash, uint64_t work, char *out, size_t size)
{
	const char *second = strchr(hash + 1, '$');

	return second != NULL && with_number(hash, (size_t)(second + 1 - hash), work, out, size) ? work : 0;
}

/* $md5,rounds=N$ are so many more than always. */
static struct demand
sunmd5_demand(const char *hash)
{
	const char *rounds = strncmp(hash, "$md5,", strlen("$md5,")) != 0 ? NULL : rounds_of(hash, "$md5,");

	return (struct demand){ 0, 4096 + (rounds == NULL ? 0 : strtoull(rounds, NULL, 10)) };
}

/* _CCCC: four characters, the lowest six bits first */
static struct demand
bsdicrypt_demand(const char *hash)
{
	uint64_t rounds = 0;

	for (unsigned i = 0; strnlen(hash, 5) == 5 && i < 4; i++)
		rounds |= (uint64_t)digit(hash[1 + i]) << (6 * i);
	return (struct demand){ 0, rounds };
}

static struct demand
fixed_demand(const char *hash)
{
	(void)hash;
	return (struct demand){ 0, 1 };
}

/* --------------------------------------------------------------------------- the table */

#define crypt_check password_check_crypt
#define pbkdf2_check password_check_pbkdf2

/* As crypt(5) lists them, and those of other libraries.  Of two that fit, the first counts. */
static const struct password_kind kinds[] = {
	{ "$y$", "yescrypt", crypt_check, yescrypt_demand, divide_yescrypt, KIND_AS_NEW, MEMORY_MOST },
	{ "$gy$", "gost-yescrypt", crypt_check, yescrypt_demand, divide_yescrypt, KIND_AS_NEW, MEMORY_MOST },
	{ "$7$", "scrypt", crypt_check, scrypt_demand, divide_scrypt, KIND_AS_NEW, MEMORY_MOST },
#ifdef HAVE_SODIUM
	/* RFC 9106, 4: 64 MiB are the least, and two passes over them what libsodium asks of a login. */
	{ "$argon2id$", "argon2id", password_check_argon2, argon2_demand, divide_argon2, 2 * MIB(64), MEMORY_MOST },
	{ "$argon2i$", "argon2i", password_check_argon2, argon2_demand, divide_argon2, KIND_NEVER, MEMORY_MOST },
#else
	{ "$argon2", "argon2", NULL, fixed_demand, NULL, KIND_NEVER, MEMORY_MOST },
#endif
	{ "$pbkdf2-sha512$", "pbkdf2-sha512", pbkdf2_check, second_field_demand, divide_second_field, KIND_NEVER, ROUNDS_MOST },
	{ "$pbkdf2-sha256$", "pbkdf2-sha256", pbkdf2_check, second_field_demand, divide_second_field, KIND_NEVER, ROUNDS_MOST },
	{ "$pbkdf2-b64salt-sha256$", "pbkdf2-sha256", pbkdf2_check, second_field_demand, divide_second_field, KIND_NEVER,
	    ROUNDS_MOST },
	{ "$pbkdf2-sha1$", "pbkdf2-sha1", pbkdf2_check, second_field_demand, divide_second_field, KIND_NEVER, ROUNDS_MOST },
	{ "$pbkdf2$", "pbkdf2-sha1", pbkdf2_check, second_field_demand, divide_second_field, KIND_NEVER, ROUNDS_MOST },
	{ "$pbkdf2", "pbkdf2", NULL, fixed_demand, NULL, KIND_NEVER, ROUNDS_MOST },	/* of no digest that we know */
	{ "$2b$", "bcrypt", crypt_check, bcrypt_demand, divide_bcrypt, 1 << 10, 1 << 16 },
	{ "$2y$", "bcrypt", crypt_check, bcrypt_demand, divide_bcrypt, 1 << 10, 1 << 16 },
	{ "$2a$", "bcrypt", crypt_check, bcrypt_demand, divide_bcrypt, KIND_NEVER, 1 << 16 },
	{ "$2x$", "bcrypt", crypt_check, bcrypt_demand, divide_bcrypt, KIND_NEVER, 1 << 16 },
	{ "$6$", "sha512crypt", crypt_check, sha_demand, divide_sha, KIND_NEVER, ROUNDS_MOST },
	{ "$5$", "sha256crypt", crypt_check, sha_demand, divide_sha, KIND_NEVER, ROUNDS_MOST },
	{ "$sha1", "sha1crypt", crypt_check, second_field_demand, divide_second_field, KIND_NEVER, ROUNDS_MOST },
	{ "$md5", "sunmd5", crypt_check, sunmd5_demand, NULL, KIND_NEVER, ROUNDS_MOST },
	{ "$1$", "md5crypt", crypt_check, fixed_demand, NULL, KIND_NEVER, ROUNDS_MOST },
	{ "_", "bsdicrypt", crypt_check, bsdicrypt_demand, NULL, KIND_NEVER, ROUNDS_MOST },
	/* Thirteen characters of the alphabet without any prefix. */
	{ "", "descrypt", crypt_check, fixed_demand, NULL, KIND_NEVER, ROUNDS_MOST }
};

#define KINDS (sizeof kinds / sizeof *kinds)

_Static_assert(KINDS <= PASSWORD_WORKS, "each kind has a place of its own");

static bool
has_prefix(const struct password_kind *k, const char *hash)
{
	if (k->prefix[0] == '\0')
		return strlen(hash) == 13 && strspn(hash, alphabet) == 13;
	return strncmp(hash, k->prefix, strlen(k->prefix)) == 0;
}

const struct password_kind *
password_kind_of(const char *hash)
{
	for (size_t i = 0; i < KINDS; i++)
		if (has_prefix(&kinds[i], hash))
			return &kinds[i];
	return NULL;
}

const char *
password_kind(const char *hash)
{
	const struct password_kind *k = password_kind_of(hash);

	return k == NULL ? NULL : k->name;
}

bool
password_is_hash(const char *text)
{
	return text[0] == '$' && password_kind_of(text) != NULL;
}

int
password_place(const char *hash)
{
	const char *name = password_kind(hash);

	for (size_t i = 0; name != NULL && i < KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return (int)i;
	return -1;
}

uint64_t
password_work(const char *hash)
{
	const struct password_kind *k = password_kind_of(hash);

	return k == NULL ? 0 : k->demand(hash).work;
}
