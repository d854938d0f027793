#include "config.h"

#include "daemon/listener/keeper.h"

/* Without private keys there is no keeper. */

int
keeper_start(struct server *s)
{
	(void)s;
	return 0;
}

int
keeper_reload(struct server *s)
{
	(void)s;
	return 0;
}

void
keeper_stop(struct server *s)
{
	(void)s;
}

bool
keeper_running(const struct server *s)
{
	(void)s;
	return false;
}

bool
keeper_awaited(const struct server *s)
{
	(void)s;
	return false;
}

int
keeper_files_fd(struct server *s)
{
	(void)s;
	return -1;
}

int
keeper_attach(struct server *s, int fd)
{
	(void)s, (void)fd;
	return 0;
}
