#include "config.h"

#include "daemon/monitor/monitor.h"
#include "privsep/template.h"

int
main(int argc, char **argv)
{
	static const struct template t = { ROLE_MONITOR, monitor_warm_up, monitor_session };

	return template_main(argc, argv, &t);
}
