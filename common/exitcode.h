/*
 * How a process of a session says why it ended.  The listener turns these
 * into penalties and log lines; sallyportd(8) lists them.
 */
#ifndef COMMON_EXITCODE_H
#define COMMON_EXITCODE_H

/* EXIT_ROW(name, number, log word, meaning) */
#define SP_EXITS(EXIT_ROW)							\
	EXIT_ROW(SP_EXIT_OK,		0,  "ok",		"the session ended in order") \
	EXIT_ROW(SP_EXIT_USAGE,		64, "usage",		"wrong command line") \
	EXIT_ROW(SP_EXIT_OS,		71, "os-error",		"the system refused something that must work") \
	EXIT_ROW(SP_EXIT_CONFIG,	78, "config",		"the configuration is in error") \
	EXIT_ROW(SP_EXIT_NOAUTH,	80, "never-authenticated", "the client left without logging in") \
	EXIT_ROW(SP_EXIT_AUTHFAIL,	81, "auth-failed",	"too many failed logins") \
	EXIT_ROW(SP_EXIT_GRACE,		82, "grace-exceeded",	"no login within login_grace_time") \
	EXIT_ROW(SP_EXIT_PROTOCOL,	83, "protocol-violation", "a peer broke the message protocol") \
	EXIT_ROW(SP_EXIT_SANDBOX,	84, "sandbox-failed",	"the sandbox could not be entered or proved") \
	EXIT_ROW(SP_EXIT_ORPHAN,	85, "orphaned",		"a peer process vanished") \
	EXIT_ROW(SP_EXIT_CRASH,		86, "crash",		"an internal check failed")

enum sp_exit {
#define EXIT_ROW(name, number, word, meaning) name = number,
	SP_EXITS(EXIT_ROW)
#undef EXIT_ROW
};

/* The log word of an exit status, "unknown" for one that is not ours. */
const char *sp_exit_word(int status);

#endif
