/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BENCH_FLOOR_H
#define POSTA_BENCH_FLOOR_H

/* What the machine itself costs: the floors that the benches stand beside. */

#include <stddef.h>

/*
 * Two threads on two CPUs pass a word through one cache line. Returns: nanoseconds one way, a median; 0 with one CPU.
 */
double floor_line_ns(void);
/* One thread sleeps in epoll on an eventfd that another writes. Fills ns with count times from write to awake. */
void floor_wake_ns(double *ns, size_t count);

double floor_now_ns(void);
void floor_sort(double *values, size_t count);
/* Puts the calling thread on the index-th CPU of the process's mask. */
void floor_pin(int index);
void floor_sleep_us(long us);

#endif
