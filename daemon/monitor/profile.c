/*
 * The agent becomes the account: its policy, its profile, and the look from
 * outside whether it really did.
 */
#include "config.h"

#include <string.h>

#include "account/profile.h"
#include "authz/settings.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "privsep/drop.h"
#include "privsep/inflight.h"
#include "privsep/verify.h"

#define LOW_PORTS 1024

static struct monitor_scratch *const scratch = &monitor_scratch;

int
monitor_verify_agent(const struct monitor *s)
{
	const struct account *a = &s->account;
	const struct role_row *row = role_row(ROLE_AGENT);
	struct verify_want want = {
		.uid = a->uid, .gid = a->gid, .groups = a->groups, .group_count = a->group_count,
		.filters = monitor_prepared.lax ? 0 : role_filters(row, PHASE_LIVE)
	};
	char why[256] = "";
	struct log_line l;
	int r = verify_process(s->own_agent != 0 ? s->own_agent : s->agent_pid, &want, why, sizeof why);

	if (r == 0)
		return 0;
	log_begin(&l, EVENT_AGENT_NOT_AS_CLAIMED);
	log_str(&l, FIELD_REASON, why);
	log_code(&l, r);
	log_end(&l);
	return r;
}

/* ------------------------------------------------------------------ the profile */

/* One layer, in as many messages as its text needs. */
static int
send_layer(struct monitor *s, const struct conf_layer *l)
{
	size_t left = strlen(l->text);
	const char *text = l->text;
	int r;

	r = str_copy(scratch->body.layer.dialect, sizeof scratch->body.layer.dialect, l->dialect);
	if (r == 0)
		r = str_copy(scratch->body.layer.prefix, sizeof scratch->body.layer.prefix, l->prefix);
	(void)str_copy(scratch->body.layer.origin, sizeof scratch->body.layer.origin, l->file);
	scratch->body.layer.line = l->line;
	scratch->body.layer.scope = (uint8_t)authz_scope_of(l, &s->account.resolved->s);
	(void)str_copy(scratch->body.layer.section, sizeof scratch->body.layer.section, l->section);
	do {
		size_t n = left > sizeof scratch->body.layer.text ? sizeof scratch->body.layer.text : left;

		memcpy(scratch->body.layer.text, text, scratch->body.layer.text_len = n);
		left -= n;
		text += n;
		scratch->body.layer.more = left > 0;
		if (r == 0)
			r = chan_tell(&s->agent, MSG_LAYER, &scratch->body.layer);
	} while (r == 0 && left > 0);
	return r;
}

static int
send_layers(struct monitor *s)
{
	const struct conf_layer *guest = profile_guest_layer(monitor_prepared.conf, &s->account);
	const struct conf_layers *layers = &s->account.resolved->s.layer;
	int r = guest != NULL ? send_layer(s, guest) : 0;

	for (size_t i = 0; r == 0 && i < layers->n; i++)
		r = send_layer(s, &layers->v[i]);
	return r;
}

/* Does the value stand in the agent's own configuration, as that of the server? */
static bool
agent_knows(const struct conf_origin *o)
{
	return o->section == NULL || o->section[0] == '\0' || strcmp(o->section, "server") == 0 || strcmp(o->section, "tls") == 0;
}

/* The address that the listener has found for this host name; NULL: none. len: the name's. */
static const char *
address_of(const char *names, const char *name, size_t len, size_t *address_len)
{
	for (const char *p = names; *p != '\0'; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n > len && strncmp(p, name, len) == 0 && p[len] == '=') {
			*address_len = n - len - 1;
			return p + len + 1;
		}
		p += n;
	}
	return NULL;
}

/* passive_address with addresses for host names: an agent cannot look them up. 0 or SP_ERANGE. */
static int
list_passive_address(const struct monitor *s, char *out, size_t size)
{
	char *value = scratch->value;
	size_t used;

	if (str_copy(out, size, "passive_address=") != 0)
		return SP_ERANGE;
	used = strlen(out);
	conf_value_text(&s->account.resolved->s, K_passive_address, value, sizeof scratch->value);
	for (char *row; (row = strsep(&value, ",")) != NULL;) {
		char *target = strstr(row, "= ");
		size_t len, name_len = target == NULL ? 0 : strlen(target + 2);
		const char *address = target == NULL ? NULL : address_of(s->names, target + 2, name_len, &len);
		int keep = target == NULL ? (int)strlen(row) : (int)(target + 2 - row);

		if (address == NULL ? str_format(out + used, size - used, "%s%s", row, value == NULL ? "\n" : ",") != 0
		    : str_format(out + used, size - used, "%.*s%.*s%s", keep, row, (int)len, address,
			value == NULL ? "\n" : ",") != 0)
			return SP_ERANGE;
		used += strlen(out + used);
	}
	return 0;
}

/* What listener, class, groups and account say for the agent, as key=value lines. */
static int
list_settings(const struct monitor *s, char *out, size_t size)
{
	const struct conf_resolved *own = s->account.resolved;
	size_t n = 0;

	out[0] = '\0';
	for (int k = 0; k < K_COUNT; k++) {
		const struct conf_key *key = &conf_keys[k];

		if ((key->audience & TO_AGENT) == 0 || (key->scopes & (SC_LISTENER | SC_USER)) == 0 ||
		    agent_knows(&own->origin[k]) || (k == K_passive_address && s->names[0] != '\0'))
			continue;
		conf_value_text(&own->s, (enum conf_key_id)k, scratch->value, sizeof scratch->value);
		if (str_format(out + n, size - n, "%s=%s\n", key->name, scratch->value) != 0)
			return SP_ERANGE;
		n += strlen(out + n);
	}
	return s->names[0] == '\0' ? 0 : list_passive_address(s, out + n, size - n);
}

uint8_t
monitor_profile_flags(const struct monitor *s)
{
	const struct account *a = &s->account;
	const struct settings *set = &a->resolved->s;
	const struct { bool on; enum profile_flag flag; } flags[] = {
		{ set->jail,						PROFILE_JAIL },
		{ a->flags & ACCOUNT_ANONYMOUS,				PROFILE_ANONYMOUS },
		{ set->quota_bytes != 0 || set->quota_files != 0,	PROFILE_QUOTA },
		{ set->chown,						PROFILE_CHOWN },
		{ set->active_port > 0 && set->active_port < LOW_PORTS,	PROFILE_BIND_LOW },
		{ account_administers(a),				PROFILE_ADMIN },
		{ account_changes_password(a),				PROFILE_OWN_PASSWORD },
		{ true,							PROFILE_RECORDS }
	};
	unsigned all = 0;

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		all |= flags[i].on ? (unsigned)flags[i].flag : 0;
	return (uint8_t)all;
}

static void
copy_addr(uint8_t *out, size_t *len, const struct addr *a)
{
	*len = addr_len(a);
	memcpy(out, &a->sa, *len);
}

static int
send_profile(struct monitor *s, int root_fd)
{
	const struct account *a = &s->account;
	struct msg_profile *p = &scratch->body.profile;
	int fds[2] = { root_fd }, r;

	if (a->group_count * sizeof *a->groups > sizeof p->groups)
		return SP_ERANGE;
	p->session = s->session;
	p->uid = a->uid;
	p->gid = a->gid;
	p->groups_len = a->group_count * sizeof *a->groups;
	if (p->groups_len > 0)
		memcpy(p->groups, a->groups, p->groups_len);
	p->dialect_uid = profile_dialect_uid(a);
	p->umask = a->resolved->s.umask;
	p->flags = monitor_profile_flags(s);
	(void)str_copy(p->user, sizeof p->user, a->name);
	(void)str_copy(p->home, sizeof p->home, s->root_path);
	(void)str_copy(p->start, sizeof p->start, scratch->start);
	profile_group_names(a, p->group_names, sizeof p->group_names);
	copy_addr(p->peer, &p->peer_len, &s->peer);
	copy_addr(p->local, &p->local_len, &s->local);
	r = list_settings(s, p->settings, sizeof p->settings);
	if (r != 0)
		return r;
	fds[1] = s->inflight_fd = inflight_make();
	return monitor_ask(s, &s->agent, MSG_PROFILE, p, fds, fds[1] < 0 ? 1 : 2);
}

bool
monitor_send_profile(struct monitor *s, int root_fd)
{
	int r = send_layers(s);

	if (r == 0)
		r = send_profile(s, root_fd);
	if (r != 0 && !s->ended)
		log_problem(EVENT_PROFILE_NOT_SENT, NULL, r);
	return r == 0;
}

bool
monitor_await_agent(struct monitor *s)
{
	if (monitor_await(s, &s->agent, &scratch->answer, MSG_PROFILE_OK) != 0)
		return false;
	if (scratch->answer.type != MSG_PROFILE_OK) {
		log_problem(EVENT_PROFILE_REFUSED, scratch->answer.failed.text,
		    scratch->answer.failed.error == 0 ? 0 : -(int)scratch->answer.failed.error);
		msg_close(&scratch->answer);
		return false;
	}
	return monitor_system->verify_agent(s) == 0;
}
