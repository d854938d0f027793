/*
 * The mark by which the password that logged in is recognised again (SITE
 * PSWD), without being kept.
 */
#ifndef WORKER_AUTH_H
#define WORKER_AUTH_H

#include <stddef.h>
#include <stdint.h>

void auth_mark(uint8_t mark[32], const char *password, size_t len);

#endif
