#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "common/wire.h"
#include "tests/hostile/forge.h"

/* ------------------------------------------------------------------------ fields */

enum kind { U8, U16, U32, U64, LINE, TEXT, PATH, BLOB, SECRET };

struct field {
	enum kind kind;
	uint32_t max;
};

#define FIELDS_MAX 24

/* The fields of every row, from the table. */
static const struct field fields_of[MSG_COUNT][FIELDS_MAX + 1] = {
#define F_U8(n)		{ U8, 1 },
#define F_U16(n)	{ U16, 2 },
#define F_U32(n)	{ U32, 4 },
#define F_U64(n)	{ U64, 8 },
#define F_STR(n, max)	{ LINE, max },
#define F_TEXT(n, max)	{ TEXT, max },
#define F_PATH(n, max)	{ PATH, max },
#define F_BLOB(n, max)	{ BLOB, max },
#define F_SECRET(n)	{ SECRET, SECRET_MAX },
#define GATE(op)
#define UNGATED(why)
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) [MSG_##NAME] = { fields { U8, 0 } },
#include "privsep/messages.def"
#include "privsep/messages_undef.h"
};

static bool
counted(const struct field *f)
{
	return f->kind >= LINE;
}

static size_t
field_count(unsigned type)
{
	size_t n = 0;

	while (n < FIELDS_MAX && fields_of[type][n].max != 0)
		n++;
	return n;
}

/* How one field is written: as it should be, or wrong in one way. */
enum twist { FULL, SMALL, TOO_LONG, WITH_NUL, WITH_CONTROL, EMPTY, LYING };

static void
put_counted(struct wr *w, const struct field *f, enum twist twist)
{
	static uint8_t text[MSG_SIZE_MAX];
	uint32_t len = twist == FULL ? f->max : twist == TOO_LONG ? f->max + 1 : f->kind == PATH ? 1 : 0;

	memset(text, 'x', sizeof text);
	if (twist == WITH_NUL || twist == WITH_CONTROL) {
		len = 3;
		text[1] = twist == WITH_NUL ? 0 : '\n';
	}
	if (twist == EMPTY)
		len = 0;
	/* A length that the packet does not hold. */
	wr_u32(w, twist == LYING ? UINT32_C(0x7fffffff) : len);
	wr_raw(w, text, len);
}

static void
put_field(struct wr *w, const struct field *f, enum twist twist)
{
	static const uint8_t ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };

	if (counted(f))
		put_counted(w, f, twist);
	else
		wr_raw(w, ones, f->max);
}

/* All fields right (full or small), but one of them twisted. */
static void
put_body(struct packet *p, unsigned type, uint32_t header, size_t twisted, enum twist twist, enum twist others)
{
	struct wr w;

	wr_init(&w, p->bytes, sizeof p->bytes);
	wr_u32(&w, header);
	wr_u32(&w, 7);
	for (size_t i = 0; i < field_count(type); i++)
		put_field(&w, &fields_of[type][i], i == twisted ? twist : others);
	p->len = w.len;
}

/* ------------------------------------------------------------------- right ones */

static void
put_kinds(struct packet *p, const char *fds)
{
	size_t n = 0;

	for (; *fds != '\0'; fds++)
		if (*fds != '?')
			p->kinds[n++] = *fds;
	p->kinds[n] = '\0';
}

enum msg_role
forge_receiver(const struct msg_row *row)
{
	static const enum msg_role ends[][2] = {
		[CH_ANY] = { ROLE_WORKER, ROLE_AGENT }, [CH_TEMPLATE] = { ROLE_LISTENER, ROLE_TEMPLATE },
		[CH_SESSION] = { ROLE_LISTENER, ROLE_MONITOR }, [CH_LOGIN] = { ROLE_MONITOR, ROLE_WORKER },
		[CH_LOG] = { ROLE_MONITOR, ROLE_WORKER }, [CH_AGENT] = { ROLE_MONITOR, ROLE_AGENT },
		[CH_FILES] = { ROLE_WORKER, ROLE_AGENT }, [CH_SIGN] = { ROLE_WORKER, ROLE_KEEPER },
		[CH_KEEPER] = { ROLE_LISTENER, ROLE_KEEPER }, [CH_CONTROL] = { ROLE_CTL, ROLE_LISTENER },
		[CH_START] = { ROLE_LISTENER, ROLE_STARTER }, [CH_LINK] = { ROLE_OLD, ROLE_NEW },
	};
	const enum msg_role *e = ends[row->channel];

	return row->from == e[0] ? e[1] : e[0];
}

void
forge_right(struct packet *p, unsigned type, bool full)
{
	const struct msg_row *row = msg_row(type);

	p->what = full ? "right, every field at its bound" : "right, smallest fields";
	put_body(p, type, type, FIELDS_MAX, FULL, full ? FULL : SMALL);
	put_kinds(p, row->fds);
	p->channel = row->channel == CH_ANY ? CH_FILES : row->channel;
	p->sender = row->from;
	p->states = row->states;
	p->error = 0;
}

void
forge_with(struct packet *p, unsigned type, const char *path, uint64_t number)
{
	const char *text = path == NULL ? "" : path;
	struct wr w;

	forge_right(p, type, false);
	p->what = "right, with a path";
	wr_init(&w, p->bytes, sizeof p->bytes);
	wr_u32(&w, type);
	wr_u32(&w, 7);
	for (size_t i = 0; i < field_count(type); i++) {
		const struct field *f = &fields_of[type][i];

		if (f->kind == PATH || f->kind == TEXT)
			wr_str(&w, text, sizeof p->bytes);
		else if (counted(f))
			wr_u32(&w, 0);
		else	/* the machine's order is little end first on all that the sandbox knows */
			wr_raw(&w, &number, f->max);
	}
	p->len = w.len;
}

/* ------------------------------------------------------------------- wrong ones */

/* Each changes a right packet; false: this row cannot be wrong in this way. */

static bool
short_packet(struct packet *p, unsigned type, unsigned n)
{
	/* Every length from a bare header to one byte less than all, in at most sixteen steps. */
	size_t body = p->len - 8, cut = 8 + body * n / 16;

	(void)type;
	if (body == 0 || (n > 0 && cut == 8 + body * (n - 1) / 16))
		return false;
	p->len = cut;
	p->error = SP_ETRUNC;
	return true;
}

static bool
half_header(struct packet *p, unsigned type, unsigned n)
{
	(void)type;
	p->len = 1 + n;
	p->error = SP_ETRUNC;
	return true;
}

static bool
trailing(struct packet *p, unsigned type, unsigned n)
{
	(void)type;
	if (p->len + 1 + n > MSG_SIZE_MAX)
		return false;
	p->len += 1 + n;
	p->error = SP_ETRAILING;
	return true;
}

static bool
oversized(struct packet *p, unsigned type, unsigned n)
{
	(void)type, (void)n;
	p->len = MSG_SIZE_MAX + 1;
	p->error = SP_ETRUNC;
	return true;
}

static bool
other_state(struct packet *p, unsigned type, unsigned n)
{
	unsigned bit = 1u << n;

	(void)type;
	if ((p->states & bit) != 0)
		return false;
	p->states = bit;
	p->error = SP_ESTATE;
	return true;
}

static bool
no_state(struct packet *p, unsigned type, unsigned n)
{
	(void)type, (void)n;
	p->states = 0;
	p->error = SP_ESTATE;
	return true;
}

static bool
other_channel(struct packet *p, unsigned type, unsigned n)
{
	enum msg_channel c = (enum msg_channel)(n + 1);

	if (msg_row(type)->channel == CH_ANY || c == p->channel)
		return false;
	p->channel = c;
	p->error = SP_ECHANNEL;
	return true;
}

static bool
other_direction(struct packet *p, unsigned type, unsigned n)
{
	(void)n;
	if (msg_row(type)->from == ROLE_ANY)
		return false;
	/* The receiver is the one that alone may send it. */
	p->sender = ROLE_ANY;
	p->error = SP_ECHANNEL;
	return true;
}

static bool
unknown_type(struct packet *p, unsigned type, unsigned n)
{
	static const uint32_t types[] = { 0, MSG_COUNT, MSG_COUNT + 1, 0x10000, 0x7fffffff, 0xffffffff };

	put_body(p, type, types[n], FIELDS_MAX, FULL, SMALL);
	p->error = SP_ETYPE;
	return true;
}

static bool
missing_fd(struct packet *p, unsigned type, unsigned n)
{
	const char *fds = msg_row(type)->fds;
	size_t have = strlen(p->kinds);
	bool optional = *fds != '\0' && fds[strlen(fds) - 1] == '?';

	if (n >= have || (optional && n == have - 1))
		return false;
	p->kinds[n] = '\0';
	p->error = SP_EFDS;
	return true;
}

static bool
extra_fd(struct packet *p, unsigned type, unsigned n)
{
	size_t have = strlen(p->kinds);

	(void)type;
	if (have + n + 1 > FORGE_FDS_MAX)
		return false;
	memset(p->kinds + have, 'r', n + 1);
	p->kinds[have + n + 1] = '\0';
	p->error = SP_EFDS;
	return true;
}

static bool
wrong_fd(struct packet *p, unsigned type, unsigned n)
{
	static const char wrong[] = { 'r', 'w', 't', 'l', 'd', 'c', 'x', 'u' };
	size_t place = n / sizeof wrong;
	char kind = wrong[n % sizeof wrong];

	(void)type;
	if (place >= strlen(p->kinds) || strchr("fp", p->kinds[place]) != NULL || p->kinds[place] == kind)
		return false;
	p->kinds[place] = kind;
	p->error = SP_EFDS;
	return true;
}

static bool
twist_field(struct packet *p, unsigned type, unsigned n, enum twist twist, int error)
{
	put_body(p, type, type, n, twist, SMALL);
	p->error = error;
	return true;
}

static bool
too_long(struct packet *p, unsigned type, unsigned n)
{
	return n < field_count(type) && counted(&fields_of[type][n]) && twist_field(p, type, n, TOO_LONG, SP_ERANGE);
}

static bool
lying_length(struct packet *p, unsigned type, unsigned n)
{
	return n < field_count(type) && counted(&fields_of[type][n]) && twist_field(p, type, n, LYING, SP_ERANGE);
}

static bool
nul_inside(struct packet *p, unsigned type, unsigned n)
{
	return n < field_count(type) && counted(&fields_of[type][n]) && fields_of[type][n].kind != BLOB &&
	    twist_field(p, type, n, WITH_NUL, SP_EFORMAT);
}

static bool
control_inside(struct packet *p, unsigned type, unsigned n)
{
	return n < field_count(type) && fields_of[type][n].kind == LINE && twist_field(p, type, n, WITH_CONTROL, SP_EFORMAT);
}

static bool
empty_path(struct packet *p, unsigned type, unsigned n)
{
	return n < field_count(type) && fields_of[type][n].kind == PATH && twist_field(p, type, n, EMPTY, SP_EFORMAT);
}

static const struct {
	const char *what;
	bool (*f)(struct packet *, unsigned type, unsigned n);
	unsigned times;
	bool full;		/* begins with every field at its bound */
} ways[] = {
	{ "cut short", short_packet, 16, true },
	{ "cut short, small fields", short_packet, 16, false },
	{ "half a header", half_header, 7, false },
	{ "bytes left over", trailing, 3, false },
	{ "longer than any packet", oversized, 1, false },
	{ "in a state where it is not allowed", other_state, 8, false },
	{ "in no state", no_state, 1, false },
	{ "on another channel", other_channel, CH_CONTROL, false },
	{ "in the wrong direction", other_direction, 1, false },
	{ "of an unknown type", unknown_type, 6, false },
	{ "a descriptor missing", missing_fd, MSG_FDS_MAX, false },
	{ "a descriptor too many", extra_fd, 2, false },
	{ "a descriptor of the wrong kind", wrong_fd, 8 * MSG_FDS_MAX, false },
	{ "a field too long", too_long, FIELDS_MAX, false },
	{ "a length that lies", lying_length, FIELDS_MAX, false },
	{ "a NUL in a text", nul_inside, FIELDS_MAX, false },
	{ "a control byte in a line", control_inside, FIELDS_MAX, false },
	{ "an empty path", empty_path, FIELDS_MAX, false },
};

bool
forge(struct packet *p, unsigned type, unsigned way)
{
	unsigned n = way;
	size_t w = 0;

	while (w < sizeof ways / sizeof ways[0] && n >= ways[w].times)
		n -= ways[w++].times;
	if (w == sizeof ways / sizeof ways[0])
		return false;
	forge_right(p, type, ways[w].full);
	p->what = ways[w].f(p, type, n) ? ways[w].what : NULL;
	return true;
}

/* ------------------------------------------------------------------- descriptors */

static int
stream_socket(bool listening)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listening)
		(void)listen(fd, 1);
	return fd;
}

static int
seqpacket_end(void)
{
	int ends[2];

	if (chan_pair(ends) != 0)
		return -1;
	close(ends[1]);
	return ends[0];
}

static int
sealed_memory(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	return fd;
}

static int
plain_file(int flags)
{
	char path[] = "/tmp/forge-XXXXXX";
	int fd, made = mkstemp(path);

	if (made < 0)
		return -1;
	fd = open(path, flags | O_CLOEXEC);
	close(made);
	unlink(path);
	return fd;
}

static int
pipe_end(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	close(ends[1]);
	return ends[0];
}

int forge_connection = -1;

int
forge_fd(char kind)
{
	int fd = -1;

	switch (kind) {
	case 'r': case 'f': fd = plain_file(O_RDONLY); break;
	case 'w': fd = plain_file(O_WRONLY); break;
	case 'd': fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC); break;
	case 't': fd = stream_socket(false); break;
	case 'l': fd = stream_socket(true); break;
	case 'c': fd = seqpacket_end(); break;
	case 'm': fd = sealed_memory(); break;
	case 's': fd = memfd_create("test", MFD_CLOEXEC); break;	/* as a file of a tmpfs: sealed against seals */
	case 'p': fd = (int)syscall(SYS_pidfd_open, getpid(), 0); break;
	case 'x': fd = pipe_end(); break;
	case 'u': fd = open("/dev/null", O_RDWR | O_CLOEXEC); break;
	}
	if (fd < 0)
		abort();
	return fd;
}

int
forge_send(int fd, const struct packet *p)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FORGE_FDS_MAX * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec v = { (void *)(uintptr_t)p->bytes, p->len };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	size_t count = strlen(p->kinds);
	int fds[FORGE_FDS_MAX], r;

	for (size_t i = 0; i < count; i++)
		fds[i] = p->kinds[i] == 't' && forge_connection >= 0 ? forge_connection : forge_fd(p->kinds[i]);
	if (count > 0) {
		struct cmsghdr *c = &control.align;

		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	r = sendmsg(fd, &h, MSG_NOSIGNAL) < 0 ? -errno : 0;
	for (size_t i = 0; i < count; i++)
		if (fds[i] != forge_connection)
			close(fds[i]);
	return r;
}
