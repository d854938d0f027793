/*
 * sallyctl probe: does a server answer, does its TLS work, for how many days more is its certificate good, can an
 * account log in?  For load balancers, containers and monitoring.  It talks to the server as a client does, through the
 * network, and wants neither the control socket nor a right; what the network says is read by a process without any.
 */
#include "config.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/nobody.h"
#include "ctl/passwd.h"
#include "ctl/resolve.h"
#include "ctl/talk.h"

enum mode { MODE_CLEAR, MODE_OFFERED, MODE_EXPLICIT, MODE_IMPLICIT };

/* What is asked of each server. */
struct wish {
	struct invocation *inv;
	const char *user;		/* NULL: nobody logs in */
	struct secret password;
	const char *name;		/* the certificate must be this name's, and believed; NULL: any will do */
	long days;			/* for so many more it must be good; 0: now */
	long seconds;			/* for all of it */
	bool alive;			/* any answer will do */
	unsigned servers, wrong;
	int result;
	struct json json;
};

/* One server, and what is known of it. */
struct probe {
	struct wish *wish;
	struct addr addr;
	enum mode mode;
	struct talk talk;
	int64_t began;
	int greeting;			/* its code; 0: none came */
	const char *tls;		/* the version; NULL: in clear */
	bool certificate, logged_in;
	int days;			/* that the certificate has left; less than 0: it is over */
	char expires[24];		/* the day and time of that, UTC */
	char why[400];			/* what is wrong; empty: nothing */
};

/* Notes what is wrong, once. Returns false. */
static bool wrong(struct probe *, int result, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool
wrong(struct probe *p, int result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p->why, sizeof p->why, fmt, ap);
	va_end(ap);
	p->wish->wrong++;
	/* The gravest of all servers: not there, then silent, then unwilling. */
	p->wish->result = result > p->wish->result ? result : p->wish->result;
	return false;
}

/* A reply that is not the expected one, or none. */
static bool
refused(struct probe *p, const char *what, int code)
{
	if (code < 0)
		return wrong(p, CTL_FAILED, "%s: %s", what, sp_strerror(code));
	return wrong(p, CTL_NO, "%s: %d %s", what, code, p->talk.text);
}

/* ------------------------------------------------------------------------- steps */

/* The certificate that was shown; false when it is not good. */
static bool
look_at_certificate(struct probe *p)
{
	X509 *x = SSL_get1_peer_certificate(p->talk.ssl);
	long verdict = SSL_get_verify_result(p->talk.ssl);
	int seconds = 0;
	struct tm tm;

	p->tls = SSL_get_version(p->talk.ssl);
	if (x == NULL)
		return wrong(p, CTL_NO, "the server shows no certificate");
	p->certificate = ASN1_TIME_diff(&p->days, &seconds, NULL, X509_get0_notAfter(x)) == 1;
	if (p->certificate && p->days == 0 && seconds < 0)
		p->days = -1;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1)
		(void)strftime(p->expires, sizeof p->expires, "%Y-%m-%dT%H:%M:%SZ", &tm);
	X509_free(x);
	if (!p->certificate || p->days < 0)
		return wrong(p, CTL_NO, "the certificate expired at %s", p->expires);
	if (p->days < p->wish->days)
		return wrong(p, CTL_NO, "the certificate is good for %d day%s only", p->days, str_plural((uint64_t)p->days));
	if (p->wish->name != NULL && verdict != X509_V_OK)
		return wrong(p, CTL_NO, "the certificate is no good for %s: %s", p->wish->name,
		    X509_verify_cert_error_string(verdict));
	return true;
}

static bool
begin_tls(struct probe *p)
{
	int r = talk_tls(&p->talk, p->wish->name);

	if (r != 0)
		return wrong(p, r == -ETIMEDOUT ? CTL_FAILED : CTL_NO, "TLS fails: %s", sp_strerror(r));
	return look_at_certificate(p);
}

/* AUTH TLS, where it is wanted. */
static bool
ask_for_tls(struct probe *p)
{
	bool about_tls = p->wish->days > 0 || p->wish->name != NULL;
	int code;

	if (p->mode == MODE_IMPLICIT)
		return true;
	if (p->mode == MODE_CLEAR)
		return !about_tls || wrong(p, CTL_NO, "there is no TLS here, and so no certificate");
	code = talk_command(&p->talk, "AUTH", "TLS");
	if (code == 234)
		return begin_tls(p);
	/* Nobody has asked for it, and the server has none. */
	if (p->mode == MODE_OFFERED && code >= 500 && !about_tls)
		return true;
	return refused(p, "AUTH TLS", code);
}

static bool
log_in(struct probe *p)
{
	int code;

	if (p->wish->user == NULL)
		return true;
	if (p->tls == NULL && p->mode != MODE_CLEAR && !addr_is_loopback(&p->addr))
		return wrong(p, CTL_NO, "the server has no TLS, and the password is not sent in clear (--tls no)");
	code = talk_command(&p->talk, "USER", p->wish->user);
	if (code == 331)
		code = talk_command(&p->talk, "PASS", p->wish->password.data);
	p->logged_in = code == 230 || code == 232;
	return p->logged_in || refused(p, "the login is refused", code);
}

static bool
greet(struct probe *p)
{
	int r;

	if (p->mode == MODE_IMPLICIT && !begin_tls(p))
		return false;
	r = talk_reply(&p->talk);
	p->greeting = r > 0 ? r : 0;
	if (r == 220 || (r > 0 && p->wish->alive))
		return true;
	return r > 0 ? refused(p, "the server is not ready", r)
		     : wrong(p, r == -ETIMEDOUT || r == SP_EFORMAT ? CTL_FAILED : CTL_NOSERVER, "no greeting: %s", sp_strerror(r));
}

/* All of it; what is wrong is noted. */
static void
ask(struct probe *p)
{
	int r;

	p->began = clock_ms();
	p->wish->servers++;
	r = talk_open(&p->talk, &p->addr, p->began + p->wish->seconds * 1000);
	if (r != 0)
		(void)wrong(p, CTL_NOSERVER, "%s", sp_strerror(r));
	else if (greet(p) && (p->greeting != 220 || (ask_for_tls(p) && log_in(p))))
		/* Politely, so that the log does not tell of a client that broke off. */
		(void)talk_command(&p->talk, "QUIT", NULL);
	talk_close(&p->talk);
}

/* ------------------------------------------------------------------------- answer */

static void
tell_json(const struct probe *p, const char *address)
{
	struct json *j = &p->wish->json;

	json_open(j, NULL, '{');
	json_str(j, "address", address);
	json_bool(j, "ok", p->why[0] == '\0');
	json_str(j, "error", p->why[0] == '\0' ? NULL : p->why);
	json_num(j, "greeting", p->greeting);
	json_str(j, "tls", p->tls);
	if (p->certificate) {
		json_num(j, "certificate_days", p->days);
		json_str(j, "certificate_expires", p->expires);
	}
	if (p->wish->user != NULL)
		json_bool(j, "logged_in", p->logged_in);
	json_num(j, "milliseconds", clock_ms() - p->began);
	json_close(j);
}

static void
tell(const struct probe *p)
{
	char address[ADDR_TEXT_MAX];
	const struct wish *w = p->wish;

	(void)addr_text(address, &p->addr);
	if (w->inv->json)
		tell_json(p, address);
	else if (p->why[0] != '\0')
		(void)ctl_fail(w->inv, CTL_NO, "%s: %s", address, p->why);
	else if (!w->inv->quiet) {
		printf("%s: answers %d", address, p->greeting);
		if (p->tls != NULL)
			printf(", %s, certificate good for %d day%s", p->tls, p->days, str_plural((uint64_t)p->days));
		if (p->logged_in) {
			fputs(", logs in ", stdout);
			ctl_print_name(w->user);
		}
		putchar('\n');
	}
}

static void
probe(struct wish *w, const struct addr *a, enum mode mode)
{
	struct probe p = { .wish = w, .addr = *a, .mode = mode };

	ask(&p);
	tell(&p);
}

/* ------------------------------------------------------------------------- servers */

/* Where a listener of this machine can be reached from here. */
static void
make_reachable(struct addr *a)
{
	in_port_t port = addr_port(a);

	/* All addresses are those of IPv4, too, and a container may have no others. */
	if ((a->sa.sa_family == AF_INET && a->in.sin_addr.s_addr == htonl(INADDR_ANY)) ||
	    (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr)))
		(void)addr_parse(a, "127.0.0.1", port);
}

static void
probe_listener(struct wish *w, const struct settings *s, const enum mode *mode)
{
	enum mode own = s->tls == CONF_TLS_OFF || s->certificate.n == 0 ? MODE_CLEAR : s->implicit_tls ? MODE_IMPLICIT : MODE_EXPLICIT;

	for (size_t i = 0; i < s->listen.n; i++) {
		struct addr a;

		if (addr_parse(&a, s->listen.v[i], s->implicit_tls ? 990 : 21) != 0)
			continue;
		make_reachable(&a);
		probe(w, &a, mode == NULL ? own : *mode);
	}
}

/* Every listener of the configuration, or the one that --listener names. */
static void
probe_listeners(struct wish *w, struct conf *conf, const enum mode *mode)
{
	const struct conf_section *l = conf_section_next(conf, SC_LISTENER, NULL);
	const char *wanted = w->inv->value[OPT_LISTENER];

	do {
		const struct conf_subject subject = { .listener = l == NULL ? NULL : conf_section_name(l) };
		struct conf_resolved r;

		if (wanted != NULL && (l == NULL || strcmp(wanted, subject.listener) != 0))
			continue;
		if (conf_resolve(conf, &subject, &r) != 0)
			continue;
		probe_listener(w, &r.s, mode);
		conf_resolved_free(&r);
	} while (l != NULL && (l = conf_section_next(conf, SC_LISTENER, l)) != NULL);
}

/* A host name, with or without a port, is looked up. */
static int
look_up(struct wish *w, const char *text, in_port_t port, struct addr *a)
{
	size_t len = strcspn(text, ":");
	char host[256], literal[300];
	struct addr with_port, v6;
	int r = 0;

	if (len == 0 || str_format(host, sizeof host, "%.*s", (int)len, text) != 0 ||
	    str_format(literal, sizeof literal, "192.0.2.1%s", text + len) != 0 ||
	    addr_parse(&with_port, literal, port) != 0)
		return ctl_fail(w->inv, CTL_USAGE, "%s: a host or address was expected, with or without :PORT", text);
	if ((r = resolve(host, a, &v6)) != 0)
		return ctl_fail(w->inv, CTL_NOSERVER, "%s: %s", host, gai_strerror(r));
	if (a->sa.sa_family == AF_UNSPEC)
		*a = v6;
	addr_set_port(a, addr_port(&with_port));
	return CTL_OK;
}

static int
probe_address(struct wish *w, const char *text, const enum mode *mode)
{
	in_port_t port = mode != NULL && *mode == MODE_IMPLICIT ? 990 : 21;
	struct addr a;
	int r = addr_parse(&a, text, port) == 0 ? CTL_OK : look_up(w, text, port, &a);

	if (r != CTL_OK)
		return r;
	make_reachable(&a);
	probe(w, &a, mode != NULL ? *mode : addr_port(&a) == 990 ? MODE_IMPLICIT : MODE_OFFERED);
	return CTL_OK;
}

/* ------------------------------------------------------------------------- options */

static int
take_number(struct invocation *inv, enum ctl_option o, long *n, long least)
{
	char *end;

	if (inv->value[o] == NULL)
		return CTL_OK;
	*n = strtol(inv->value[o], &end, 10);
	if (*inv->value[o] >= '0' && *inv->value[o] <= '9' && *end == '\0' && *n >= least && *n <= 36500)
		return CTL_OK;
	return ctl_fail(inv, CTL_USAGE, "%s: a number from %ld to 36500 was expected", inv->value[o], least);
}

static int
take_mode(struct invocation *inv, enum mode *mode, const enum mode **used)
{
	static const char *const words[] = { [MODE_CLEAR] = "no", [MODE_OFFERED] = "offered", [MODE_EXPLICIT] = "explicit",
		[MODE_IMPLICIT] = "implicit" };
	const char *word = inv->value[OPT_TLS];

	for (unsigned i = 0; word != NULL && i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0) {
			*mode = (enum mode)i;
			*used = mode;
			return CTL_OK;
		}
	return word == NULL ? CTL_OK : ctl_fail(inv, CTL_USAGE, "%s: no, offered, explicit or implicit were expected", word);
}

/* The first line of --password-file, without its end. */
static int
read_password(const struct invocation *inv, struct secret *secret)
{
	const char *path = inv->value[OPT_PASSWORD_FILE];
	size_t len = 0;
	char *text = NULL;
	int r, fd = open(path, O_RDONLY | O_CLOEXEC);

	r = fd < 0 ? -errno : fd_read_file(fd, SECRET_MAX + 2, &text, &len);
	if (fd >= 0)
		close(fd);
	if (r == 0 && text != NULL)
		r = secret_set(secret, text, strcspn(text, "\r\n"));
	if (text != NULL)
		explicit_bzero(text, len);
	free(text);
	return r == 0 ? CTL_OK : ctl_fail_code(inv, CTL_FAILED, path, r);
}

static int
take_user(struct wish *w)
{
	struct invocation *inv = w->inv;

	w->user = inv->value[OPT_USER];
	if (w->user == NULL && inv->count[OPT_PASSWORD_FILE] > 0)
		return ctl_fail(inv, CTL_USAGE, "--password-file needs --user");
	if (w->user == NULL)
		return CTL_OK;
	if (*w->user == '\0' || strpbrk(w->user, "\r\n") != NULL)
		return ctl_fail(inv, CTL_USAGE, "a name was expected behind --user");
	if (inv->count[OPT_PASSWORD_FILE] > 0)
		return read_password(inv, &w->password);
	return ctl_read_password_once(inv, &w->password);
}

static int
take_wish(struct wish *w)
{
	int r = take_number(w->inv, OPT_DAYS, &w->days, 0);

	if (r == CTL_OK)
		r = take_number(w->inv, OPT_TIMEOUT, &w->seconds, 1);
	if (r == CTL_OK && w->inv->argc > 0 && w->inv->count[OPT_LISTENER] > 0)
		r = ctl_fail(w->inv, CTL_USAGE, "an address and --listener exclude each other");
	w->name = w->inv->value[OPT_VERIFY];
	w->alive = w->inv->count[OPT_ALIVE] > 0;
	return r == CTL_OK ? take_user(w) : r;
}

static int
answer(struct wish *w, int result)
{
	struct json all;

	json_close(&w->json);
	if (result == CTL_OK && w->servers == 0)
		result = ctl_fail(w->inv, CTL_CONFIG, "no listener of that name, or none with an address");
	if (result == CTL_OK)
		result = w->result;
	if (!w->inv->json || w->servers == 0)
		return result;
	json_init(&all);
	json_open(&all, NULL, '{');
	json_bool(&all, "ok", w->wrong == 0);
	json_put(&all, "servers", &w->json);
	json_close(&all);
	return ctl_print_json(w->inv, &all) == CTL_OK ? result : CTL_FAILED;
}

int
probe_command(struct invocation *inv)
{
	struct wish w = { .inv = inv, .seconds = 5 };
	enum mode mode = MODE_OFFERED;
	const enum mode *used = NULL;
	struct conf *conf = NULL;
	int r;

	json_init(&w.json);
	json_open(&w.json, NULL, '[');
	r = take_mode(inv, &mode, &used);
	if (r == CTL_OK)
		r = take_wish(&w);
	if (r == CTL_OK && inv->argc == 0)
		r = ctl_conf_load(inv, &conf);
	if (r == CTL_OK && !nobody_become(true))
		r = ctl_fail(inv, CTL_FAILED, "privileges cannot be dropped");
	(void)signal(SIGPIPE, SIG_IGN);
	if (r == CTL_OK && conf != NULL)
		probe_listeners(&w, conf, used);
	else if (r == CTL_OK)
		r = probe_address(&w, inv->argv[0], used);
	r = answer(&w, r);
	secret_clear(&w.password);
	conf_free(conf);
	json_free(&w.json);
	return r;
}
