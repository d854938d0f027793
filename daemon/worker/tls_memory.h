/*
 * Where OpenSSL's small objects lie while a template warms up: together by
 * size, not in the order in which they were made.  A handshake touches a
 * lock or a reference count in hundreds of them; scattered over the heap, each
 * would cost every forked session a page of its own (70 KiB and twenty page
 * faults less were measured).  Afterwards everything is malloc()'s as usual,
 * and what the template made is neither given back nor used again.
 */
#ifndef DAEMON_WORKER_TLS_MEMORY_H
#define DAEMON_WORKER_TLS_MEMORY_H

/* Before the first call of any OpenSSL function. Without memory, or too late, nothing changes. */
void tls_memory_begin(void);
/* The template is warm. */
void tls_memory_settle(void);

#endif
