/* authz/kernel: what is predicted is compared with what the kernel really does. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "authz/kernel.h"
#include "common/str.h"
#include "tests/unit/authz.h"
#include "tests/unit/root.h"

#define ROUNDS_OBJECTS	100
#define OBJECTS		60
#define ROUNDS_OPS	1500
#define FIRST_ID	60001
#define IDS		4

static char base[] = "/tmp/kernel.XXXXXX";

static unsigned
dice(unsigned sides)
{
	return (unsigned)random() % sides;
}

static void
make_base(void)
{
	unsigned seed =
	    getenv("SALLYPORT_TEST_SEED") != NULL ? (unsigned)atoi(getenv("SALLYPORT_TEST_SEED")) : 20240607;

	srandom(seed);
	memcpy(base + strlen(base) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(chmod(base, 0755), 0);
	ck_assert_int_eq(chdir(base), 0);
	umask(0);
}

/* The file system must have ACLs and we must be root to become others. */
static bool
can_compare(void)
{
	struct pacl *acl;
	bool able;

	ck_assert_int_eq(pacl_parse("u::rwx,u:60001:r,g::r,m::r,o::rx", NULL, &acl, NULL), 0);
	able = geteuid() == 0 && pacl_apply(pacl_at_path(base), PACL_ACCESS, acl) == 0 && chmod(base, 0755) == 0;
	pacl_free(acl);
	removexattr(base, "system.posix_acl_access");
	if (!able)
		skip("authz_kernel", "the comparison with the kernel needs root, and ACLs on the file system of /tmp");
	return able && chmod(base, 0755) == 0;
}

/* Half of them with ACL, a third of those with an empty mask, few bits and many alike. */
static void
random_rights(const char *path, bool folder)
{
	struct pacl *acl;
	unsigned sticky = folder && dice(3) == 0 ? 01000 : 0;

	ck_assert_int_eq(chown(path, FIRST_ID + dice(IDS), FIRST_ID + dice(IDS)), 0);
	if (dice(2) == 0) {
		ck_assert_int_eq(chmod(path, sticky | dice(01000)), 0);
		return;
	}
	ck_assert_int_eq(pacl_new(&acl), 0);
	pacl_add(acl, PACL_USER_OBJ, PACL_NO_ID, dice(8));
	pacl_add(acl, PACL_GROUP_OBJ, PACL_NO_ID, dice(8));
	pacl_add(acl, PACL_OTHER, PACL_NO_ID, dice(8));
	pacl_add(acl, PACL_MASK, PACL_NO_ID, dice(3) == 0 ? 0 : dice(8));
	for (unsigned i = 0; i < IDS; i++) {
		if (dice(2) == 0)
			pacl_add(acl, PACL_USER, FIRST_ID + i, dice(8));
		if (dice(2) == 0)
			pacl_add(acl, PACL_GROUP, FIRST_ID + i, dice(8));
	}
	ck_assert_int_eq(chmod(path, sticky), 0);
	ck_assert_int_eq(pacl_apply(pacl_at_path(path), PACL_ACCESS, acl), 0);
	pacl_free(acl);
}

static void
random_cred(struct kernel_cred *cred, gid_t groups[IDS])
{
	memset(cred, 0, sizeof(*cred));
	cred->uid = FIRST_ID + dice(IDS + 1);
	cred->gid = FIRST_ID + dice(IDS + 1);
	cred->groups = groups;
	for (unsigned i = 0; i < IDS; i++)
		if (dice(3) == 0)
			groups[cred->group_count++] = FIRST_ID + i;
	cred->caps = dice(3) == 0 ? dice(KERNEL_ALL_CAPS + 1) : 0;
}

/* Becomes cred, in a child. */
static void
become(const struct kernel_cred *cred)
{
	static const struct { unsigned ours, theirs; } map[] = {
		{ KERNEL_DAC_OVERRIDE, CAP_DAC_OVERRIDE }, { KERNEL_DAC_READ_SEARCH, CAP_DAC_READ_SEARCH },
		{ KERNEL_FOWNER, CAP_FOWNER }, { KERNEL_CHOWN, CAP_CHOWN },
	};
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0, 0, 0 } };

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		data[0].effective |= (cred->caps & map[i].ours) != 0 ? 1u << map[i].theirs : 0;
	data[0].permitted = data[0].effective;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setgroups(cred->group_count, cred->groups) < 0 ||
	    setresgid(cred->gid, cred->gid, cred->gid) < 0 || setresuid(cred->uid, cred->uid, cred->uid) < 0 ||
	    syscall(SYS_capset, &head, data) < 0)
		_exit(255);
}

static int
real_access(const char *path, unsigned want)
{
	return syscall(SYS_faccessat2, AT_FDCWD, path, (int)want, AT_EACCESS) == 0 ? 0 : -errno;
}

/* The access check alone: 6,000 objects, each with all eight wishes. */
START_TEST(access_checks)
{
	struct kernel_facts *facts[OBJECTS];
	struct kernel_cred cred;
	gid_t groups[IDS];
	char path[32];
	unsigned bad = 0;
	int status;

	if (!can_compare())
		return;
	for (unsigned round = 0; round < ROUNDS_OBJECTS; round++) {
		for (unsigned i = 0; i < OBJECTS; i++) {
			bool folder = dice(3) == 0;

			snprintf(path, sizeof(path), "x%u", i);
			ck_assert_int_eq(folder ? mkdir(path, 0) : mknod(path, S_IFREG, 0), 0);
			random_rights(path, folder);
			ck_assert_int_eq(kernel_look(base, path, false, &facts[i]), 0);
		}
		random_cred(&cred, groups);
		pid_t pid = fork();
		if (pid == 0) {
			become(&cred);
			for (unsigned i = 0; i < OBJECTS; i++)
				for (unsigned want = 1; want < 8; want++) {
					snprintf(path, sizeof(path), "x%u", i);
					int real = real_access(path, want);
					int told = kernel_access(kernel_facts_path(facts[i])->object, &cred, want);
					if (real != told) {
						fprintf(stderr, "round %u object %u want %u: kernel %d, we %d\n", round,
						    i, want, real, told);
						bad++;
					}
				}
			_exit(bad > 250 ? 250 : (int)bad);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		for (unsigned i = 0; i < OBJECTS; i++) {
			snprintf(path, sizeof(path), "x%u", i);
			ck_assert_int_eq(remove(path), 0);
			kernel_facts_free(facts[i]);
		}
	}
}
END_TEST

/* ------------------------------------------------------------------ operations */

static int
do_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int do_retr(const char *p) { return do_open(p, O_RDONLY); }
static int
do_stor(const char *p)
{
	return do_open(p, real_access(p, F_OK) == -ENOENT ? O_WRONLY | O_CREAT | O_EXCL : O_WRONLY | O_TRUNC);
}
static int
do_appe(const char *p)
{
	return do_open(p, O_WRONLY | O_APPEND | (real_access(p, F_OK) == -ENOENT ? O_CREAT : 0));
}
static int
do_list(const char *p)
{
	struct stat st;
	int e = real_access(p, 0);
	return e != 0 ? e : stat(p, &st) == 0 && S_ISDIR(st.st_mode) ? real_access(p, R_OK | X_OK) : 0;
}
static int do_stat(const char *p) { struct stat st; return stat(p, &st) == 0 ? 0 : -errno; }
static int do_cwd(const char *p) { return chdir(p) == 0 ? 0 : -errno; }
static int do_dele(const char *p) { return unlink(p) == 0 ? 0 : -errno; }
static int do_rmd(const char *p) { return rmdir(p) == 0 ? 0 : -errno; }
static int do_mkd(const char *p) { return mkdir(p, 0777) == 0 ? 0 : -errno; }
static int do_chmod(const char *p) { return chmod(p, 0750) == 0 ? 0 : -errno; }
static int
do_mtime(const char *p)
{
	struct timespec t[2] = { { 1, 0 }, { 1, 0 } };
	return utimensat(AT_FDCWD, p, t, 0) == 0 ? 0 : -errno;
}
static int do_symlink(const char *p) { return symlink("x", p) == 0 ? 0 : -errno; }
static int
do_readlink(const char *p)
{
	char b[16];
	return readlink(p, b, sizeof(b)) >= 0 || errno == EINVAL ? 0 : -errno;
}

static int
do_getacl(const char *p)
{
	struct pacl *acl;
	int error = pacl_get(pacl_at_path(p), PACL_ACCESS, &acl);

	pacl_free(acl);
	return error;
}

static int
do_setacl(const char *p)
{
	struct pacl *acl;
	int error;

	ck_assert_int_eq(pacl_parse("u::r,u:7:r,g::r,m::r,o::-", NULL, &acl, NULL), 0);
	error = pacl_apply(pacl_at_path(p), PACL_ACCESS, acl);
	pacl_free(acl);
	return error;
}

static const struct { enum authz_op op; int (*run)(const char *);
} ops[] = {
	{ AUTHZ_OP_RETR, do_retr },
	{ AUTHZ_OP_STOR, do_stor },
	{ AUTHZ_OP_APPE, do_appe },
	{ AUTHZ_OP_LIST, do_list },
	{ AUTHZ_OP_STAT, do_stat },
	{ AUTHZ_OP_CWD, do_cwd },
	{ AUTHZ_OP_DELE, do_dele },
	{ AUTHZ_OP_RMD, do_rmd },
	{ AUTHZ_OP_MKD, do_mkd },
	{ AUTHZ_OP_CHMOD, do_chmod },
	{ AUTHZ_OP_MTIME, do_mtime },
	{ AUTHZ_OP_SYMLINK, do_symlink },
	{ AUTHZ_OP_READLINK, do_readlink },
	{ AUTHZ_OP_GETACL, do_getacl },
	{ AUTHZ_OP_SETACL, do_setacl },
};

static const char *const paths[] = { "a", "a/f", "a/none", "a/s", "a/l", "a/s/g", "b/f" };

/* The agent follows links itself; here the kernel does, which with fs.protected_symlinks minds whose they are. */
static void
give_link_to_folder_owner(const char *folder, const char *link)
{
	struct stat st;

	ck_assert_int_eq(stat(folder, &st), 0);
	ck_assert_int_eq(lchown(link, st.st_uid, st.st_gid), 0);
}

static void
plant(void)
{
	ck_assert_int_eq(mkdir("a", 0), 0);
	ck_assert_int_eq(mkdir("b", 0), 0);
	ck_assert_int_eq(mkdir("a/s", 0), 0);
	ck_assert_int_eq(mknod("a/f", S_IFREG, 0), 0);
	ck_assert_int_eq(mknod("b/f", S_IFREG, 0), 0);
	ck_assert_int_eq(mknod("a/s/g", S_IFREG, 0), 0);
	ck_assert_int_eq(symlink("../b/f", "a/l"), 0);
	random_rights("a", true);
	give_link_to_folder_owner("a", "a/l");
	random_rights("b", true);
	random_rights("a/s", true);
	random_rights("a/f", false);
	random_rights("b/f", false);
	random_rights("a/s/g", false);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static void
uproot(void)
{
	ck_assert_int_eq(nftw("a", remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	ck_assert_int_eq(nftw("b", remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Runs in a child with that identity. */
static int
really(const struct kernel_cred *cred, int (*run)(const char *), const char *a, const char *b, uid_t uid, gid_t gid)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		become(cred);
		int error = run != NULL ? run(a) : b != NULL ? (rename(a, b) == 0 ? 0 : -errno) :
		    chown(a, uid, gid) == 0 ? 0 : -errno;
		_exit(-error);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) != 255);
	return -WEXITSTATUS(status);
}

static int
predict(enum authz_op op, const char *path, const char *other, const struct kernel_cred *cred, uid_t uid, gid_t gid,
    char *why, size_t size)
{
	struct kernel_facts *facts, *second = NULL;
	struct kernel_request r = { .op = op, .new_uid = uid, .new_gid = gid };
	int error;

	ck_assert_int_eq(kernel_look(base, path, kernel_op_on_link(op), &facts), 0);
	if (other != NULL)
		ck_assert_int_eq(kernel_look(base, other, true, &second), 0);
	r.path = kernel_facts_path(facts);
	r.other = second != NULL ? kernel_facts_path(second) : NULL;
	error = kernel_decide(&r, cred, why, size);
	kernel_facts_free(facts);
	kernel_facts_free(second);
	return error;
}

/*
 * Where fs.protected_symlinks is set the kernel follows some links of sticky
 * folders for nobody but their owner.  The agent resolves links itself, so
 * that is no part of what is predicted.
 */
static bool
is_protected_link(const char *path)
{
	struct stat link, folder;
	char parent[32];
	char *slash;

	(void)str_copy(parent, sizeof(parent), path);
	slash = strrchr(parent, '/');
	if (slash == NULL || lstat(path, &link) < 0 || !S_ISLNK(link.st_mode))
		return false;
	*slash = '\0';
	return stat(parent, &folder) == 0 && (folder.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH);
}

/* The agent refuses some things before the kernel is asked, or later than it; errors of those are not compared. */
static bool
comparable(enum authz_op op, const char *path, int told, int real)
{
	if (op == AUTHZ_OP_RETR && told == -EISDIR)
		return false;
	/* O_TRUNC|O_WRONLY on a folder is EISDIR before or after the check of its entries. */
	if ((op == AUTHZ_OP_STOR || op == AUTHZ_OP_APPE) && (told == -EISDIR || real == -EISDIR))
		return false;
	/* rmdir of a folder that is not empty passes every check of permission. */
	if (op == AUTHZ_OP_RMD && real == -ENOTEMPTY)
		return told != 0;
	return real != -EACCES || !is_protected_link(path);
}

START_TEST(operations)
{
	struct kernel_cred cred;
	gid_t groups[IDS];
	char why[512];

	if (!can_compare())
		return;
	for (unsigned round = 0; round < ROUNDS_OPS; round++) {
		size_t n = dice(sizeof(ops) / sizeof(ops[0])), p = dice(sizeof(paths) / sizeof(paths[0]));

		plant();
		random_cred(&cred, groups);
		int told = predict(ops[n].op, paths[p], NULL, &cred, (uid_t)-1, (gid_t)-1, why, sizeof(why));
		int real = really(&cred, ops[n].run, paths[p], NULL, 0, 0);
		ck_assert_msg(told == real || !comparable(ops[n].op, paths[p], told, real),
		    "round %u: %s %s as %u caps %x: kernel %d (%s), we %d: %s", round, authz_op_name(ops[n].op),
		    paths[p], cred.uid, cred.caps, real, strerror(-real), told, why);
		ck_assert_str_ne(why, "");
		uproot();
	}
}
END_TEST

START_TEST(renames_and_owners)
{
	static const char *const targets[] = { "a/f", "a/none", "b/none", "b/f", "b/s", "a/s/x" };
	struct kernel_cred cred;
	gid_t groups[IDS];
	char why[512];

	if (!can_compare())
		return;
	for (unsigned round = 0; round < ROUNDS_OPS / 2; round++) {
		const char *from = paths[1 + dice(6)], *to = targets[dice(6)];
		uid_t uid = dice(2) == 0 ? (uid_t)-1 : FIRST_ID + dice(IDS);
		gid_t gid = dice(4) == 0 ? (gid_t)-1 : FIRST_ID + dice(IDS + 1);
		int told, real;

		plant();
		random_cred(&cred, groups);
		if (strcmp(from, "a/none") != 0 && strncmp(to, from, 3) != 0) {
			told = predict(AUTHZ_OP_RNFR, from, to, &cred, 0, 0, why, sizeof(why));
			if (told == 0)
				told = predict(AUTHZ_OP_RNTO, to, from, &cred, 0, 0, why, sizeof(why));
			real = really(&cred, NULL, from, to, 0, 0);
			if (real != -EISDIR && real != -ENOTDIR && real != -EINVAL && real != -ENOTEMPTY)
				ck_assert_msg((told == 0) == (real == 0),
				    "round %u: rename %s %s as %u caps %x: kernel %d, we %d: %s", round, from, to,
				    cred.uid, cred.caps, real, told, why);
			uproot();
			plant();
		}
		told = predict(AUTHZ_OP_CHOWN, "a/f", NULL, &cred, uid, gid, why, sizeof(why));
		real = really(&cred, NULL, "a/f", NULL, uid, gid);
		ck_assert_msg(told == real, "round %u: chown %d:%d as %u caps %x: kernel %d, we %d: %s", round,
		    (int)uid, (int)gid, cred.uid, cred.caps, real, told, why);
		uproot();
	}
}
END_TEST

/* --------------------------------------------------------------------- reasons */

static const struct pacl_row masked[] = {
	{ PACL_USER_OBJ, 6, PACL_NO_ID }, { PACL_USER, 6, 2002 }, { PACL_GROUP_OBJ, 4, PACL_NO_ID },
	{ PACL_GROUP, 2, 3002 }, { PACL_MASK, 4, PACL_NO_ID }, { PACL_OTHER, 0, PACL_NO_ID }
};

static const struct {
	mode_t mode;
	bool acl;
	uid_t uid;
	gid_t gid;
	unsigned want, flags;
	int error;
	const char *text;
} reasons[] = {
	{ 0100640, true, 2002, 9, PACL_WRITE, 0, -EACCES, "/srv/x: user:2002:rw- mask r-- -> r--, wanted w" },
	{ 0100640, true, 2001, 9, PACL_WRITE, 0, 0, "/srv/x: user::rw-, 2001 is the owner, wanted w" },
	{ 0100640, true, 9, 3001, PACL_READ, 0, 0,
	    "/srv/x: group::r-- mask r-- -> r--, member of the owning group 3001, wanted r" },
	{ 0100640, true, 9, 3002, PACL_WRITE, 0, -EACCES, "/srv/x: group:3002:-w- mask r-- -> ---, wanted w" },
	{ 0100640, true, 9, 9, PACL_READ, 0, -EACCES, "/srv/x: other::---, wanted r" },
	{ 0100604, true, 2002, 9, PACL_READ, 0, 0,
	    "/srv/x: other::r-- (the mask is empty: the kernel skips the ACL), wanted r" },
	{ 0100664, false, 9, 9, PACL_READ | PACL_WRITE, 0, -EACCES, "/srv/x: other::r--, wanted rw" },
	{ 0100666, false, 9, 9, PACL_WRITE, KERNEL_READ_ONLY, -EROFS, "/srv/x: mounted read-only, wanted w" },
	{ 0100666, false, 9, 9, PACL_WRITE, KERNEL_IMMUTABLE, -EPERM, "/srv/x: immutable (chattr +i), wanted w" },
};

START_TEST(reasons_are_exact)
{
	struct kernel_node node = { .path = "/srv/x",
		.mode = reasons[_i].mode,
		.uid = 2001,
		.gid = 3001,
		.acl = reasons[_i].acl ? masked : NULL,
		.acl_count = reasons[_i].acl ? 6 : 0,
		.flags = reasons[_i].flags };
	struct kernel_node root = { .path = "/", .mode = 040755 };
	struct kernel_path path = { &root, 1, &node };
	struct kernel_cred cred = { .uid = reasons[_i].uid, .gid = reasons[_i].gid };
	struct kernel_request r = { .path = &path };
	char text[256] = "";

	ck_assert_int_eq(kernel_access(&node, &cred, reasons[_i].want), reasons[_i].error);
	if (reasons[_i].want == (PACL_READ | PACL_WRITE))
		return;		/* no operation asks for both at once */
	r.op = reasons[_i].want == PACL_READ ? AUTHZ_OP_RETR : AUTHZ_OP_STOR;
	ck_assert_int_eq(kernel_decide(&r, &cred, text, sizeof(text)), reasons[_i].error);
	ck_assert_str_eq(text, reasons[_i].text);
}
END_TEST

START_TEST(sticky_and_owner_reasons)
{
	struct kernel_node dir = { .path = "/d", .mode = 041777, .uid = 1, .gid = 1 };
	struct kernel_node node = { .path = "/d/f", .mode = 0100666, .uid = 2, .gid = 2 };
	struct kernel_path path = { &dir, 1, &node }, missing = { &dir, 1, NULL };
	struct kernel_cred cred = { .uid = 3, .gid = 3 };
	struct kernel_request r = { .op = AUTHZ_OP_DELE, .path = &path };
	char text[256];

	ck_assert_int_eq(kernel_decide(&r, &cred, text, sizeof(text)), -EPERM);
	ck_assert_str_eq(
	    text, "/d: sticky directory: only 2 (owner of /d/f) or 1 (owner of the directory) may take the name away");
	r.op = AUTHZ_OP_CHMOD;
	ck_assert_int_eq(kernel_decide(&r, &cred, text, sizeof(text)), -EPERM);
	ck_assert_str_eq(text, "/d/f: only its owner 2 may do this");
	cred.caps = KERNEL_FOWNER;
	ck_assert_int_eq(kernel_decide(&r, &cred, text, sizeof(text)), 0);
	r.path = &missing;
	ck_assert_int_eq(kernel_decide(&r, &cred, text, sizeof(text)), -ENOENT);
	r.op = AUTHZ_OP_STOR;
	ck_assert_int_eq(kernel_decide(&r, &cred, text, sizeof(text)), 0);
	dir.mode = 040755;
	ck_assert_int_eq(kernel_decide(&r, &cred, text, sizeof(text)), -EACCES);
	ck_assert_str_eq(text, "/d: other::r-x, wanted wx");
	r.op = AUTHZ_OP_UMASK;
	r.path = NULL;
	ck_assert_int_eq(kernel_decide(&r, &cred, text, sizeof(text)), 0);
}
END_TEST

/* Every operation with every kind of target gives an answer and a reason, whoever asks. */
START_TEST(every_operation_is_answered)
{
	struct kernel_node dir = { .path = "/d", .mode = 040777 };
	struct kernel_node file = { .path = "/d/f", .mode = 0100666 }, folder = { .path = "/d/s", .mode = 040777 };
	struct kernel_path path[] = { { &dir, 1, NULL }, { &dir, 1, &file }, { &dir, 1, &folder }, { NULL, 0, &dir } };
	struct kernel_cred cred = { .uid = 0, .caps = KERNEL_ALL_CAPS };

	for (int op = 0; op < AUTHZ_OP_COUNT; op++)
		for (size_t i = 0; i < 4; i++) {
			struct kernel_request r = {
				.op = (enum authz_op)op, .path = &path[i], .new_uid = 1, .new_gid = 1
			};
			char text[256] = "";
			int error = kernel_decide(&r, &cred, text, sizeof(text));

			ck_assert_msg(error != -EACCES && error != -EPERM, "%s %zu: %s",
			    authz_op_name((enum authz_op)op), i, text);
			ck_assert_str_ne(text, "");
		}
}
END_TEST

/* ---------------------------------------------------------------------- looking */

START_TEST(looking_resolves_inside_the_root)
{
	struct kernel_facts *f;

	ck_assert_int_eq(mkdir("d", 0755), 0);
	ck_assert_int_eq(mkdir("d/e", 0755), 0);
	ck_assert_int_eq(mknod("d/e/f", S_IFREG | 0644, 0), 0);
	ck_assert_int_eq(symlink("/d/e", "abs"), 0);
	ck_assert_int_eq(symlink("../../../../d", "d/up"), 0);
	ck_assert_int_eq(symlink("loop", "loop"), 0);
	ck_assert_int_eq(kernel_look(base, "/abs/f", false, &f), 0);
	ck_assert_str_eq(kernel_facts_resolved(f), "/d/e/f");
	ck_assert_int_eq(kernel_facts_kind(f), AUTHZ_FILE);
	kernel_facts_free(f);
	ck_assert_int_eq(kernel_look(base, "d/up/e/../e", false, &f), 0);
	ck_assert_str_eq(kernel_facts_resolved(f), "/d/e");
	ck_assert_int_eq(kernel_facts_kind(f), AUTHZ_FOLDER);
	kernel_facts_free(f);
	ck_assert_int_eq(kernel_look(base, "/abs", true, &f), 0);
	ck_assert_str_eq(kernel_facts_resolved(f), "/abs");
	kernel_facts_free(f);
	ck_assert_int_eq(kernel_look(base, "/../../..", false, &f), 0);
	ck_assert_str_eq(kernel_facts_resolved(f), "/");
	ck_assert_uint_eq(kernel_facts_path(f)->folder_count, 0);
	kernel_facts_free(f);
	ck_assert_int_eq(kernel_look(base, "/d/none", false, &f), 0);
	ck_assert_int_eq(kernel_facts_kind(f), AUTHZ_MISSING);
	ck_assert_uint_eq(kernel_facts_path(f)->folder_count, 2);
	kernel_facts_free(f);
	ck_assert_int_eq(kernel_look(base, "/none/x", false, &f), -ENOENT);
	ck_assert_int_eq(kernel_look(base, "/d/e/f/x", false, &f), -ENOTDIR);
	ck_assert_int_eq(kernel_look(base, "/loop", false, &f), -ELOOP);
	ck_assert_int_eq(kernel_look("/nosuchfolder", "/", false, &f), -ENOENT);
	ck_assert_int_eq(
	    unlink("abs") | unlink("loop") | unlink("d/up") | unlink("d/e/f") | rmdir("d/e") | rmdir("d"), 0);
}
END_TEST

START_TEST(predictions_join_both)
{
	struct authz_subject who = { .uid = FIRST_ID, .gid = FIRST_ID };
	char text[256], other[256];

	ck_assert_int_eq(mkdir("d", 0755), 0);
	ck_assert_int_eq(mknod("d/f", S_IFREG | 0644, 0), 0);
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_RETR, "/d/f", NULL, NULL, text, sizeof(text)), 1);
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_STOR, "/d/f", NULL, NULL, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "/d/f: other::r--, wanted w"));
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_RNFR, "/d/f", "/d/g", NULL, text, sizeof(text)), 0);
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_CHOWN, "/d/f", NULL, NULL, text, sizeof(text)), 0);
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_RETR, "/none/f", NULL, NULL, text, sizeof(text)), 0);
	ck_assert_str_eq(strrchr(text, ':'), ": No such file or directory");
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_STOR, "/d/f/x", NULL, NULL, text, sizeof(text)), 0);
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_RNTO, "/none/f", "/d/f", NULL, text, sizeof(text)), 0);
	/* The source is not to blame for a target that cannot be reached. */
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_RNFR, "/d/f", "/none/f", NULL, text, sizeof(text)),
	    kernel_predict(&who, base, AUTHZ_OP_RNFR, "/d/f", NULL, NULL, other, sizeof(other)));
	ck_assert_str_eq(text, other);
	ck_assert_int_eq(kernel_predict(&who, base, AUTHZ_OP_UMASK, NULL, NULL, NULL, text, sizeof(text)), 1);
	ck_assert_int_eq(unlink("d/f") | rmdir("d"), 0);
}
END_TEST

static void
remove_base(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(base);
}

Suite *
authz_kernel_suite(void)
{
	Suite *s = suite_create("kernel");
	TCase *facts = tcase_create("facts"), *real = tcase_create("real");

	tcase_add_loop_test(facts, reasons_are_exact, 0, sizeof(reasons) / sizeof(reasons[0]));
	tcase_add_test(facts, sticky_and_owner_reasons);
	tcase_add_test(facts, every_operation_is_answered);
	tcase_add_checked_fixture(real, make_base, remove_base);
	tcase_add_test(real, looking_resolves_inside_the_root);
	tcase_add_test(real, predictions_join_both);
	tcase_add_test(real, access_checks);
	tcase_add_test(real, operations);
	tcase_add_test(real, renames_and_owners);
	suite_add_tcase(s, facts);
	suite_add_tcase(s, real);
	return s;
}
