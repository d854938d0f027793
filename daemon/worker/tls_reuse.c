#include "config.h"

#include "common/conf.h"
#include "daemon/worker/tls_reuse.h"

bool
tls_reuse_outlived(const struct tls_reuse *r, bool expired, int64_t now_ms)
{
	return expired || now_ms - r->last_ticket_ms >= r->lifetime_ms;
}

/*
 * Does the client have a ticket that it would have shown?  Only of one that takes it from the control connection
 * itself, time and again, is that sure: whatever lies in a cache may have been used up, replaced or dropped by
 * another connection of the same client.  A cache would have had the newer tickets of data connections to show.
 */
static bool
holds_ticket(const struct tls_reuse *r, int64_t now_ms)
{
	return r->shown >= TLS_REUSE_PROVEN && r->passed_over >= TLS_REUSE_PASSED_OVER && now_ms < r->held_until_ms;
}

static bool
acceptable(const struct tls_reuse *r, const struct tls_reuse_facts *f)
{
	switch (r->mode) {
	case CONF_REUSE_STRICT:
		return (f->resumed && f->trusted) || (!f->resumed && tls_reuse_outlived(r, f->expired, f->now_ms));
	case CONF_REUSE_ADAPTIVE:
		return f->resumed || f->offered || !holds_ticket(r, f->now_ms);
	}
	return true;
}

static void
forget_proof(struct tls_reuse *r)
{
	r->held = 0;
	r->shown = r->passed_over = 0;
}

/* What a connection that is accepted says about the way in which its client treats tickets. */
static void
learn(struct tls_reuse *r, const struct tls_reuse_facts *f)
{
	if (!f->resumed || !f->trusted || !f->from_control || f->serial == 0) {
		forget_proof(r);
		return;
	}
	if (f->serial != r->held) {
		forget_proof(r);
		r->held = f->serial;
		r->held_until_ms = f->now_ms - f->age_ms + r->lifetime_ms - TLS_REUSE_MARGIN_MS;
	}
	r->shown++;
	if (r->newest > f->serial)
		r->passed_over++;
}

bool
tls_reuse_judge(struct tls_reuse *r, const struct tls_reuse_facts *f)
{
	const bool good = acceptable(r, f);

	if (f->resumed)
		r->resumed++;
	else
		r->full++;
	if (!good)
		return false;
	learn(r, f);
	r->last_ticket_ms = f->now_ms;	/* every handshake ends with a fresh one */
	return true;
}

void
tls_reuse_ended(struct tls_reuse *r, bool in_order, uint32_t given)
{
	if (!in_order)
		forget_proof(r);
	else if (given != 0)
		r->newest = given;
}

bool
tls_reuse_needs_ticket(struct tls_reuse *r, const struct tls_reuse_facts *f)
{
	const bool first = r->last_serial == 0;

	if (!f->resumed)
		return r->resumed > 0 && !r->keeps;
	r->keeps = r->keeps || (f->serial != 0 && f->serial == r->last_serial);
	r->last_serial = f->serial;
	/*
	 * Will it show the same one again? A fresh one would hide that. Where a full handshake does no harm, it is
	 * tried.
	 */
	if (first && r->mode == CONF_REUSE_ADAPTIVE)
		return false;
	return (f->from_control || f->no_ticket) && !r->keeps;
}

const char *
tls_reuse_refusal(const struct tls_reuse *r)
{
	if (r->mode == CONF_REUSE_STRICT)
		return "TLS session of data connection not resumed (session_reuse = strict)";
	return "TLS session of data connection not resumed, though this client has a ticket that it always showed"
	    " (session_reuse = adaptive)";
}
