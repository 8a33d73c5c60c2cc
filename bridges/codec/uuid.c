/* SPDX-License-Identifier: MIT */
/* UUID version 7. Source: RFC 9562, section 5.7, with sub-millisecond time in rand_a (section 6.2, method 3). */
#include "bridges/codec/uuid.h"

#include <posta/envelope.h>

#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define POOL_SIZE 256u

/*
 * Random bytes are fetched for many at a time, per thread. A forked child would start with its parent's pool: the
 * quarter microsecond in rand_a keeps their ids apart.
 */
void posta__random_bytes(void *out, size_t len)
{
	static _Thread_local unsigned char pool[POOL_SIZE];
	static _Thread_local size_t left;
	if (left < len) {
		/* Up to 256 bytes getrandom() gives all or, before the kernel's pool is ready, waits; it never gives
		 * less. */
		if (getrandom(pool, sizeof pool, 0) != (ssize_t)sizeof pool) {
			struct timespec now;
			clock_gettime(CLOCK_MONOTONIC, &now);
			memcpy(pool, &now, sizeof now);
		}
		left = sizeof pool;
	}
	memcpy(out, pool + sizeof pool - left, len);
	left -= len;
}

void posta_uuid7(char out[37])
{
	static const char hex[] = "0123456789abcdef";
	struct timespec now;
	unsigned char id[16];
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	unsigned fraction = (unsigned)((uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000);
	for (int i = 0; i < 6; i++)
		id[i] = (unsigned char)(ms >> (40 - 8 * i));
	id[6] = (unsigned char)(0x70 | fraction >> 8);
	id[7] = (unsigned char)fraction;
	posta__random_bytes(id + 8, 8);
	id[8] = (unsigned char)(0x80 | (id[8] & 0x3F));
	char *at = out;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = hex[id[i] >> 4];
		*at++ = hex[id[i] & 15];
	}
	*at = 0;
}
