/*
 * PORT EPRT PASV EPSV TYPE STRU MODE (RFC 959, 4.1.2; RFC 2428).
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/session.h"
#include "daemon/worker/words.h"

/*
 * May a data connection be made this way?  Not when the settings switch it off (the agent would refuse it too, but only
 * when the client has sent what it wants), nor after EPSV ALL (RFC 2428, 4).
 */
static bool
way_is_open(struct session *s, unsigned off, bool epsv)
{
	if ((s->flags & off) != 0)
		reply(s, 502, "%s", off == LOGIN_NO_ACTIVE ? "Active mode is switched off here; use EPSV or PASV." :
		    "Passive mode is switched off here; use EPRT or PORT.");
	else if (s->data.all && !epsv)
		reply(s, 503, "EPSV ALL was agreed: only EPSV is possible.");
	else
		return true;
	return false;
}

static unsigned
own_protocol(const struct session *s)
{
	return s->peer.sa.sa_family == AF_INET6 ? 2 : 1;
}

static void
refuse_protocol(struct session *s)
{
	reply(s, 522, "That network protocol is not supported, use (%u).", own_protocol(s));
}

/* To be pointed at others is what the attack of RFC 2577, 1 needs: administrators look for it. */
static void
record_target(const struct addr *target, const char *reason)
{
	char text[ADDR_TEXT_MAX];
	struct log_line l;

	log_begin(&l, EVENT_DATA_TARGET_REFUSED);
	log_str(&l, FIELD_ADDRESS, addr_text(text, target));
	log_str(&l, FIELD_REASON, reason);
	log_end(&l);
}

/* The agent checks it again; here the client is told at once. RFC 2428, 2: 522 names the protocol that would do. */
static void
take_target(struct session *s, const struct addr *target)
{
	if (!addr_same_host(target, &s->peer) && !addr_nets_have(&s->set->data_peer, target)) {
		record_target(target, "foreign-address");
		if (target->sa.sa_family != s->peer.sa.sa_family)
			refuse_protocol(s);
		else
			reply(s, 501, "Data connections go to the client's own address only.");
		return;
	}
	if (addr_port(target) < 1024) {
		record_target(target, "port-below-1024");
		reply(s, 501, "Ports below 1024 are not for data connections.");
		return;
	}
	data_forget_early(&s->data);
	s->data.target = *target;
	s->data.way = DATA_ACTIVE;
	reply(s, 200, "Will connect.");
}

/* h1,h2,h3,h4,p1,p2: exactly six numbers of a byte each. */
static bool
parse_port(const char *text, uint8_t six[6])
{
	for (int i = 0; i < 6; i++) {
		unsigned n = 0, digits = 0;

		for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++)
			n = n * 10 + (unsigned)(*text - '0');
		if (digits == 0 || n > 255 || *text != (i < 5 ? ',' : '\0'))
			return false;
		six[i] = (uint8_t)n;
		text++;
	}
	return true;
}

void
verb_port(struct session *s, char *argument)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct addr target;
	uint8_t six[6];

	if (!way_is_open(s, LOGIN_NO_ACTIVE, false))
		return;
	if (!parse_port(argument, six)) {
		reply(s, 501, "Usage: PORT h1,h2,h3,h4,p1,p2");
		return;
	}
	memcpy(&in.sin_addr, six, 4);
	in.sin_port = htons((in_port_t)(six[4] << 8 | six[5]));
	if (addr_from(&target, &in, sizeof in) == 0)
		take_target(s, &target);
}

/* |protocol|address|port| with any delimiter (RFC 2428, 2). 0, or the code of the refusal. */
static unsigned
parse_eprt(char *text, struct addr *target)
{
	char delimiter = *text, *field[3], *at = text + 1;
	uint64_t protocol, port;

	if (delimiter < 33 || delimiter > 126)
		return 501;
	for (int i = 0; i < 3; i++) {
		field[i] = at;
		at = strchr(at, delimiter);
		if (at == NULL)
			return 501;
		*at++ = '\0';
	}
	if (*at != '\0' || !words_number(field[0], 10, 65535, &protocol) || !words_number(field[2], 10, 65535, &port))
		return 501;
	if (protocol != 1 && protocol != 2)
		return 522;
	/* The client's name for its own link says nothing here. */
	if (protocol == 2)
		field[1][strcspn(field[1], "%")] = '\0';
	if (strspn(field[1], "0123456789abcdefABCDEF.:") != strlen(field[1]) || addr_parse(target, field[1], 0) != 0)
		return 501;
	if ((strchr(field[1], ':') != NULL) != (protocol == 2))
		return 501;
	addr_set_port(target, (in_port_t)port);
	return 0;
}

/* A link-local address has no meaning without its link, which is the one that the client came by. */
static void
take_scope(struct addr *target, const struct addr *peer)
{
	if (target->sa.sa_family == AF_INET6 && peer->sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LINKLOCAL(&target->in6.sin6_addr))
		target->in6.sin6_scope_id = peer->in6.sin6_scope_id;
}

void
verb_eprt(struct session *s, char *argument)
{
	struct addr target;
	unsigned code;

	if (!way_is_open(s, LOGIN_NO_ACTIVE, false))
		return;
	code = parse_eprt(argument, &target);
	if (code == 0) {
		take_scope(&target, &s->peer);
		take_target(s, &target);
	} else if (code == 522)
		refuse_protocol(s);
	else
		reply(s, 501, "Usage: EPRT |protocol|address|port|");
}

void
verb_pasv(struct session *s, char *argument)
{
	const uint8_t *ip;
	in_port_t port;

	(void)argument;
	if (!way_is_open(s, LOGIN_NO_PASSIVE, false) || !data_listen(s, 4))
		return;
	if (s->data.told.sa.sa_family != AF_INET) {
		s->data.way = DATA_NONE;
		reply(s, 425, "PASV cannot tell an IPv6 address; use EPSV.");
		return;
	}
	ip = (const uint8_t *)&s->data.told.in.sin_addr;
	port = addr_port(&s->data.told);
	reply(s, 227, "Entering Passive Mode (%u,%u,%u,%u,%u,%u).", ip[0], ip[1], ip[2], ip[3], port >> 8, port & 255u);
}

void
verb_epsv(struct session *s, char *argument)
{
	uint64_t protocol = 0;

	if (!way_is_open(s, LOGIN_NO_PASSIVE, true))
		return;
	if (str_same(argument, "ALL")) {
		s->data.all = true;
		reply(s, 200, "Only EPSV from now on.");
		return;
	}
	if (*argument != '\0' && !words_number(argument, 10, 65535, &protocol)) {
		reply(s, 501, "Usage: EPSV [protocol | ALL]");
		return;
	}
	if (*argument != '\0' && protocol != own_protocol(s)) {
		refuse_protocol(s);
		return;
	}
	if (data_listen(s, (unsigned)protocol))
		reply(s, 229, "Entering Extended Passive Mode (|||%u|)", addr_port(&s->data.told));
}

/* All spellings that devices use (RFC 959, 3.1.1 and 5.3.2). */
static const struct {
	const char *text;
	unsigned code;		/* 200, or why not */
	enum representation type;
} types[] = {
	{ "A", 200, REP_ASCII }, { "A N", 200, REP_ASCII }, { "AN", 200, REP_ASCII },
	{ "I", 200, REP_BINARY }, { "I N", 200, REP_BINARY }, { "IN", 200, REP_BINARY },
	{ "L 8", 200, REP_BINARY }, { "L8", 200, REP_BINARY },
	{ "A T", 504, 0 }, { "A C", 504, 0 }, { "E", 504, 0 }, { "E N", 504, 0 }, { "E T", 504, 0 }, { "E C", 504, 0 },
	{ "L", 504, 0 }, { "L 7", 504, 0 }, { "L7", 504, 0 }, { "L 16", 504, 0 }, { "L 32", 504, 0 }, { "L 36", 504, 0 },
};

void
verb_type(struct session *s, char *argument)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (!str_same(types[i].text, argument))
			continue;
		if (types[i].code != 200) {
			reply(s, types[i].code, "Of the types only A and I (L 8) are there.");
			return;
		}
		s->type = types[i].type;
		reply(s, 200, "Type is %s.", s->type == REP_ASCII ? "A" : "I");
		return;
	}
	reply(s, 501, "Usage: TYPE A [N] | I | L 8");
}

/* One letter that is served, and the others that RFC 959 knows. */
static void
one_letter(struct session *s, char *argument, const char *served, const char *known, const char *what)
{
	argument[strcspn(argument, " ")] = '\0';
	if (str_same(argument, served))
		reply(s, 200, "%s is %s.", what, served);
	else if (strlen(argument) == 1 && strcspn(argument, known) == 0)
		reply(s, 504, "Of the values of %s only %s is there.", what, served);
	else
		reply(s, 501, "%s is one letter.", what);
}

void
verb_stru(struct session *s, char *argument)
{
	one_letter(s, argument, "F", "RPrp", "STRU");
}

void
verb_mode(struct session *s, char *argument)
{
	one_letter(s, argument, "S", "BCZbcz", "MODE");
}
