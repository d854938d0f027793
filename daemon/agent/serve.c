/*
 * One request of the worker: what it is about, whether it may, who serves it.
 */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/hidden.h"
#include "daemon/agent/quota.h"

#define TRIES 4		/* for requests that meet a changing tree */

struct service {
	int (*handler)(struct agent *, const struct msg *);
	subject_fn *subject;	/* NULL: it is about no path, or goes on with an earlier request */
	size_t path;		/* where the path stands in struct msg */
};

#define ABOUT(name, subject)	{ handle_##name, subject, offsetof(struct msg, name.path) }
#define WITHOUT(name)		{ handle_##name, NULL, 0 }
#define SESSION(name)		{ handle_##name, subject_session, 0 }

static const struct service services[MSG_COUNT] = {
	[MSG_CHANGE_DIR] =	ABOUT(change_dir, subject_object),
	[MSG_FACTS] =		ABOUT(facts, subject_object),
	[MSG_MLST] =		ABOUT(mlst, subject_object),
	[MSG_RETRIEVE] =	ABOUT(retrieve, subject_object),
	[MSG_DIGEST] =		ABOUT(digest, subject_object),
	[MSG_STORE] =		ABOUT(store, subject_object),
	[MSG_STORE_UNIQUE] =	ABOUT(store_unique, subject_unique),
	[MSG_APPEND] =		ABOUT(append, subject_object),
	[MSG_FINISH] =		WITHOUT(finish),
	[MSG_LIST_OPEN] =	ABOUT(list_open, subject_listing),
	[MSG_NAMES_OPEN] =	ABOUT(names_open, subject_listing),
	[MSG_LIST_NEXT] =	WITHOUT(list_next),
	[MSG_LIST_CLOSE] =	WITHOUT(list_close),
	[MSG_MAKE_DIR] =	ABOUT(make_dir, subject_name),
	[MSG_REMOVE_DIR] =	ABOUT(remove_dir, subject_name),
	[MSG_DELETE] =		ABOUT(delete, subject_name),
	[MSG_RENAME_FROM] =	ABOUT(rename_from, subject_name),
	[MSG_RENAME_TO] =	ABOUT(rename_to, subject_rename_to),
	[MSG_CHANGE_MODE] =	ABOUT(change_mode, subject_object),
	[MSG_SET_TIME] =	ABOUT(set_time, subject_object),
	[MSG_CHANGE_OWNER] =	ABOUT(change_owner, subject_object),
	[MSG_SET_UMASK] =	SESSION(set_umask),
	[MSG_MAKE_LINK] =	ABOUT(make_link, subject_name),
	[MSG_READ_LINK] =	ABOUT(read_link, subject_name),
	[MSG_ACL_GET] =		ABOUT(acl_get, subject_object),
	[MSG_ACL_SET] =		ABOUT(acl_set, subject_object),
	[MSG_SPACE] =		ABOUT(space, subject_object),
	[MSG_EXPLAIN] =		WITHOUT(explain),
	[MSG_ADD_ACCOUNT] =	SESSION(add_account),
	[MSG_OWN_PASSWORD] =	SESSION(own_password),
	[MSG_SET_PASSWORD] =	SESSION(set_password),
	[MSG_LISTEN] =		WITHOUT(listen),
	[MSG_CONNECT] =		WITHOUT(connect),
	[MSG_NOTE] =		WITHOUT(note),
};

int
agent_refuse(struct agent *a, enum fail_reason reason, const char *text)
{
	a->refusal = reason;
	a->refusal_error = 0;
	(void)str_copy(a->refusal_text, sizeof a->refusal_text, text == NULL ? "" : text);
	return SP_EDENIED;
}

int
agent_answer(struct agent *a, enum msg_type type, const void *body, const int *fds, unsigned count)
{
	int r;

	gate_settle(a, 0);
	r = count > 0 && !chan_is_read(&a->files) ? SP_EUNREAD
	    : chan_answer(&a->files, &a->in, type, body, fds, count);

	return r == 0 ? ANSWERED : r;
}

int
subject_session(struct agent *a, const struct msg *m, const char *path)
{
	(void)a, (void)m, (void)path;
	return 0;
}

int
subject_find(struct agent *a, int op, const char *path, enum root_last last, struct place *p)
{
	return tree_find(&a->root, a->cwd, a->start == NULL ? "/" : a->start, op, path, last, p);
}

int
subject_object(struct agent *a, const struct msg *m, const char *path)
{
	return subject_find(a, gate_operation(m->type), path, ROOT_FOLLOW, &a->place);
}

int
subject_name(struct agent *a, const struct msg *m, const char *path)
{
	return subject_find(a, gate_operation(m->type), path, ROOT_NAME, &a->place);
}

int
subject_rename_to(struct agent *a, const struct msg *m, const char *path)
{
	int r = root_find(&a->root, "/", a->rename_from, ROOT_NAME, &a->source);

	return r != 0 ? r : subject_name(a, m, path);
}

/* The walk, the decision, the deed, the record. */
static int
attempt(struct agent *a, const struct service *s, bool last)
{
	const char *path = s->path == 0 ? NULL : (const char *)&a->in + s->path;
	int r = s->subject == NULL ? 0 : s->subject(a, &a->in, path);
	bool placed = path != NULL && r >= 0;

	if (r < 0)
		gate_undecided(a, &a->in, path, r);
	else if ((r = gate_pass(a, &a->in)) == 0)
		r = s->handler(a, &a->in);
	if (r == AGAIN && last)
		r = -EAGAIN;
	if (r != AGAIN)
		gate_settle(a, r);
	/* The record says what happened; the answer no more than the account may know. */
	if (placed && r < 0)
		r = hidden_answer(a, &a->in, r);
	root_leave(&a->place);
	root_leave(&a->source);
	return r;
}

/* What the client is told about a code of ours or of the kernel's. */
static int
answer(struct agent *a, int r)
{
	static const struct msg_done done;

	if (r == 0)
		return chan_answer(&a->files, &a->in, MSG_DONE, &done, NULL, 0);
	if (r == ANSWERED)
		return 0;
	if (r == SP_EDENIED)
		return chan_refuse(&a->files, &a->in, a->refusal, a->refusal_error, a->refusal_text);
	if (r == SP_EFORMAT)
		return chan_refuse(&a->files, &a->in, FAIL_PATH, EINVAL, NULL);
	return chan_refuse(&a->files, &a->in, FAIL_SYSTEM, r > SP_EBASE && r < 0 ? -r : EIO, NULL);
}

int
serve(struct agent *a)
{
	const struct service *s = &services[a->in.type];
	int r = AGAIN;

	if (s->handler == NULL)
		return SP_ETYPE;
	if (a->in.type != MSG_RENAME_TO && a->in.type != MSG_NOTE)
		a->states &= ~(unsigned)ST_RENAMING;
	if (a->transfer.kind == TRANSFER_NONE)
		quota_sweep(a);
	for (unsigned i = 0; r == AGAIN && i < TRIES; i++)
		r = attempt(a, s, i == TRIES - 1);
	if (r == SP_ECLOSED || r == SP_EUNREAD)
		return r;
	return answer(a, r);
}
