/* sallyport-policy(5), from authz/rights.def and ops.def. */
#include "config.h"

#include <stdio.h>

#include "man/mdoc.h"

static const struct { const char *name, *doc; } rights[] = {
#define RIGHT(NAME, bit, name, where, doc) { name, doc },
#include "authz/rights.def"
#undef RIGHT
};

/* Rights as text: the names of rights.def, joined. */
#define FREE		"nothing"
#define WORDS_OF(...)	#__VA_ARGS__
#define ONE(r)		WORDS_OF(r)
#define AND(a, b)	a and b
#define EITHER(a, b)	WORDS_OF(a) " or " WORDS_OF(b)
static const struct { const char *name, *missing, *file, *folder, *doc; } operations[] = {
#define OP(NAME, missing, file, folder, self, doc) { #NAME, missing, file, folder, doc },
#include "authz/ops.def"
#undef OP
};

static void
print_rights(void)
{
	mdoc_list_begin("rename-replace");
	for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
		mdoc_macro("It Cm", rights[i].name, NULL);
		mdoc_text(rights[i].doc);
	}
	mdoc_list_end();
}

static void
print_operations(void)
{
	puts(".Bl -column \"READLINK\" \"nothing there\" \"RENTO and RENREPL\" \"RENTO and RENREPL\"");
	puts(".It Sy operation Ta Sy nothing there Ta Sy a file there Ta Sy a folder there");
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		printf(".It %s Ta %s Ta %s Ta %s\n", operations[i].name, operations[i].missing, operations[i].file,
		    operations[i].folder);
	puts(".El");
}

const struct generator authz_generators[] = {
	{ "RIGHTS", print_rights },
	{ "OPERATIONS", print_operations },
	{ NULL, NULL },
};
