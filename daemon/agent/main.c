#include "config.h"

#include "daemon/agent/agent.h"
#include "daemon/agent/hold.h"
#include "privsep/template.h"

static int
warm_up(const struct conf *conf)
{
	hold_share(TEMPLATE_HOLD_FD);
	return agent_warm_up(conf);
}

int
main(int argc, char **argv)
{
	static const struct template agent = { ROLE_AGENT, warm_up, agent_session };

	return template_main(argc, argv, &agent);
}
