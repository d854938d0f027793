#include "config.h"

#include "daemon/agent/agent.h"
#include "privsep/template.h"

int
main(int argc, char **argv)
{
	static const struct template agent = { ROLE_AGENT, agent_warm_up, agent_session };

	return template_main(argc, argv, &agent);
}
