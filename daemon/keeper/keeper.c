/*
 * sallyport-keeper: holds the private keys of TLS and signs handshakes with
 * them.  Executed by sallyportd with descriptor 3 (a channel of kind
 * CH_KEEPER) and descriptor 4 (the sealed configuration of its role).
 */
#include "config.h"

#include <openssl/crypto.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "daemon/keeper/keyring.h"
#include "daemon/keeper/serve.h"
#include "privsep/chan.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"
#include "privsep/template.h"

static int
usage(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		printf("sallyport-keeper (sallyport) %s\n", PACKAGE_VERSION);
		return SP_EXIT_OK;
	}
	fprintf(stderr, "sallyport-keeper is started by sallyportd(8), not by hand.\n");
	return SP_EXIT_USAGE;
}

/* One channel a session, and all of them here: as many descriptors as the system allows. */
static void
raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

static int
enter_sandbox(const struct role_id *id, const struct drop_how *how)
{
	const struct role_row *row = role_row(ROLE_KEEPER);
	const char *what = "filters";
	int r = sandbox_prepare(ROLE_KEEPER, how->lax);

	if (r == 0)
		r = drop_to_role(row, id, how, &what);
	/* The change of user has cleared it. */
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
start(void)
{
	struct conf *conf = NULL;
	struct role_id id = { 0, 0 };
	struct drop_how how = { 0 };
	int r = conf_unseal(TEMPLATE_CONFIG_FD, TO_KEEPER, &conf);

	close(TEMPLATE_CONFIG_FD);
	if (r == 0) {
		log_set_level((enum log_level)conf_server(conf)->log_level);
		how = drop_how(conf_server(conf));
		r = geteuid() == 0 ? role_find_user(conf_server(conf)->keeper_user, &id) : 0;
	}
	conf_free(conf);
	raise_limit();
	/* What libcrypto would read from files is not wanted here. */
	if (r == 0 && OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		r = -ENOMEM;
	if (r == 0)
		r = keyring_warm_up();
	if (r != 0) {
		fprintf(stderr, "sallyport-keeper: cannot start: %s\n", sp_strerror(r));
		return SP_EXIT_CONFIG;
	}
	return enter_sandbox(&id, &how);
}

int
main(int argc, char **argv)
{
	static const int ignored[] = { SIGINT, SIGHUP, SIGPIPE, SIGQUIT };
	struct msg_keeper_ready ready = { .version = PACKAGE_VERSION };
	struct chan listener;
	int r;

	if (argc > 1 || !chan_fd_is(TEMPLATE_CHANNEL_FD, 'c'))
		return usage(argc, argv);
	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		(void)signal(ignored[i], SIG_IGN);
	log_find_journal();
	r = start();
	if (r != 0)
		return r;
	chan_init(&listener, TEMPLATE_CHANNEL_FD, CH_KEEPER, ROLE_KEEPER);
	if (chan_tell(&listener, MSG_KEEPER_READY, &ready) != 0)
		return SP_EXIT_ORPHAN;
	return keeper_serve(TEMPLATE_CHANNEL_FD);
}
