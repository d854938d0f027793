#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/move.h"
#include "daemon/worker/pulse.h"
#include "daemon/worker/session.h"
#include "daemon/worker/transfer.h"

#define LOOK_EVERY	(8u << 20)	/* bytes between two looks at the control connection */
#define LOOK_READS	16		/* reads of a look: LINE_RAW_BYTES each */
#define CLOSE_MS	3000		/* how long the peer may take over the end of TLS (clients wait for 226 first) */
#define DISCARD_MS	1000		/* a client that goes on may leave a refused upload idle so long */
#define STOPPED_MS	300		/* and where the session is to end, or its other half would be gone before the 421 */
#define NOTE_FIRST_MS	10		/* shorter transfers, of small files mostly, are not worth a note */
#define NOTE_EVERY_MS	1000		/* the agent takes a worker that says nothing for ten times as long for blocked */

int
transfer_finish(struct transfer *t, enum transfer_end end, int error)
{
	t->end = end;
	t->error = error;
	t->step = NULL;
	return 0;
}

/* ------------------------------------------------------------- the control connection meanwhile */

/* REIN waits: what follows it is another session's. */
static bool
must_not_read(const struct session *s)
{
	return s->later.end != NULL && session_can_return(s) && strcmp(s->later.end, "REIN") == 0;
}

/* ABOR and STAT are served at once, whatever came before them; the others keep their order. */
static void
sort_lines(struct session *s)
{
	enum line_result r;
	const char *last;
	char *text;
	size_t len;

	while (!must_not_read(s) && (r = line_next(&s->in, &text, &len)) != LINE_NONE) {
		if (r == LINE_FLOODED) {
			s->ending = s->interrupted = true;
			return;
		}
		if (r == LINE_COMMAND && session_urgent(text, len))
			session_command(s, text, len);
		else if (r == LINE_COMMAND && (last = session_last_word(s, text, len)) != NULL)
			queue_put_end(&s->later, last);
		else
			queue_put(&s->later, r, text, r == LINE_COMMAND ? len : 0);
	}
}

/* 0: the client is gone; -EAGAIN: he is not. Found without reading. */
static ssize_t
is_gone(const struct session *s)
{
	struct pollfd p = { .fd = s->control.fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 ? 0 : -EAGAIN;
}

/* All that has arrived, within reason: what follows is found by the next look. */
static ssize_t
read_lines(struct session *s)
{
	ssize_t n = -EAGAIN;

	for (int i = 0; i < LOOK_READS && s->control.fd >= 0 && !s->ending; i++) {
		sort_lines(s);
		n = must_not_read(s) ? is_gone(s) : session_read(s);
		if (n <= 0)
			break;
	}
	sort_lines(s);
	return n;
}

enum transfer_end
transfer_look(struct session *s)
{
	ssize_t n;

	if (!pulse_look(s) || s->stop_now)
		return TRANSFER_STOPPED;
	n = read_lines(s);
	if (n <= 0 && n != -EAGAIN && s->control.fd >= 0) {
		stream_close(&s->control);
		/* A client that said QUIT may leave; one that just leaves takes its transfer with it. */
		if (s->later.end == NULL || strcmp(s->later.end, "QUIT") != 0)
			return TRANSFER_STOPPED;
	}
	if (s->abort)
		return TRANSFER_ABORTED;
	return s->ending ? TRANSFER_STOPPED : TRANSFER_OK;
}

/* What a record says of it: of an upload what is in the file. */
static uint64_t
bytes_of(const struct transfer *t)
{
	return t->upload ? t->stored : t->moved;
}

static void
note(struct transfer *t, int64_t now)
{
	struct session *s = t->s;
	struct msg_note body = { .bytes_in = s->bytes_in, .bytes_out = s->bytes_out - s->bytes_listed };

	t->noted = now;
	/* The last note says that nothing runs any more. */
	if (t->step != NULL) {
		body.moved = bytes_of(t);
		(void)str_format(body.what, sizeof body.what, "%s %.200s", t->verb, t->name);
	}
	for (char *p = body.what; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	ask_tell(s, MSG_NOTE, &body);
}

/* Milliseconds until the next note is due; none: 0 or less. */
static int64_t
note_due(const struct transfer *t, int64_t now)
{
	return t->noted == 0 ? t->started + NOTE_FIRST_MS - now : t->noted + NOTE_EVERY_MS - now;
}

static int
look(struct transfer *t)
{
	enum transfer_end end = transfer_look(t->s);
	int64_t now = clock_ms();

	t->unlooked = 0;
	if (note_due(t, now) <= 0)
		note(t, now);
	return end == TRANSFER_OK ? 0 : transfer_finish(t, end, 0);
}

/* ---------------------------------------------------------------------------------- waiting */

static int
limit_ms(const struct transfer *t)
{
	if (t->step == move_accept || t->step == move_connect || t->step == move_handshake)
		return (int)t->s->set->data_timeout * 1000;
	if (t->step == move_discard && (t->s->stop || t->s->ending))
		return STOPPED_MS;
	if (t->step == move_discard && !t->refused && !queue_empty(&t->s->later))
		return DISCARD_MS;
	return t->step == move_shutdown || t->said_end || t->refused ? CLOSE_MS : (int)t->s->stall_ms;
}

/* Nothing moved for too long. What that means depends on what was awaited. */
static int
too_slow(struct transfer *t)
{
	if (t->step == move_shutdown)
		return transfer_finish(t, TRANSFER_OK, 0);
	if (t->step == move_accept || t->step == move_connect)
		return transfer_finish(t, TRANSFER_UNCONNECTED, -ETIMEDOUT);
	return transfer_finish(t, t->step == move_handshake ? TRANSFER_INSECURE : TRANSFER_STALLED, -ETIMEDOUT);
}

static int
attend(struct transfer *t, const struct pollfd p[4])
{
	if (p[2].revents != 0 && !session_news(t->s))
		return transfer_finish(t, TRANSFER_STOPPED, 0);
	return p[1].revents != 0 || p[3].revents != 0 ? look(t) : 0;
}

/* Waits for what the step named, for the control connection, and for news of the agent. */
static int
await(struct transfer *t)
{
	struct session *s = t->s;
	bool paused = t->pause_ms > 0;
	struct pollfd p[4] = {
		{ .fd = t->wait_fd >= 0 ? t->wait_fd : t->data.fd, .events = t->wait_fd >= 0 ? t->wait_events : t->data.want },
		{ .fd = s->control.fd, .events = must_not_read(s) ? POLLRDHUP : POLLIN },
		{ .fd = s->files.fd, .events = POLLIN },
		{ .fd = s->log.fd, .events = POLLIN },
	};
	int64_t now = clock_ms(), left, wait, due;
	int n;

	/* What TLS has read already wakes nobody. */
	if (s->control.fd >= 0 && stream_pending(&s->control) > 0)
		return look(t);
	if (paused)
		p[0].fd = -1;
	if (t->progress || t->progress_at == 0)
		t->progress_at = now;
	t->progress = false;
	if (note_due(t, now) <= 0)
		note(t, now);
	due = note_due(t, now);
	left = t->progress_at + limit_ms(t) - now;
	if (left <= 0)
		return too_slow(t);
	wait = paused && t->pause_ms < left ? t->pause_ms : left;
	n = poll(p, 4, wait < due ? (int)wait : (int)due);
	t->pause_ms = 0;
	t->wait_fd = -1;
	if (n < 0)
		return errno == EINTR ? 0 : transfer_finish(t, TRANSFER_STOPPED, -errno);
	if (paused)
		t->progress = true;
	if (n == 0 && !paused)
		return wait > due ? 0 : too_slow(t);
	return attend(t, p);
}

static void
run(struct transfer *t)
{
	struct session *s = t->s;

	s->transfer = t;
	s->abort = false;
	/* Came in one packet with the command. */
	if (line_more(&s->in))
		look(t);
	while (t->step != NULL) {
		if (t->step(t) == -EAGAIN)
			await(t);
		else if (t->unlooked > LOOK_EVERY)
			look(t);
	}
	s->transfer = NULL;
}

/* ------------------------------------------------------------------------- beginning and end */

static void
prepare(struct transfer *t, struct session *s, const char *name, int (*move)(struct transfer *))
{
	memset(t, 0, sizeof *t);
	t->s = s;
	t->verb = s->verb == NULL ? "" : s->verb->name;
	t->name = name;
	t->file_fd = t->wait_fd = t->pipe[0] = t->pipe[1] = -1;
	t->move = move;
	t->data.fd = -1;
	t->data.ops = &stream_plain;
}

/* How the data connection comes about. False: it cannot, and the client knows. */
static bool
choose_way(struct transfer *t)
{
	struct session *s = t->s;
	int fd;

	if (s->data_must_be_secure && s->data_secure == NULL) {
		reply(s, 521, "Data connections must be protected here: send PROT P first.");
		return false;
	}
	t->started = clock_ms();
	t->step = move_accept;
	if (s->data.way != DATA_ACTIVE)
		return true;
	fd = data_connect(s);
	if (fd < 0)
		return false;
	stream_open(&t->data, fd);
	t->step = move_connect;
	return true;
}

static const struct {
	unsigned code;
	const char *text;
} ends[TRANSFER_ENDS] = {
	[TRANSFER_OK] = { 226, "Transfer complete." },
	[TRANSFER_ABORTED] = { 426, "Transfer aborted." },
	[TRANSFER_STOPPED] = { 426, "Transfer aborted: the session ends." },
	[TRANSFER_UNCONNECTED] = { 425, "No data connection came about; are its ports open in every firewall on the way?" },
	[TRANSFER_INSECURE] = { 522, "TLS on the data connection failed." },
	[TRANSFER_BROKEN] = { 426, "The data connection broke; transfer aborted." },
	[TRANSFER_CUT] = { 426, "The data connection ended without the closing message of TLS; the upload counts as incomplete." },
	[TRANSFER_STALLED] = { 426, "No data moved for too long; transfer aborted." },
	[TRANSFER_UNREADABLE] = { 451, "The file could not be read to its end; transfer aborted." },
	[TRANSFER_SHORTENED] = { 451, "The file became shorter while it was sent; transfer aborted." },
	[TRANSFER_NO_ROOM] = { 552, "Transfer aborted: the account's limit is reached" },	/* and its name */
	[TRANSFER_INCOMPLETE] = { 451, "The listing is incomplete." },
};

/* For the log; a listing is no transfer there. */
static const uint8_t hows[TRANSFER_ENDS] = {
	[TRANSFER_OK] = FINISH_OK, [TRANSFER_ABORTED] = FINISH_ABORTED, [TRANSFER_STOPPED] = FINISH_STOPPED,
	[TRANSFER_UNCONNECTED] = FINISH_UNCONNECTED, [TRANSFER_INSECURE] = FINISH_INSECURE, [TRANSFER_BROKEN] = FINISH_BROKEN,
	[TRANSFER_CUT] = FINISH_CUT, [TRANSFER_STALLED] = FINISH_STALLED, [TRANSFER_UNREADABLE] = FINISH_UNREADABLE,
	[TRANSFER_SHORTENED] = FINISH_SHORTENED, [TRANSFER_UNWRITABLE] = FINISH_UNWRITABLE, [TRANSFER_NO_ROOM] = FINISH_NO_ROOM
};

static void
tell_end(struct transfer *t)
{
	struct session *s = t->s;

	if (t->end == TRANSFER_UNWRITABLE) {
		struct msg_failed *f = &s->answer.failed;

		*f = (struct msg_failed){ .reason = FAIL_SYSTEM, .error = (uint32_t)-t->error };
		ask_refused(s, f);
	} else if (t->end == TRANSFER_INSECURE && s->data_refusal != NULL)
		reply(s, ends[t->end].code, "%s", s->data_refusal);
	else if (t->end == TRANSFER_UNCONNECTED && s->data.strangers > 0)
		reply(s, ends[t->end].code, "No data connection came from your address; those from others (%u) were refused.",
		    s->data.strangers);
	else if (t->end == TRANSFER_NO_ROOM)
		reply(s, ends[t->end].code, "%s (%s).", ends[t->end].text, t->limit);
	else if (t->why[0] != '\0')
		reply(s, ends[t->end].code, "%s %s", ends[t->end].text, t->why);
	else
		reply(s, ends[t->end].code, "%s", ends[t->end].text);
}

void
transfer_answer_aborts(struct session *s, const char *first)
{
	s->abort = false;
	for (; s->aborts > 0; s->aborts--) {
		reply(s, 226, "%s", first);
		first = "Nothing to abort.";
	}
}

/* Disk or quota are full: nothing of the upload stays in their way. */
static bool
lacks_room(const struct transfer *t)
{
	bool full = t->error == -ENOSPC || t->error == -EDQUOT || t->error == -EFBIG;

	return t->end == TRANSFER_NO_ROOM || (t->end == TRANSFER_UNWRITABLE && full);
}

/*
 * FINISH. An upload's answer is the client's answer too: only DONE means that
 * every byte is in a file of that name.  False: the client has been told.
 */
static bool
commit(struct transfer *t)
{
	struct msg_finish body = { .complete = t->end == TRANSFER_OK, .how = hows[t->end], .no_room = lacks_room(t),
	    .error = t->error < 0 && t->error > SP_EBASE ? (uint32_t)-t->error : 0,
	    .ascii = t->convert || t->s->type == REP_ASCII, .bytes = bytes_of(t) };
	int e;

	/* It may be the agent that is gone; then nobody else can tell how far it came. */
	if (t->end == TRANSFER_STOPPED)
		pulse_broken_off(t->s, body.bytes);
	if (!t->upload) {
		ask_finish_later(t->s, &body);
		return true;
	}
	e = ask_agent(t->s, MSG_FINISH, &body, MSG_DONE);
	if (e < 0 && t->end != TRANSFER_STOPPED)
		pulse_broken_off(t->s, body.bytes);
	if (e > 0 && t->end == TRANSFER_OK)
		ask_refused(t->s, &t->s->answer.failed);
	return e == 0 || (e > 0 && t->end != TRANSFER_OK);
}

/*
 * Closes the data connection.  Of an upload TLS has its closing message whatever became of it: nothing of ours is cut
 * by that, and who waits for the message in vain takes the answer for a broken connection.  A download that breaks off
 * must not have it, for it would say that all has arrived (RFC 8446, 6.1).
 */
static int
close_data(struct transfer *t)
{
	if (t->upload && t->data.fd >= 0)
		(void)stream_shutdown(&t->data);
	return stream_close(&t->data);
}

/* Did an upload break off while its client may still send? */
static bool
discardable(const struct transfer *t)
{
	return t->upload && t->data.fd >= 0 && (t->end == TRANSFER_UNWRITABLE || t->end == TRANSFER_NO_ROOM ||
	    t->end == TRANSFER_ABORTED || t->end == TRANSFER_INSECURE);
}

/*
 * The client has its answer, and still sends.  To close the connection now would reset it, and many clients who
 * meet a reset never look at the answer: what comes is read and dropped until they end it, or turn to something else.
 */
static void
discard_rest(struct transfer *t)
{
	struct session *s = t->s;

	t->step = move_discard;
	t->progress_at = 0;
	/* Where TLS has failed there is nothing more to read of it, and nobody waits for its end. */
	if (t->end == TRANSFER_INSECURE) {
		stream_strip(&t->data);
		(void)shutdown(t->data.fd, SHUT_WR);
		t->refused = true;
	}
	/* After ABOR the client may wait for our end before it says its own. */
	t->said_end = t->end == TRANSFER_ABORTED;
	if (t->said_end)
		(void)stream_shutdown(&t->data);
	run(t);
	move_free(t);
	close_data(t);
	transfer_answer_aborts(s, "Abort successful.");
}

void
transfer_refused(struct session *s)
{
	struct transfer t;
	int fd = s->data.way == DATA_PASSIVE && s->transfer == NULL && !s->ending ? data_accept(s) : -1;

	data_refuse(&s->data);
	if (fd < 0)
		return;
	prepare(&t, s, "", NULL);
	/* Under PROT P as well: nobody has begun TLS, and whoever waits for it sees the end. */
	stream_open(&t.data, fd);
	(void)shutdown(fd, SHUT_WR);
	t.started = clock_ms();
	t.upload = t.refused = true;
	t.step = move_discard;
	run(&t);
	move_free(&t);
	(void)stream_close(&t.data);
	transfer_answer_aborts(s, "Nothing to abort.");
}

/* Everything is settled, and mostly closed, before the client hears of it. */
static void
conclude(struct transfer *t, bool told)
{
	struct session *s = t->s;
	bool discards = discardable(t);
	int e = discards ? 0 : close_data(t);

	if (e < 0 && t->end == TRANSFER_OK && !t->upload)
		transfer_finish(t, TRANSFER_BROKEN, e);
	if (t->incomplete && t->end == TRANSFER_OK)
		t->end = TRANSFER_INCOMPLETE;
	if (t->file_fd >= 0 && close(t->file_fd) < 0 && t->upload && t->end == TRANSFER_OK)
		transfer_finish(t, TRANSFER_UNWRITABLE, -errno);
	move_free(t);
	/* Where the transfer never began, whoever has connected is still waiting. */
	if (t->started != 0)
		s->data.way = DATA_NONE;
	s->restart = s->allocated = 0;
	s->range_first = 0;
	s->range_last = -1;
	if (t->listing) {
		if (!t->last && !s->ending) {
			struct msg_list_close body = { .end_ = "" };

			ask_tell(s, MSG_LIST_CLOSE, &body);
		}
	} else if (!commit(t))
		told = true;
	if (t->noted != 0)
		note(t, t->noted);
	if (!told)
		tell_end(t);
	transfer_answer_aborts(s, t->end == TRANSFER_ABORTED ? "Abort successful." : "Nothing to abort.");
	if (discards)
		discard_rest(t);
}

void
transfer_download(struct session *s, const struct download *d)
{
	struct transfer t;

	prepare(&t, s, d->name, NULL);
	t.convert = s->convert && s->type == REP_ASCII;
	t.move = t.convert ? move_send_ascii : move_send_file;
	t.file_fd = d->fd;
	t.at = (off_t)d->first;
	t.stop = (off_t)d->end;
	t.counted = d->end > 0;
	if (!choose_way(&t)) {
		t.end = TRANSFER_UNCONNECTED;
		conclude(&t, true);
		return;
	}
	if (t.convert)
		reply(s, 150, "Opening ASCII mode data connection for %s.", d->name);
	else
		reply(s, 150, "Opening %s mode data connection for %s (%llu bytes).", s->type == REP_ASCII ? "ASCII" : "BINARY",
		    d->name, (unsigned long long)(d->end > d->first ? d->end - d->first : 0));
	run(&t);
	conclude(&t, false);
}

void
transfer_upload(struct session *s, const struct upload *u)
{
	struct transfer t;

	prepare(&t, s, u->name, move_receive);
	t.upload = true;
	t.convert = s->convert && s->type == REP_ASCII;
	t.file_fd = u->fd;
	t.room = u->room;
	(void)str_copy(t.limit, sizeof t.limit, u->limit);
	if (!choose_way(&t)) {
		t.end = TRANSFER_UNCONNECTED;
		conclude(&t, true);
		return;
	}
	if (u->unique)
		reply_named(s, 150, "FILE: %s", u->name);
	else
		reply(s, 150, "Ready for the data of %s.", u->name);
	run(&t);
	conclude(&t, false);
}

void
transfer_listing(struct session *s, const char *name)
{
	struct transfer t;

	prepare(&t, s, name, move_send_list);
	t.listing = true;
	if (!choose_way(&t)) {
		t.end = TRANSFER_UNCONNECTED;
		conclude(&t, true);
		return;
	}
	reply(s, 150, "Here comes the listing.");
	run(&t);
	conclude(&t, false);
}

void
transfer_describe(const struct transfer *t, char *dst, size_t size)
{
	(void)str_format(dst, size, "%s %s: %llu bytes %s", t->verb, t->name,
	    (unsigned long long)t->moved, t->upload ? "received" : "sent");
}
