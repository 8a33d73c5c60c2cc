/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_HOSTS_H
#define POSTA_BRIDGES_HOSTS_H

/*
 * URLs that name several hosts, scheme://user:password@h1:1,h2:2/path: each try of a connection takes the next one, so
 * that one that hangs after it was reached (a handshake without an answer) does not hold up the others either.
 */

#include <stdint.h>

/* 0: one of several is empty. */
uint32_t posta__url_hosts(const char *url);
/* The same URL with one host, the n-th, counted around. Returns: owned, free(); NULL when out of memory. */
char *posta__url_of_host(const char *url, uint32_t n);

#endif
