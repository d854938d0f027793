/*
 * Looking at and reading one object: CWD, SIZE, MDTM, MLST, RETR, HASH, AVBL.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "authz/settings.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/listing.h"
#include "daemon/agent/quota.h"
#include "daemon/agent/ratio.h"
#include "daemon/agent/upload.h"

/* 0 when the object is there. */
static int
must_exist(const struct agent *a)
{
	if (a->place.error != 0)
		return a->place.error;
	return a->place.found ? 0 : -ENOENT;
}

/* Text of a file that a client will see in a reply: no control bytes but the ends of lines. */
static void
tame(char *text, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\r')
			continue;
		text[out++] = c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f) ? (char)c : '?';
	}
	while (out > 0 && text[out - 1] == '\n')
		out--;
	text[out] = '\0';
}

/* The message of a folder, empty when there is none. */
static void
read_message(struct agent *a, int folder_fd, char *text, size_t size)
{
	static bool told;	/* once in a session is enough */
	const char *name = a->set->directory_message_file;
	struct stat st;
	ssize_t n = 0;
	int fd;

	text[0] = '\0';
	if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL)
		return;
	fd = root_open_entry(folder_fd, name, O_RDONLY);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, text, size - 1 < AGENT_MESSAGE_MAX ? size - 1 : AGENT_MESSAGE_MAX);
	if (n > 0 && st.st_size > n && !told) {
		log_problem(EVENT_MESSAGE_CUT, a->place.path, 0);
		told = true;
	}
	tame(text, n > 0 ? (size_t)n : 0);
	close(fd);
}

/* The folder that the request names. A descriptor, or what to answer. */
static int
open_folder(struct agent *a)
{
	int r = must_exist(a);

	if (r != 0)
		return r;
	if (!root_is_folder(&a->place))
		return agent_refuse(a, FAIL_KIND, NULL);
	return root_open(&a->place, O_PATH | O_DIRECTORY, 0);
}

int
handle_change_dir(struct agent *a, const struct msg *m)
{
	struct msg_where *w = &a->out.where;
	int r = 0, fd = open_folder(a);

	(void)m;
	if (fd < 0)
		return fd;
	/* Looking "." up is what needs the right to search. */
	if (faccessat(fd, ".", X_OK, 0) < 0) {
		r = -errno;
	} else {
		memcpy(a->cwd, a->place.path, a->place.path_len + 1);
		memcpy(w->path, a->cwd, a->place.path_len + 1);
		read_message(a, fd, w->message, sizeof w->message);
	}
	close(fd);
	return r != 0 ? r : agent_answer(a, MSG_WHERE, w, NULL, 0);
}

int
handle_facts(struct agent *a, const struct msg *m)
{
	struct msg_object o;
	int r = must_exist(a);

	(void)m;
	if (r != 0)
		return r;
	o.file = root_is_file(&a->place);
	o.mode = a->place.st.stx_mode & 07777u;
	o.size = o.file ? a->place.st.stx_size : 0;
	o.mtime = (uint64_t)a->place.st.stx_mtime.tv_sec;
	return agent_answer(a, MSG_OBJECT, &o, NULL, 0);
}

int
handle_mlst(struct agent *a, const struct msg *m)
{
	struct msg_text *t = &a->out.text;
	int r = must_exist(a);

	if (r != 0)
		return r;
	*listing_describe(a, t->text, m->mlst.facts) = '\0';
	return agent_answer(a, MSG_TEXT, t, NULL, 0);
}

/* Opens agent->place for reading: a regular file and nothing else. */
static int
open_file(struct agent *a, struct msg_reading *answer)
{
	struct stat st;
	int fd, r = must_exist(a);

	answer->size = 0;
	if (r != 0)
		return r;
	if (!root_is_file(&a->place))
		return agent_refuse(a, FAIL_KIND, NULL);
	fd = root_open(&a->place, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return agent_refuse(a, FAIL_KIND, NULL);
	}
	if (authz_withheld(a->set, st.st_mode, st.st_uid, geteuid()) != NULL) {
		close(fd);
		return -EACCES;	/* as though its mode said so */
	}
	answer->size = (uint64_t)st.st_size;
	return fd;
}

int
handle_retrieve(struct agent *a, const struct msg *m)
{
	struct msg_reading answer;
	int r, fd = open_file(a, &answer);

	if (fd < 0)
		return fd;
	if (m->retrieve.offset > answer.size) {
		close(fd);
		return agent_refuse(a, FAIL_ARGUMENT, "the restart offset is beyond the end of the file");
	}
	if ((r = ratio_check(a, answer.size - m->retrieve.offset)) != 0) {
		close(fd);
		return r;
	}
	transfer_begin_read(a, fd, m->retrieve.offset);
	r = agent_answer(a, MSG_READING, &answer, &fd, 1);
	if (r != ANSWERED) {
		inflight_undo(a->inflight);
		transfer_forget(a);
	}
	return r;
}

int
handle_digest(struct agent *a, const struct msg *m)
{
	struct msg_reading answer;
	int r, fd = open_file(a, &answer);

	(void)m;
	if (fd < 0)
		return fd;
	r = agent_answer(a, MSG_READING, &answer, &fd, 1);
	close(fd);
	return r;
}

int
handle_space(struct agent *a, const struct msg *m)
{
	struct msg_object o = { .file = 0 };
	uint64_t bytes, files;
	struct statvfs fs;
	int r, fd = open_folder(a);

	(void)m;
	if (fd < 0)
		return fd;
	r = fstatvfs(fd, &fs) < 0 ? -errno : 0;
	close(fd);
	if (r != 0)
		return r;
	o.size = (uint64_t)fs.f_bavail * fs.f_frsize;
	r = quota_left(a, &bytes, &files);
	if (bytes < o.size)
		o.size = bytes;
	return r != 0 ? r : agent_answer(a, MSG_OBJECT, &o, NULL, 0);
}
