#include "config.h"

#include <unistd.h>

#include "common/logsink.h"
#include "daemon/monitor/monitor.h"
#include "privsep/template.h"

/* What a session cannot write into the log is counted where the listener and all other sessions see it. */
static int
warm_up(const struct conf *conf)
{
	if (log_shared(TEMPLATE_LOG_FD) == 0)
		close(TEMPLATE_LOG_FD);
	return monitor_warm_up(conf);
}

int
main(int argc, char **argv)
{
	static const struct template t = { ROLE_MONITOR, warm_up, monitor_session };

	return template_main(argc, argv, &t);
}
