#include "config.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/str.h"
#include "daemon/listener/systemd.h"

#define FIRST_FD 3
#define FDS_MAX	 64

void
systemd_notify(const char *lines)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t len;
	int fd;

	if (path == NULL || (*path != '/' && *path != '@') || str_copy(to.sun_path, sizeof to.sun_path, path) != 0)
		return;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	/* An abstract name begins with NUL, which is written as @. */
	if (*path == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, lines, strlen(lines), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to, len);
	close(fd);
}

int
systemd_listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	long n;

	if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != getpid())
		return 0;
	n = strtol(count, NULL, 10);
	return n < 0 || n > FDS_MAX ? 0 : (int)n;
}

int
systemd_listen_fd(int i, char *name, size_t size)
{
	const char *names = getenv("LISTEN_FDNAMES");
	size_t len;

	(void)fcntl(FIRST_FD + i, F_SETFD, FD_CLOEXEC);
	name[0] = '\0';
	for (int n = 0; names != NULL && n < i; n++) {
		names = strchr(names, ':');
		names = names == NULL ? NULL : names + 1;
	}
	if (names == NULL)
		return FIRST_FD + i;
	len = strcspn(names, ":");
	if (len < size) {
		memcpy(name, names, len);
		name[len] = '\0';
	}
	return FIRST_FD + i;
}
