#include "config.h"

#include "common/conf.h"
#include "daemon/worker/tls_reuse.h"

/* A client that waited until all its tickets were too old has nothing to resume with. */
static bool
outlived(const struct tls_reuse *r, const struct tls_reuse_facts *f)
{
	return f->expired || f->now_ms - r->last_ticket_ms >= r->lifetime_ms;
}

static bool
acceptable(const struct tls_reuse *r, const struct tls_reuse_facts *f)
{
	if (f->resumed || r->mode == CONF_REUSE_NEVER)
		return true;
	if (r->mode == CONF_REUSE_ADAPTIVE && !r->shown)
		return true;
	return outlived(r, f);
}

bool
tls_reuse_judge(struct tls_reuse *r, const struct tls_reuse_facts *f)
{
	const bool good = acceptable(r, f);

	if (f->resumed) {
		r->resumed++;
		r->shown = ++r->streak >= TLS_REUSE_PROVEN || r->shown;
	} else {
		r->full++;
		r->streak = 0;
	}
	if (good)
		r->last_ticket_ms = f->now_ms;	/* every handshake ends with a fresh one */
	return good;
}

bool
tls_reuse_needs_ticket(struct tls_reuse *r, const struct tls_reuse_facts *f)
{
	if (!f->resumed)
		return r->resumed > 0 && !r->keeps;
	r->keeps = r->keeps || (f->serial != 0 && f->serial == r->last_serial);
	r->last_serial = f->serial;
	return (f->from_control || f->no_ticket) && !r->keeps;
}

const char *
tls_reuse_refusal(const struct tls_reuse *r)
{
	if (r->mode == CONF_REUSE_STRICT)
		return "TLS session of data connection not resumed (session_reuse = strict)";
	return "TLS session of data connection not resumed, though this client always did (session_reuse = adaptive)";
}
