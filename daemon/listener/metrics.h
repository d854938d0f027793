/*
 * Numbers for monitoring: the rows of metrics.def.  report.c answers sallyctl
 * metrics with them.
 */
#ifndef LISTENER_METRICS_H
#define LISTENER_METRICS_H

#include <stdio.h>

struct json;
struct server;

/* Writes all of them as text (OpenMetrics 1.0), its end mark included. */
void metrics_text(const struct server *, FILE *);
/* Adds them as one object: a number for each row, and for series a list of objects with name and value. */
void metrics_json(const struct server *, struct json *);

#endif
