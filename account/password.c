#include "config.h"

#include <crypt.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "account/password.h"
#include "account/password_kind.h"
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

int
password_setting(char *setting, size_t size)
{
	int r = new_setting(preferred(), setting, size);
	size_t n = r == 0 ? strlen(setting) : 0;

	/*
	 * Complete with the sign between salt and hash, which bcrypt has none of: so that password_mask() finds no
	 * hash.
	 */
	return r != 0 || strncmp(setting, "$2", 2) == 0 ? r : str_copy(setting + n, size - n, "$");
}

void
password_set_cost(unsigned cost)
{
	new_count = cost;
}

bool
password_outdated(const char *hash)
{
	const struct password_kind *k = password_kind_of(hash);
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (k == NULL)
		return true;
	if (k->enough != KIND_AS_NEW)
		return k->demand(hash).work < k->enough;
	/* These are as strong as the memory that they fill, however often. */
	return new_setting(k->prefix, setting, sizeof setting) == 0 && k->demand(hash).memory < k->demand(setting).memory;
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

enum password_verdict
password_check_crypt(const struct secret *password, const char *hash)
{
	const char *out = crypt_rn(password->data, hash, work, (int)sizeof *work);

	/* libcrypt refuses long passwords and unknown settings alike; a long password is merely wrong. */
	if (out == NULL || out[0] == '*')
		return password->len >= CRYPT_MAX_PASSPHRASE_SIZE ? PASSWORD_WRONG : PASSWORD_UNSUPPORTED;
	return password_same(out, strlen(out), hash, strlen(hash)) ? PASSWORD_RIGHT : PASSWORD_WRONG;
}

/* Waits until there is memory for a hash. false: there will never be, which is logged. */
static bool
begin_turn(const struct password_kind *k, const char *hash)
{
	int r = turn_take(k->demand(hash).memory);

	if (r != 0)
		log_problem(EVENT_PASSWORD_MEMORY_TOO_SMALL, k->name, r);
	return r == 0;
}

enum password_verdict
password_check(const struct secret *password, const char *hash)
{
	const struct password_kind *k;
	enum password_verdict verdict;

	/* shadow(5): these fit no password. An empty field would fit any: never here. */
	if (hash[0] == '\0' || hash[0] == '!' || hash[0] == '*')
		return PASSWORD_LOCKED;
	k = password_kind_of(hash);
	if (k == NULL || k->check == NULL || !begin_turn(k, hash))
		return PASSWORD_UNSUPPORTED;
	verdict = k->check(password, hash);
	turn_end();
	return verdict;
}

bool
password_computable(const char *hash)
{
	const struct password_kind *k = password_kind_of(hash);
	int salt;

	if (k == NULL || k->check != password_check_crypt)
		return k != NULL && k->check != NULL && password_library_reads(hash);
	salt = crypt_checksalt(hash);
	return salt != CRYPT_SALT_INVALID && salt != CRYPT_SALT_METHOD_DISABLED;
}

bool
password_affordable(const char *hash)
{
	const struct password_kind *k = password_kind_of(hash);

	return k != NULL && k->demand(hash).work <= k->most && turn_fits(k->demand(hash).memory);
}

void
password_waste(const struct secret *password, const char *hash, uint64_t amount)
{
	const struct password_kind *k = password_kind_of(hash);
	char part[PASSWORD_HASH_MAX];

	while (k != NULL && amount > 0) {
		uint64_t whole = k->demand(hash).work, done = whole;

		if (amount < whole && k->divide != NULL)
			done = k->divide(hash, amount, part, sizeof part);
		if (done == 0)
			break;
		(void)password_check(password, amount < whole && k->divide != NULL ? part : hash);
		amount -= done < amount ? done : amount;
	}
	explicit_bzero(part, sizeof part);
}

void
password_mask(char *hash)
{
	char *last = strrchr(hash, '$');
	size_t n = strlen(hash), from = last == NULL ? 2 : (size_t)(last - hash) + 1;

	/* bcrypt has no sign between its 22 characters of salt and the hash. */
	if (strncmp(hash, "$2", 2) == 0)
		from += 22;
	if (hash[0] == '_')
		from = 9;	/* four characters of rounds, four of salt */
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
	const struct password_kind *k;
	const char *out;
	int r;

	if (!password_storable(password) || password->len >= CRYPT_MAX_PASSPHRASE_SIZE)
		return -EINVAL;
	r = new_setting(preferred(), setting, sizeof setting);
	if (r != 0)
		return r;
	k = password_kind_of(setting);
	if (k != NULL && !begin_turn(k, setting))
		return -ENOMEM;
	errno = 0;
	out = crypt_rn(password->data, setting, work, (int)sizeof *work);
	r = out != NULL && out[0] != '*' ? str_copy(hash, size, out) : errno != 0 ? -errno : -EINVAL;
	turn_end();
	return r;
}
