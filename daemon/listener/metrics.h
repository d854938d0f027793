/*
 * Numbers for monitoring: the rows of metrics.def.  report.c answers sallyctl
 * metrics with them.
 */
#ifndef LISTENER_METRICS_H
#define LISTENER_METRICS_H

#include <stdio.h>

struct json;
struct server;

/*
 * Prometheus's text format 0.0.4, which files for node_exporter have, or OpenMetrics 1.0.  They differ
 * in the name of a counter's family and in the end mark, and no text is right in both.
 */
enum metrics_form { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

/* Writes all of them as text, with the end mark of the form. */
void metrics_text(const struct server *, enum metrics_form, FILE *);
/* Adds them as one object: a number for each row, and for series a list of objects with name and value. */
void metrics_json(const struct server *, struct json *);

#endif
