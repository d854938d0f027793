/*
 * Client certificates.  What the worker says of its handshake is its word; so it hands over the
 * handshake itself, and a process that it does not command looks whether the client has signed it, for this session.
 * The monitor makes up what only this session can have signed, and parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "daemon/monitor/monitor.h"
#include "privsep/spawn.h"

#define NONCE	16	/* bytes; twice as many digits */

static struct {
	char program[512];
	int config_fd, files_fd;	/* -1: nobody is asked for a certificate */
} verifier = { .config_fd = -1, .files_fd = -1 };

static bool
asks(const struct settings *s)
{
	return s->tls != CONF_TLS_OFF && s->client_certificate != CONF_CERT_NO;
}

static bool
any_asks(const struct conf *conf)
{
	const struct conf_section *l = NULL;

	while ((l = conf_section_next(conf, SC_LISTENER, l)) != NULL)
		if (asks(conf_listener(conf, conf_section_name(l))))
			return true;
	return asks(conf_listener(conf, ""));
}

int
proof_prepare(const struct conf *conf, int files_fd)
{
	if (files_fd >= 0 && !any_asks(conf)) {
		close(files_fd);
		files_fd = -1;
	}
	verifier.files_fd = files_fd;
	if (files_fd < 0)
		return 0;
	verifier.config_fd = conf_seal(conf, TO_WORKER);
	return verifier.config_fd < 0 ? verifier.config_fd :
	    monitor_find_program(ROLE_VERIFIER, verifier.program, sizeof verifier.program);
}

/*
 * A distinguished name, CN=sallyport session and digits, in DER.  It stands among the issuers of the
 * CertificateRequest, which a client compares with those of its certificates: one more that it does not know changes
 * nothing for it.
 */
int
proof_begin(struct monitor *s)
{
	static const char digits[] = "0123456789abcdef", text[] = "sallyport session ";
	static const uint8_t head[] = { 0x30, 61, 0x31, 59, 0x30, 57, 0x06, 3, 0x55, 4, 3, 0x0c, 50 };
	uint8_t nonce[NONCE], *p = s->challenge;

	_Static_assert(sizeof head - 2 + sizeof text - 1 + 2 * NONCE == 61, "the lengths in the head are right");
	_Static_assert(sizeof s->challenge >= 63, "it fits");
	if (!asks(s->base))
		return 0;
	if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
		return -EIO;
	memcpy(p, head, sizeof head);
	memcpy(p += sizeof head, text, sizeof text - 1);
	p += sizeof text - 1;
	for (size_t i = 0; i < sizeof nonce; i++) {
		*p++ = (uint8_t)digits[nonce[i] >> 4];
		*p++ = (uint8_t)digits[nonce[i] & 15];
	}
	s->challenge_len = (size_t)(p - s->challenge);
	return 0;
}

int
proof_start_verifier(pid_t *pid, int *fd)
{
	struct spawned child;
	int ends[2], r;

	if (verifier.files_fd < 0)
		return -ENOTSUP;
	r = chan_pair(ends);
	if (r != 0)
		return r;
	r = spawn_program(verifier.program, role_row(ROLE_VERIFIER)->program,
	    (const int[]){ ends[1], verifier.config_fd, verifier.files_fd }, 3, &child);
	close(ends[1]);
	if (r != 0) {
		close(ends[0]);
		return r;
	}
	close(child.pid_fd);
	*pid = child.pid;
	*fd = ends[0];
	return 0;
}

/* 0, or a negative code; the answer is in the scratch memory. */
static int
ask_verifier(const struct monitor *s, const struct msg_prove *claim)
{
	struct msg_verify *q = &monitor_scratch.body.verify;
	struct chan c = { .fd = -1 };
	pid_t pid = 0;
	int fd = -1, r = monitor_system->start_verifier(&pid, &fd);

	if (r != 0)
		return r;
	chan_init(&c, fd, CH_VERIFY, ROLE_MONITOR);
	memcpy(q->listener, s->listener_name, sizeof q->listener);
	memcpy(q->challenge, s->challenge, q->challenge_len = s->challenge_len);
	memcpy(q->handshake, claim->handshake, q->handshake_len = claim->handshake_len);
	r = chan_call(&c, MSG_VERIFY, q, &monitor_scratch.answer, MSG_VERIFIED, MSG_NONE);
	chan_close(&c);
	/* It has answered, or never will. */
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

/*
 * Without a proof the client goes on as one that has shown no certificate: a revocation list may have run out
 * between an honest worker's look and the verifier's.
 */
int
monitor_prove(struct monitor *s, struct msg *m)
{
	const struct msg *answer = &monitor_scratch.answer;
	const struct msg_verified *v = &answer->verified;
	int r;

	if (s->claimed || s->deciding || s->challenge_len == 0)
		return SP_ESTATE;
	s->claimed = true;
	r = ask_verifier(s, &m->prove);
	if (r == 0 && answer->type == MSG_VERIFIED)
		memcpy(s->certificate, v->certificate, s->certificate_len = v->certificate_len);
	else
		log_problem(EVENT_CERTIFICATE_NOT_PROVED, r == 0 ? answer->failed.text : NULL, r);
	if (r == 0)
		msg_close(&monitor_scratch.answer);
	return 0;
}
