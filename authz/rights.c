/* The tables of rights and operations, and their words. */
#include "authz/authz.h"

#include <string.h>

#include "common/str.h"

static const struct right_row {
	uint32_t bit;
	const char *word;
} right_rows[] = {
#define RIGHT(name, bit, word, where, text) { 1u << bit, word },
#include "authz/rights.def"
#undef RIGHT
};
#define RIGHT_COUNT (sizeof(right_rows) / sizeof(right_rows[0]))

/* Names of rights.def inside the cells of ops.def. */
enum {
#define RIGHT(name, bit, word, where, text) name = 1 << bit,
#include "authz/rights.def"
#undef RIGHT
};
#define AND(a, b)	((a) | (b))
#define FREE		{ 0, { 0, 0 } }
#define ONE(a)		{ 1, { (a), 0 } }
#define EITHER(a, b)	{ 2, { (a), (b) } }
#define OP(op, missing, file, folder, self, text) { #op, { missing, file, folder } },

static const struct op_row {
	const char *name;
	struct authz_need need[AUTHZ_KINDS];
} op_rows[] = {
#include "authz/ops.def"
};
#undef OP

static const struct command_row {
	const char *name;
	int op;
} command_rows[] = {
#define COMMAND(name, op) { name, AUTHZ_OP_##op },
#define NEVER_GATED(name) { name, AUTHZ_NEVER_GATED },
#include "authz/commands.def"
#undef COMMAND
#undef NEVER_GATED
};

const char *
authz_right_word(uint32_t rights)
{
	for (size_t i = 0; i < RIGHT_COUNT; i++)
		if (rights & right_rows[i].bit)
			return right_rows[i].word;
	return "none";
}

uint32_t
authz_right_parse(const char *word)
{
	for (size_t i = 0; i < RIGHT_COUNT; i++)
		if (strcmp(word, right_rows[i].word) == 0)
			return right_rows[i].bit;
	return 0;
}

char *
authz_rights_text(uint32_t rights, char *dst, size_t size)
{
	size_t used = 0;

	if (size == 0)
		return dst;
	dst[0] = '\0';
	for (size_t i = 0; i < RIGHT_COUNT && used < size; i++) {
		if (!(rights & right_rows[i].bit))
			continue;
		str_format(dst + used, size - used, "%s%s", used ? " " : "", right_rows[i].word);
		used += strlen(dst + used);
	}
	return dst;
}

const struct authz_need *
authz_need(enum authz_op op, enum authz_kind kind)
{
	return &op_rows[op].need[kind];
}

const char *
authz_op_name(enum authz_op op)
{
	return op_rows[op].name;
}

bool
authz_op_session(enum authz_op op)
{
	return (op_rows[op].need[AUTHZ_MISSING].alt[0] & (UMASK | PASSWD | USERADM)) != 0;
}

bool
authz_command_expands(const char *command)
{
	return str_same(command, "LIST") || str_same(command, "NLST") || str_same(command, "STAT");
}

int
authz_command(const char *command)
{
	for (size_t i = 0; i < sizeof(command_rows) / sizeof(command_rows[0]); i++)
		if (str_same(command, command_rows[i].name))
			return command_rows[i].op;
	for (int op = 0; op < AUTHZ_OP_COUNT; op++)
		if (str_same(command, op_rows[op].name))
			return op;
	return AUTHZ_UNKNOWN_COMMAND;
}

/* RFC 3659, 7.5.5, computed from the folded mask. */
char *
authz_perm(uint32_t rights, uint32_t inside, enum authz_kind kind, char dst[AUTHZ_PERM_MAX])
{
	static const struct {
		char letter;
		uint32_t file, folder, child;	/* any bit of it is enough */
	} rows[] = {
		{ 'a', APPEND, 0, 0 },
		{ 'c', 0, 0, CREATE | APPNEW },
		{ 'd', DELFILE, DELDIR, 0 },
		{ 'e', 0, CHDIR, 0 },
		{ 'f', RENFROM, RENFROM, 0 },
		{ 'l', 0, LIST | TRAVERSE, 0 },
		{ 'm', 0, 0, MKDIR },
		{ 'p', 0, 0, DELFILE | DELDIR },
		{ 'r', READ, 0, 0 },
		{ 'w', OVERWRITE, 0, 0 },
	};
	char *p = dst;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool held = kind == AUTHZ_FOLDER ?
		    (rights & rows[i].folder) || (inside & rows[i].child) : (rights & rows[i].file);
		if (held)
			*p++ = rows[i].letter;
	}
	*p = '\0';
	return dst;
}
