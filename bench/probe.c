/* SPDX-License-Identifier: MIT */
/*
 * bench_probe: nanoseconds that a cache line takes from one CPU to another, the median of 21 rounds of 20,000
 * hand-overs.
 */
#include "floor.h"

#include <stdio.h>

int main(void)
{
	printf("%.1f\n", floor_line_ns());
	return 0;
}
