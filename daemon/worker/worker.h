/*
 * What the template calls: see struct template (privsep/template.h).
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

struct conf;

int worker_warm_up(const struct conf *);
int worker_session(const int *fds, unsigned n);

#endif
