/*
 * Log lines of the worker and the agent.  Both may be in a client's hands: their
 * lines go through log_relay().  How many there may be says ration.c.
 */
#include "config.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/logrelay.h"
#include "common/logsink.h"
#include "daemon/monitor/monitor.h"

bool
monitor_may_go_on(void)
{
	return conf_server(monitor_prepared.conf)->audit_full == CONF_AUDIT_FULL_CONTINUE || log_is_whole();
}

void
monitor_report_dropped(struct monitor *s)
{
	struct log_line l;

	if (s->worker_lines_dropped == 0)
		return;
	log_begin(&l, EVENT_LOG_LINES_DROPPED);
	log_str(&l, FIELD_ROLE, "worker");
	log_num(&l, FIELD_LOST, (int64_t)s->worker_lines_dropped);
	log_end(&l);
	s->worker_lines_dropped = 0;
}

int
monitor_worker_log(struct monitor *s, struct msg *m)
{
	if (!ration_spend(s, RATION_WORKER_LINE)) {
		s->worker_lines_dropped++;
		return 0;
	}
	monitor_report_dropped(s);
	monitor_stranger_counts(true);
	log_relay("worker", BY_WORKER, m->log.level, m->log.text);
	monitor_stranger_counts(false);
	return 0;
}

int
monitor_agent_log(struct monitor *s, struct msg *m)
{
	ration_agent(s, m->agent_log.level <= LOG_LEVEL_NOTICE ? RATION_REFUSAL : RATION_RECORD);
	log_relay("agent", BY_AGENT, m->agent_log.level, m->agent_log.text);
	monitor_check_log(s);
	return 0;
}
