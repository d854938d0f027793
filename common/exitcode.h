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

/*
 * Why the server ended a session whose processes end with SP_EXIT_OK: END_ROW(name, log word, meaning).  The first is
 * no end of the server's.  broken-off is the monitor's finding, not a word of others.
 */
#define SP_ENDS(END_ROW)							\
	END_ROW(SP_END_CLIENT,	"ok",		"the session ended in order") \
	END_ROW(SP_END_BROKEN,	"broken-off",	"the session ended in order, but not the client's last transfer") \
	END_ROW(SP_END_KICKED,	"kicked",	"an administrator ended the session with sallyctl kick") \
	END_ROW(SP_END_DRAINED,	"drained",	"an administrator ended the sessions with sallyctl drain") \
	END_ROW(SP_END_STOPPED,	"stopped",	"the server stopped") \
	END_ROW(SP_END_GAVE_WAY, "gave-way",	"others waited, and the client had not logged in") \
	END_ROW(SP_END_REMOVED,	"listener-removed", "the listener is no longer in the configuration") \
	END_ROW(SP_END_IDLE,	"idle",		"the client said nothing for idle_timeout") \
	END_ROW(SP_END_TIME,	"timeout",	"session_timeout was reached") \
	END_ROW(SP_END_BLOCKED,	"blocked",	"the file system did not answer for stall_timeout") \
	END_ROW(SP_END_LOG,	"log-unwritable", "what the session did could not be recorded, see audit_full") \
	END_ROW(SP_END_HUNG_UP,	"hung-up",	"the client broke the rules of FTP or TLS, and the server hung up")

enum sp_end {
#define END_ROW(name, word, meaning) name,
	SP_ENDS(END_ROW)
#undef END_ROW
	SP_END_COUNT
};

/* The log word of such an end. */
const char *sp_end_word(enum sp_end);

/* The log word of an exit status, "unknown" for one that is not ours. */
const char *sp_exit_word(int status);

#endif
