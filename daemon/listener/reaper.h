/*
 * The ends of session processes.  A session ends with three of them within a
 * few milliseconds, and a busy server has many sessions: they are collected a
 * short while after the first, all at once, instead of waking up for each.
 */
#ifndef LISTENER_REAPER_H
#define LISTENER_REAPER_H

struct server;

/* Called with what was given to reaper_watch(). It reaps the process and calls reaper_forget(). */
typedef void reaper_handler(void *context);

/* 0 or a negative code. */
int reaper_start(struct server *, reaper_handler *);
/* Watches a process descriptor. 0 or -errno. */
int reaper_watch(struct server *, int pid_fd, void *context);
/* Before the descriptor is closed. */
void reaper_forget(struct server *, int pid_fd);

#endif
