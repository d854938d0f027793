#include "daemon/worker/worker.h"

#include "privsep/template.h"

int
main(int argc, char **argv)
{
	static const struct template worker = { ROLE_WORKER, worker_warm_up, worker_session };

	return template_main(argc, argv, &worker);
}
