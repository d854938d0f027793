/*
 * Writes PROTOCOL.md from privsep/messages.def: what may be said between the
 * processes, for reviewers.  "make protocol" runs it; a test compares.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "privsep/msg.h"

/* The fields of a row as text: the macros of the table, spelt out. */
static const char *const fields_of[MSG_COUNT] = {
#define F_U8(n)		"`" #n "` u8, "
#define F_U16(n)	"`" #n "` u16, "
#define F_U32(n)	"`" #n "` u32, "
#define F_U64(n)	"`" #n "` u64, "
#define F_STR(n, max)	"`" #n "` line up to " #max ", "
#define F_TEXT(n, max)	"`" #n "` text up to " #max ", "
#define F_PATH(n, max)	"`" #n "` path up to " #max ", "
#define F_BLOB(n, max)	"`" #n "` bytes up to " #max ", "
#define F_SECRET(n)	"`" #n "` password, "
#define GATE(op)
#define UNGATED(why)
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) [MSG_##NAME] = fields "",
#include "privsep/messages.def"
#include "privsep/messages_undef.h"
};

static const char *const states_of[MSG_COUNT] = {
#include "privsep/messages_rows.h"
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) [MSG_##NAME] = #states,
#include "privsep/messages.def"
#include "privsep/messages_undef.h"
};

static const char *const roles[] = {
	[ROLE_ANY] = "any", [ROLE_LISTENER] = "listener", [ROLE_TEMPLATE] = "template", [ROLE_MONITOR] = "monitor",
	[ROLE_WORKER] = "worker", [ROLE_AGENT] = "agent", [ROLE_KEEPER] = "keeper", [ROLE_CLERK] = "clerk",
	[ROLE_STARTER] = "starter", [ROLE_OLD] = "old generation", [ROLE_NEW] = "new generation",
	[ROLE_VERIFIER] = "verifier", [ROLE_CTL] = "sallyctl",
};

static const struct {
	enum msg_channel channel;
	const char *title;
} channels[] = {
	{ CH_ANY, "Answers on any channel" },
	{ CH_TEMPLATE, "Listener and a template" },
	{ CH_SESSION, "Listener and a monitor" },
	{ CH_LOGIN, "Monitor and worker, until login" },
	{ CH_LOG, "Worker to monitor, one way" },
	{ CH_AGENT, "Monitor and agent" },
	{ CH_FILES, "Worker and agent" },
	{ CH_SIGN, "Worker and keeper" },
	{ CH_KEEPER, "Listener and keeper" },
	{ CH_VERIFY, "Monitor and verifier" },
	{ CH_CONTROL, "sallyctl and listener" },
	{ CH_START, "Listener and starter" },
	{ CH_LINK, "Two generations of a server" },
};

static const char introduction[] =
    "# Messages between the processes\n\n"
    "Made from `privsep/messages.def` by `make protocol`; do not edit.\n\n"
    "A channel is a `SOCK_SEQPACKET` socketpair, a message one packet: type and id (32 bits each), then the\n"
    "fields in order. Numbers are in the machine's order; texts and bytes begin with a 32-bit length. The\n"
    "receiver (`privsep/chan.c`) refuses, before any handler runs: an unknown type, the wrong channel or\n"
    "direction, a message not allowed in its state, another number or kind of descriptors, a field beyond its\n"
    "bound, bytes left over; in a *line* control bytes, in *text* NUL, in a *path* NUL and emptiness.\n\n"
    "Descriptors: `r` file for reading, `w` for writing, `t` TCP connection, `l` listening socket, `d` folder,\n"
    "`c` channel, `p` process, `m` sealed memory file, `f` any; `?`: may be absent. States are those of the\n"
    "receiver; ST_AWAIT: only as the answer to a request. The *gate* is the operation that the authorization\n"
    "engine decides before the agent's handler runs.\n";

static void
print_row(unsigned type)
{
	const struct msg_row *row = msg_row(type);
	const char *fields = fields_of[type];
	int len = (int)strlen(fields);

	printf("\n### %s\n\n%s\n\n", row->name, row->doc);
	printf("* from: %s; when: %s; descriptors: %s\n", roles[row->from], states_of[type],
	    *row->fds == '\0' ? "none" : row->fds);
	/* The last comma and blank are not printed. */
	printf("* fields: %.*s\n", len > 2 ? len - 2 : 4, len > 2 ? fields : "none");
	printf(row->gated ? "* gate: **%s**\n" : "* no gate: %s\n", row->gate);
}

int
main(void)
{
	fputs(introduction, stdout);
	for (size_t c = 0; c < sizeof channels / sizeof channels[0]; c++) {
		printf("\n## %s\n", channels[c].title);
		for (unsigned t = MSG_NONE + 1; t < MSG_COUNT; t++)
			if (msg_row(t)->channel == channels[c].channel)
				print_row(t);
	}
	return ferror(stdout) != 0;
}
