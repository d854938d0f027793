/*
 * What the monitor must do, because the agent has no privilege: passwords and
 * accounts; and what the session does, for sallyctl who.
 */
#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/str.h"
#include "daemon/agent/agent.h"

/* Passes an account operation on; the answer is a text for the client. */
static int
administer(struct agent *a, enum admin_operation op, const char *account, struct secret *password, const char *home)
{
	struct msg_admin *m = &a->out.admin;
	struct msg_text *t = &a->out.text;
	int r;

	m->operation = (uint8_t)op;
	m->password = *password;
	r = str_copy(m->account, sizeof m->account, account);
	if (r == 0)
		r = str_copy(m->home, sizeof m->home, home);
	if (r == 0)
		r = agent_ask(a, MSG_ADMIN, m, NULL, 0, MSG_ADMIN_OK);
	secret_clear(&m->password);
	secret_clear(password);
	if (r != 0)
		return r;
	(void)str_copy(t->text, sizeof t->text, a->reply.admin_ok.text);
	msg_close(&a->reply);
	return agent_answer(a, MSG_TEXT, t, NULL, 0);
}

int
handle_add_account(struct agent *a, const struct msg *m)
{
	(void)m;
	return administer(a, ADMIN_ADD, a->in.add_account.account, &a->in.add_account.password, a->in.add_account.home);
}

int
handle_own_password(struct agent *a, const struct msg *m)
{
	(void)m;
	return administer(a, ADMIN_OWN_PASSWORD, a->in.own_password.named ? a->user : "", &a->in.own_password.password, "");
}

int
handle_set_password(struct agent *a, const struct msg *m)
{
	(void)m;
	return administer(a, ADMIN_SET_PASSWORD, a->in.set_password.account, &a->in.set_password.password, "");
}

int
handle_note(struct agent *a, const struct msg *m)
{
	struct msg_agent_note n;
	int r;

	memcpy(n.what, m->note.what, sizeof n.what);
	n.bytes_in = m->note.bytes_in;
	n.bytes_out = m->note.bytes_out;
	n.moved = m->note.moved;
	r = chan_tell(&a->monitor, MSG_AGENT_NOTE, &n);
	return r == 0 ? ANSWERED : r;
}
