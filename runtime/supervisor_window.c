/* SPDX-License-Identifier: MIT */
/* Intensity: a sliding window of restart times. */
#include "runtime/supervisor.h"

static void window_forget(struct posta__window *window, uint64_t since)
{
	while (window->count && window->times[window->first] < since) {
		window->first = (window->first + 1) % window->room;
		window->count--;
	}
}

static bool window_grow(struct posta_system *system, struct posta__window *window)
{
	uint32_t room = window->room ? window->room * 2 : 8;
	uint64_t *times = posta__alloc(system, 16, room * sizeof *times);
	if (!times)
		return false;
	for (uint32_t i = 0; i < window->count; i++)
		times[i] = window->times[(window->first + i) % window->room];
	posta__free(system, window->times, window->room * sizeof *times);
	*window = (struct posta__window){ .times = times, .room = room, .count = window->count };
	return true;
}

bool posta__window_admit(struct posta_system *system, struct posta__window *window, uint32_t intensity,
			 uint64_t period_ms, uint64_t now_ns)
{
	if (intensity == POSTA_INTENSITY_UNLIMITED)
		return true;
	uint64_t period_ns = period_ms * 1000000u;
	window_forget(window, now_ns > period_ns ? now_ns - period_ns : 0);
	if (window->count >= intensity)
		return false;
	if (window->count == window->room && !window_grow(system, window))
		return false;
	window->times[(window->first + window->count++) % window->room] = now_ns;
	return true;
}

void posta__window_free(struct posta_system *system, struct posta__window *window)
{
	posta__free(system, window->times, window->room * sizeof *window->times);
	*window = (struct posta__window){ 0 };
}
