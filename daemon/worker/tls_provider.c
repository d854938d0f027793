#include "config.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/str.h"
#include "daemon/worker/tls_provider.h"
#include "privsep/scheme.h"

#define PROVIDER	"sallyport"
#define OURS		"provider=" PROVIDER
#define DEFAULT		"provider=default"
#define KEY_NUMBER	"sallyport-key"	/* parameter: the number of the private half */

/* What stands for a key: its public half, as the default provider knows it, and a number. */
struct key {
	enum scheme_key kind;
	bool has_number;
	uint32_t number;
	EVP_PKEY *public;
};

/* One signature in the making. */
struct operation {
	const struct key *key;	/* OpenSSL keeps the key object alive meanwhile */
	char digest[32];
	bool pss;
};

static struct {
	tls_signer *sign;
	void *context;
} signer;

/* ------------------------------------------------------------ key management */

static void *
key_new(enum scheme_key kind)
{
	struct key *k = OPENSSL_zalloc(sizeof *k);

	if (k != NULL)
		k->kind = kind;
	return k;
}

static void *
key_new_rsa(void *provider)
{
	(void)provider;
	return key_new(SCHEME_RSA);
}

static void *
key_new_ec(void *provider)
{
	(void)provider;
	return key_new(SCHEME_EC);
}

static void *
key_new_ed25519(void *provider)
{
	(void)provider;
	return key_new(SCHEME_ED25519);
}

static void
key_free(void *data)
{
	struct key *k = data;

	if (k == NULL)
		return;
	EVP_PKEY_free(k->public);
	OPENSSL_free(k);
}

static int
key_has(const void *data, int selection)
{
	const struct key *k = data;

	if (k == NULL)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && !k->has_number)
		return 0;
	return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0 || k->public != NULL;
}

static int
key_match(const void *a, const void *b, int selection)
{
	const struct key *ka = a, *kb = b;

	(void)selection;
	return ka->public != NULL && kb->public != NULL && EVP_PKEY_eq(ka->public, kb->public) == 1;
}

/* Takes the public parameters and, if it is there, the number. */
static int
key_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct key *k = data;
	const OSSL_PARAM *number = OSSL_PARAM_locate_const(params, KEY_NUMBER);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, scheme_key_name(k->kind), DEFAULT);
	int ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &k->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) == 1;

	(void)selection;
	EVP_PKEY_CTX_free(ctx);
	if (ok && number != NULL)
		ok = k->has_number = OSSL_PARAM_get_uint32(number, &k->number) == 1;
	return ok;
}

static const OSSL_PARAM *
key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_uint32(KEY_NUMBER, NULL),
		OSSL_PARAM_END
	};

	(void)selection;
	return types;
}

/* Only ever the public half: that is how OpenSSL compares the key with the certificate. */
static int
key_export(void *data, int selection, OSSL_CALLBACK *callback, void *argument)
{
	struct key *k = data;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || k->public == NULL)
		return 0;
	return EVP_PKEY_export(k->public, EVP_PKEY_PUBLIC_KEY, callback, argument);
}

static const OSSL_PARAM *
key_export_types(int selection)
{
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL : key_import_types(selection);
}

static int
key_get_params(void *data, OSSL_PARAM params[])
{
	struct key *k = data;

	return k->public != NULL && EVP_PKEY_get_params(k->public, params) == 1;
}

static const OSSL_PARAM *
key_gettable(void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END
	};

	(void)provider;
	return types;
}

/* The name of the signature that goes with a key; only EC's differs from its own. */
static const char *
key_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

typedef void (*function)(void);

#define KEYMGMT(name, make, ...)							\
static const OSSL_DISPATCH name[] = {							\
	{ OSSL_FUNC_KEYMGMT_NEW, (function)make },					\
	{ OSSL_FUNC_KEYMGMT_FREE, (function)key_free },					\
	{ OSSL_FUNC_KEYMGMT_HAS, (function)key_has },					\
	{ OSSL_FUNC_KEYMGMT_MATCH, (function)key_match },				\
	{ OSSL_FUNC_KEYMGMT_IMPORT, (function)key_import },				\
	{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (function)key_import_types },			\
	{ OSSL_FUNC_KEYMGMT_EXPORT, (function)key_export },				\
	{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (function)key_export_types },			\
	{ OSSL_FUNC_KEYMGMT_GET_PARAMS, (function)key_get_params },			\
	{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (function)key_gettable },			\
	__VA_ARGS__									\
	{ 0, NULL }									\
};

KEYMGMT(keymgmt_rsa, key_new_rsa)
KEYMGMT(keymgmt_ec, key_new_ec, { OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (function)key_operation_name },)
KEYMGMT(keymgmt_ed25519, key_new_ed25519)

/* ------------------------------------------------------------------ signature */

static void *
operation_new(void *provider, const char *query)
{
	(void)provider, (void)query;
	return OPENSSL_zalloc(sizeof(struct operation));
}

static void
operation_free(void *data)
{
	OPENSSL_free(data);
}

static int
operation_set_params(void *data, const OSSL_PARAM params[])
{
	struct operation *o = data;
	const OSSL_PARAM *p = params == NULL ? NULL : OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	int mode = 0;

	if (p == NULL)
		return 1;
	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		o->pss = str_same(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS);
	else if (OSSL_PARAM_get_int(p, &mode) == 1)
		o->pss = mode == RSA_PKCS1_PSS_PADDING;
	else
		return 0;
	return 1;
}

static const OSSL_PARAM *
operation_settable(void *data, void *provider)
{
	/* The salt length is given by the scheme; TLS sets it all the same. */
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_END
	};

	(void)data, (void)provider;
	return types;
}

static int
operation_init(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct operation *o = data;

	o->key = key;
	if (o->key == NULL || !o->key->has_number)
		return 0;
	if (str_copy(o->digest, sizeof o->digest, digest == NULL ? "" : digest) != 0)
		return 0;
	return operation_set_params(o, params);
}

/* The whole message at once: that is what the keeper wants to see. */
static int
operation_sign(void *data, unsigned char *sig, size_t *len, size_t room, const unsigned char *message,
    size_t message_len)
{
	const struct operation *o = data;
	const struct scheme *s = scheme_find(o->key->kind, o->digest, o->pss);

	if (sig == NULL) {
		*len = (size_t)EVP_PKEY_get_size(o->key->public);
		return 1;
	}
	if (s == NULL || signer.sign == NULL)
		return 0;
	*len = room;
	return signer.sign(signer.context, o->key->number, s->code, message, message_len, sig, len) == 0;
}

static const OSSL_DISPATCH signature[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, (function)operation_new },
	{ OSSL_FUNC_SIGNATURE_FREECTX, (function)operation_free },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (function)operation_init },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (function)operation_sign },
	{ OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (function)operation_set_params },
	{ OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (function)operation_settable },
	{ 0, NULL }
};

/* ------------------------------------------------------------------- provider */

static const OSSL_ALGORITHM keymgmts[] = {
	{ "RSA:rsaEncryption", OURS, keymgmt_rsa, "RSA keys of the keeper" },
	{ "EC:id-ecPublicKey", OURS, keymgmt_ec, "EC keys of the keeper" },
	{ "ED25519", OURS, keymgmt_ed25519, "Ed25519 keys of the keeper" },
	{ NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM signatures[] = {
	{ "RSA:rsaEncryption", OURS, signature, "RSA signatures by the keeper" },
	{ "ECDSA", OURS, signature, "ECDSA signatures by the keeper" },
	{ "ED25519", OURS, signature, "Ed25519 signatures by the keeper" },
	{ NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return keymgmts;
	return operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int
initialise(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **context)
{
	static const OSSL_DISPATCH functions[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (function)query },
		{ 0, NULL }
	};

	(void)in;
	*out = functions;
	*context = (void *)(uintptr_t)handle;
	return 1;
}

static OSSL_PROVIDER *ours, *standard;

int
tls_provider_load(void)
{
	if (ours != NULL)
		return 0;
	/* Loading any provider by name ends the automatic loading of the default one. */
	standard = OSSL_PROVIDER_load(NULL, "default");
	if (standard == NULL || OSSL_PROVIDER_add_builtin(NULL, PROVIDER, initialise) != 1)
		return -EIO;
	/* Everything that does not ask for us by name goes elsewhere. */
	if (EVP_set_default_properties(NULL, "?" DEFAULT) != 1)
		return -EIO;
	ours = OSSL_PROVIDER_load(NULL, PROVIDER);
	return ours == NULL ? -EIO : 0;
}

void
tls_provider_unload(void)
{
	if (ours != NULL)
		(void)OSSL_PROVIDER_unload(ours);
	if (standard != NULL)
		(void)OSSL_PROVIDER_unload(standard);
	ours = standard = NULL;
}

void
tls_provider_set_signer(tls_signer *sign, void *context)
{
	signer.sign = sign;
	signer.context = context;
}

/* The public parameters and the number, as one list that the caller frees. */
static OSSL_PARAM *
numbered(OSSL_PARAM *public, uint32_t number)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	OSSL_PARAM *own = NULL, *all = NULL;

	if (b != NULL && OSSL_PARAM_BLD_push_uint32(b, KEY_NUMBER, number) == 1)
		own = OSSL_PARAM_BLD_to_param(b);
	if (own != NULL)
		all = OSSL_PARAM_merge(public, own);
	/* The merged list points into own: copy it to stand alone. */
	public = all == NULL ? NULL : OSSL_PARAM_dup(all);
	OSSL_PARAM_free(all);
	OSSL_PARAM_free(own);
	OSSL_PARAM_BLD_free(b);
	return public;
}

EVP_PKEY *
tls_provider_key(EVP_PKEY *public, uint32_t number)
{
	OSSL_PARAM *shown = NULL, *all = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;

	if (EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &shown) != 1)
		return NULL;
	all = numbered(shown, number);
	if (all != NULL)
		ctx = EVP_PKEY_CTX_new_from_name(NULL, EVP_PKEY_get0_type_name(public), OURS);
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, all) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(all);
	OSSL_PARAM_free(shown);
	return key;
}
