/*
 * sallyport-verifier: looks again at a handshake in which a client has shown a
 * certificate, and tells the monitor what has been proved.  One process for one question.  Executed
 * by sallyport-monitor with descriptor 3 (a channel of kind CH_VERIFY), descriptor 4 (the sealed
 * configuration of the worker) and descriptor 5 (privsep/tlsfiles.h, sealed).
 */
#include "config.h"

#include <openssl/crypto.h>
#include <openssl/x509.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "daemon/verifier/identity.h"
#include "daemon/verifier/proof.h"
#include "privsep/chan.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"
#include "privsep/template.h"
#include "privsep/tlsfiles.h"

static struct {
	struct conf *conf;
	const void *files;
	size_t files_len;
	struct role_id id;
	struct drop_how how;
} me;

static int
usage(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		printf("sallyport-verifier (sallyport) %s\n", PACKAGE_VERSION);
		return SP_EXIT_OK;
	}
	fprintf(stderr, "sallyport-verifier is started by sallyport-monitor, not by hand.\n");
	return SP_EXIT_USAGE;
}

/* The worker has said it all in its log; stderr is only for what keeps this program from starting. */
static void
say_nothing(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level, (void)text, (void)len;
}

static int
load(void)
{
	int r = conf_unseal(TEMPLATE_CONFIG_FD, TO_WORKER, &me.conf);

	close(TEMPLATE_CONFIG_FD);
	if (r == 0)
		r = conf_prepare_listeners(me.conf);
	if (r == 0) {
		me.how = drop_how(conf_server(me.conf));
		r = geteuid() == 0 ? role_find_user(conf_server(me.conf)->worker_user, &me.id) : 0;
	}
	if (r == 0)
		r = tlsfiles_map(TEMPLATE_TLS_FD, TLSFILES_MAX, &me.files, &me.files_len);
	close(TEMPLATE_TLS_FD);
	if (r == 0 && OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		r = -ENOMEM;
	if (r != 0)
		fprintf(stderr, "sallyport-verifier: cannot start: %s\n", sp_strerror(r));
	return r == 0 ? 0 : SP_EXIT_CONFIG;
}

/*
 * Like the keeper; but a child of the monitor has no right to make a namespace: it has an empty network only so far as
 * no call reaches any.  A server without root could give it an empty root by such a namespace alone; there
 * Landlock and the filter, which knows no call that opens anything, have to do.
 */
static int
enter_sandbox(void)
{
	const struct role_row *row = role_row(ROLE_VERIFIER);
	const struct drop_how how = { me.how.lax || geteuid() != 0, me.how.landlock };
	const char *what = "filters";
	int r = sandbox_prepare(ROLE_VERIFIER, me.how.lax);

	if (r == 0)
		r = drop_to_role(row, &me.id, &how, &what);
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0) {
		what = "filters";
		r = sandbox_enter(PHASE_LIVE);
	}
	if (r != 0)
		fprintf(stderr, "%s: the sandbox cannot be entered (%s): %s\n", row->program, what, sp_strerror(r));
	return r == 0 ? 0 : SP_EXIT_SANDBOX;
}

static int
answer(struct chan *monitor, const struct msg *m)
{
	static struct msg_verified a;
	const struct msg_verify *q = &m->verify;
	struct proof_terms terms;
	X509 *leaf = NULL;
	const char *why = proof_terms_make(&terms, me.conf, q->listener, me.files, me.files_len);

	if (why == NULL)
		why = proof_check(&terms, q->challenge, q->challenge_len, q->handshake, q->handshake_len, &leaf);
	if (why == NULL)
		a.certificate_len = identity(leaf, a.certificate);
	X509_free(leaf);
	proof_terms_free(&terms);
	return why == NULL ? chan_answer(monitor, m, MSG_VERIFIED, &a, NULL, 0) :
	    chan_refuse(monitor, m, FAIL_ARGUMENT, 0, why);
}

int
main(int argc, char **argv)
{
	static struct msg m;
	struct chan monitor;
	int r;

	if (argc > 1 || !chan_fd_is(TEMPLATE_CHANNEL_FD, 'c'))
		return usage(argc, argv);
	log_set_sink(say_nothing, NULL);
	r = load();
	if (r == 0)
		r = enter_sandbox();
	if (r != 0)
		return r;
	chan_init(&monitor, TEMPLATE_CHANNEL_FD, CH_VERIFY, ROLE_VERIFIER);
	do
		r = chan_receive(&monitor, &m, ST_LIVE);
	while (r == -EINTR);
	if (r == 0)
		r = answer(&monitor, &m);
	/* Not exit(): nothing is left to do for anybody. */
	_exit(r == 0 ? SP_EXIT_OK : SP_EXIT_PROTOCOL);
}
