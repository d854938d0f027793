/*
 * RETR STOR STOU APPE ALLO REST RANG ABOR.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/session.h"
#include "daemon/worker/transfer.h"
#include "daemon/worker/words.h"

/* REST, RANG and ALLO count for one transfer, refused or not (RFC 3659, 5.3). */
static void
forget_position(struct session *s)
{
	s->restart = s->allocated = 0;
	s->range_first = 0;
	s->range_last = -1;
}

/* REST and RANG are taken in binary mode; TYPE A that came later cannot count the bytes of converted text. */
static bool
position_fits(struct session *s, const char *path)
{
	if ((s->restart == 0 && s->range_last < 0) || !s->convert || s->type != REP_ASCII)
		return true;
	forget_position(s);
	session_record_refusal(s, path, "position-in-ascii");
	reply(s, 503, "In ASCII mode a transfer cannot begin in the middle.");
	return false;
}

void
verb_retr(struct session *s, char *argument)
{
	struct download d = { .name = argument };
	struct msg_retrieve *const body = session_request(s);

	if (!position_fits(s, argument))
		return;
	d.first = (uint64_t)(s->restart != 0 ? s->restart : s->range_first);
	ask_path(body->path, sizeof body->path, argument);
	body->offset = d.first;
	if (!ask(s, MSG_RETRIEVE, body, MSG_READING)) {
		forget_position(s);
		return;
	}
	d.fd = msg_take_fd(&s->answer, 0);
	d.end = s->answer.reading.size;
	if (s->range_last >= 0 && d.end > (uint64_t)s->range_last + 1)
		d.end = (uint64_t)s->range_last + 1;
	transfer_download(s, &d);
}

/* What the agent opened, or its refusal. */
static void
receive(struct session *s, enum msg_type type, const void *body, const char *name, bool unique)
{
	static char final[4097];
	struct upload u = { .name = name, .unique = unique };

	if (!position_fits(s, name))
		return;
	if (s->range_last >= 0) {
		forget_position(s);
		session_record_refusal(s, name, "range-of-upload");
		reply(s, 503, "RANG is for RETR and HASH only. The range is forgotten.");
		return;
	}
	if (!ask(s, type, body, MSG_WRITING)) {
		forget_position(s);
		return;
	}
	u.fd = msg_take_fd(&s->answer, 0);
	u.room = s->answer.writing.room;
	u.limit = s->answer.writing.limit;
	if (unique) {
		(void)str_copy(final, sizeof final, s->answer.writing.name);
		u.name = final;
	}
	transfer_upload(s, &u);
}

void
verb_stor(struct session *s, char *argument)
{
	struct msg_store *const body = session_request(s);

	ask_path(body->path, sizeof body->path, argument);
	body->offset = (uint64_t)s->restart;
	body->announced = (uint64_t)s->allocated;
	receive(s, MSG_STORE, body, argument, false);
}

void
verb_stou(struct session *s, char *argument)
{
	struct msg_store_unique *const body = session_request(s);

	if (s->restart != 0) {
		forget_position(s);
		session_record_refusal(s, argument, "position-of-stou");
		reply(s, 503, "REST and STOU do not go together.");
		return;
	}
	ask_path(body->path, sizeof body->path, argument);
	body->announced = (uint64_t)s->allocated;
	receive(s, MSG_STORE_UNIQUE, body, argument, true);
}

/* RFC 3659, 5.3: after REST it "MUST act identically to STOR", and is decided as that. */
void
verb_appe(struct session *s, char *argument)
{
	struct msg_append *const body = session_request(s);

	if (s->restart != 0) {
		verb_stor(s, argument);
		return;
	}
	ask_path(body->path, sizeof body->path, argument);
	body->announced = (uint64_t)s->allocated;
	receive(s, MSG_APPEND, body, argument, false);
}

/* 200, not 202: some cameras take 202 for a refusal. */
void
verb_allo(struct session *s, char *argument)
{
	(void)argument;
	s->allocated = s->number;
	reply(s, 200, "Noted.");
}

void
verb_rest(struct session *s, char *argument)
{
	(void)argument;
	if (*s->number_rest != '\0')
		reply(s, 501, "Usage: REST offset");
	else if (s->number > 0 && s->convert && s->type == REP_ASCII)
		reply(s, 501, "In ASCII mode a transfer cannot begin in the middle.");
	else {
		s->restart = s->number;
		reply(s, 350, "The next transfer begins at %" PRId64 ".", s->number);
	}
}

void
verb_rang(struct session *s, char *argument)
{
	uint64_t last;

	(void)argument;
	if (*s->number_rest != ' ' || !words_number(s->number_rest + 1, 10, INT64_MAX - 1, &last)) {
		reply(s, 501, "Usage: RANG first last");
		return;
	}
	if (s->number == 1 && last == 0) {
		s->range_first = 0;
		s->range_last = -1;
		reply(s, 350, "The range is taken back.");
	} else if ((uint64_t)s->number > last)
		reply(s, 501, "The first byte must not come after the last.");
	else if (s->convert && s->type == REP_ASCII)
		reply(s, 501, "In ASCII mode there are no ranges.");
	else {
		s->range_first = s->number;
		s->range_last = (int64_t)last;
		reply(s, 350, "The next transfer has the bytes %" PRId64 " to %" PRIu64 ".", s->number, last);
	}
}

/* During a transfer its engine gives both replies (RFC 959, 4.1.3). */
void
verb_abor(struct session *s, char *argument)
{
	(void)argument;
	if (s->busy || s->transfer != NULL) {
		s->abort = true;
		s->aborts++;
	} else {
		/* RFC 959, 4.1.3: it closes the data connection, if there is one. */
		data_forget_early(&s->data);
		reply(s, 226, "Nothing to abort.");
	}
}
