/*
 * For the tests of the agent: a whole agent in a process of its own, with its
 * filter and its user, seen from the worker's and the monitor's side.
 */
#ifndef TESTS_UNIT_AGENT_H
#define TESTS_UNIT_AGENT_H

#include <check.h>
#include <stdbool.h>
#include <sys/types.h>

#include "account/charge.h"
#include "privsep/chan.h"

/* SUITE(name) : one suite a module of daemon/agent/ */
#define AGENT_SUITES(SUITE)	\
	SUITE(match)		\
	SUITE(format)		\
	SUITE(root)		\
	SUITE(gate)		\
	SUITE(tree)		\
	SUITE(files)		\
	SUITE(upload)		\
	SUITE(limits)		\
	SUITE(durable)		\
	SUITE(ratio)		\
	SUITE(listing)		\
	SUITE(data)		\
	SUITE(hostile)

#define SUITE(name) Suite *agent_##name##_suite(void);
AGENT_SUITES(SUITE)
#undef SUITE

#define TEST_UID	65534	/* whom the agent becomes when the tests run as root */
#define EVERYTHING	"elradfmwMT"
#define ACL_ATTRIBUTE	"system.posix_acl_access"
#define USER_ATTRIBUTE	"user.sallyport.owner"

struct agent_test {
	struct chan files, monitor;
	pid_t pid;
	char dir[64];		/* the root, as the test sees it */
	unsigned flags;		/* of the profile */
	const char *settings;	/* lines */
	const char *dialect;	/* of the layer, NULL: none */
	const char *rules;
	uint32_t dialect_uid;
	const char *start;
	const char *peer;	/* IPv4 address of the client */
	struct ledger limit;	/* with PROFILE_QUOTA: the account's quota */
	struct ledger used;	/* what the ledger says at the beginning */
	struct charge charge;	/* the monitor's side of it */
	unsigned busy;		/* so many times the account's lock is somebody else's */
	unsigned broken;	/* so many deeds the ledger cannot take down */
	bool mortal;		/* the monitor dies once it has charged an upload, before it answers */
	char log[16][2100];			/* the last lines */
	unsigned log_count;
	uint8_t log_level;	/* of the last one */
	struct msg_transfer_record record;	/* the last one */
	unsigned records;
	struct msg reply;
	int descriptors;	/* that the agent has open after its login, and at the end; -1: not to be seen */
	int kept;		/* more of them than that which the test leaves open */
};

/* The one session of a test; start with agent_test_make(), change it, agent_test_start(). */
extern struct agent_test *at;

/* Makes an empty folder and a session with all rights in it that has not begun. */
void agent_test_make(void);
/* True, said and ended, where the file system of the folder has no such extended attributes. */
bool agent_test_lacks(const char *test, const char *attribute);
/* Starts the agent; it is ready and waits for a profile. */
void agent_test_spawn(void);
/* Logs in an agent that was started. */
void agent_test_login(void);
/* Starts the agent and logs it in. */
void agent_test_start(void);
/* Both, with pyftpdlib letters as policy. */
void agent_test_begin(const char *letters);
/* Waits until the agent has ended by itself; agent_test_end() follows. */
void agent_test_await(void);
/* Ends the agent, which must end with that exit code, and removes the folder. */
void agent_test_end(int code);

/*
 * Sends a request and gets the answer, which is in at->reply; descriptors in it belong to the test until the next
 * call.
 */
enum msg_type ask(enum msg_type, const void *body);
/* As the above; the answer must be of that type. */
void expect(enum msg_type, const void *body, enum msg_type answer);
/* The answer must be FAILED, with that reason and errno. */
void expect_failed(enum msg_type, const void *body, enum fail_reason, int error);
/* Sends without waiting. */
void tell(enum msg_type, const void *body);

/* Requests that consist of a path. */
enum msg_type ask_path(enum msg_type, const char *path);
void expect_path(enum msg_type, const char *path, enum msg_type answer);
void expect_path_failed(enum msg_type, const char *path, enum fail_reason, int error);

/* Uploads through the agent: STORE with offset, these bytes, FINISH. The type of FINISH's answer. */
enum msg_type put_file(const char *path, uint64_t offset, const char *text, bool complete);
/* The whole listing as the worker gets it; the type of the answer that ended it. */
enum msg_type list(enum list_format, const char *path, unsigned options, uint32_t facts, char *text, size_t size);

/* The tree as the test sees it, below at->dir, owned by the agent's user. */
void make_file(const char *path, const char *text);
void make_folder(const char *path, mode_t mode);
void make_link(const char *path, const char *target);
/* Reads at most size - 1 bytes; false when there is no such file. */
bool read_file(const char *path, char *text, size_t size);
void expect_file(const char *path, const char *text);
bool exists(const char *path);
/* The ledger must say that. */
void expect_charged(uint64_t bytes, uint64_t files);
/* Names in a folder, "." and ".." not counted. */
unsigned count_names(const char *path);

#endif
