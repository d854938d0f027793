/* sallyctl passwd-hash: a password becomes a hash for the key password. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "account/password.h"
#include "common/err.h"
#include "ctl/passwd.h"

/* One line of stdin, without its end. 0, -EIO for none, or as secret_set(). */
static int
read_line(struct secret *secret)
{
	char text[SECRET_MAX + 2];
	ssize_t n = 0, got = 0;
	int error;

	/* Byte by byte: nothing behind the line is taken from a script's input. */
	while (n < (ssize_t)sizeof(text) && (got = read(STDIN_FILENO, text + n, 1)) == 1 && text[n] != '\n')
		n++;
	error = got < 0 ? -errno : got == 0 && n == 0 ? -EIO : secret_set(secret, text, (size_t)n);
	explicit_bzero(text, sizeof(text));
	return error;
}

/* The terminal as it was, while it does not echo. */
static struct termios before;

/* Whoever ends this process meanwhile finds the terminal as it was. */
static void
give_back(int signal_number)
{
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	(void)signal(signal_number, SIG_DFL);
	(void)raise(signal_number);
}

static const int endings[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static void
catch_endings(void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
		(void)sigaction(endings[i], &action, NULL);
}

/* The same from a terminal, without echo. */
static int
ask(const char *prompt, struct secret *secret)
{
	struct termios silent;
	int error;

	if (!isatty(STDIN_FILENO))
		return read_line(secret);
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return -errno;
	catch_endings(give_back);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* Silent before anybody is asked: who types quickly must not see it. */
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	fprintf(stderr, "%s: ", prompt);
	error = read_line(secret);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	catch_endings(SIG_DFL);
	fputc('\n', stderr);
	return error;
}

/* twice: a mistake would be stored, so a terminal is asked again. */
static int
take_password(const struct invocation *inv, struct secret *secret, bool twice)
{
	struct secret again = { .len = 0 };
	bool same = true;
	int error;

	secret->len = 0;
	error = ask("Password", secret);
	if (error == 0 && twice && isatty(STDIN_FILENO) && (error = ask("Once more", &again)) == 0) {
		same = password_same(secret->data, secret->len, again.data, again.len);
		secret_clear(&again);
	}
	if (error == -EIO)
		return ctl_fail(inv, CTL_USAGE, "a password was expected on standard input");
	if (error == SP_ERANGE)
		return ctl_fail(inv, CTL_USAGE, "the password is longer than %d bytes", SECRET_MAX);
	if (error == SP_EFORMAT)
		return ctl_fail(inv, CTL_USAGE, "the password contains a zero byte");
	if (error != 0)
		return ctl_fail_code(inv, CTL_FAILED, "standard input", error);
	if (same && password_storable(secret))
		return CTL_OK;
	secret_clear(secret);
	return ctl_fail(inv, CTL_USAGE, same ? "the password is empty" : "the two passwords differ");
}

int
ctl_read_password(const struct invocation *inv, struct secret *secret)
{
	return take_password(inv, secret, true);
}

int
ctl_read_password_once(const struct invocation *inv, struct secret *secret)
{
	return take_password(inv, secret, false);
}

int
passwd_hash_command(struct invocation *inv)
{
	char hash[PASSWORD_HASH_MAX];
	struct secret secret;
	struct json j;
	int result = ctl_read_password(inv, &secret), error;

	if (result != CTL_OK)
		return result;
	error = password_make(&secret, hash, sizeof(hash));
	secret_clear(&secret);
	password_release();
	if (error != 0)
		return ctl_fail_code(inv, CTL_FAILED, "no hash could be made", error);
	if (!inv->json) {
		puts(hash);
		return CTL_OK;
	}
	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "hash", hash);
	json_str(&j, "kind", password_kind(hash));
	json_close(&j);
	return ctl_print_json(inv, &j);
}
