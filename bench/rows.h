/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BENCH_ROWS_H
#define POSTA_BENCH_ROWS_H

/* The table that a bench prints, and the same as JSON for bench/check and bench/report. One at a time. */

#include <stddef.h>

/* json_path NULL: none. */
void rows_begin(const char *bench, const char *json_path);
/* Sorts values, prints median, least and most. workers 0: does not apply. */
void rows_add(const char *workload, const char *system, int workers, const char *unit, double *values, size_t count);
/* The same with p50, p99, p99.9 of many values. */
void rows_add_percentiles(const char *workload, const char *system, int workers, const char *unit, double *values,
			  size_t count);
void rows_end(void);

#endif
