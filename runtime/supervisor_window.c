/* SPDX-License-Identifier: MIT */
/* Whether a child may be restarted (a sliding window of restart times), and after which wait. */
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
	if (intensity == POSTA_INTENSITY_NONE)
		return false;
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

bool posta__child_may_restart(struct posta_actor *self, struct posta__supervisor *supervisor,
			      struct posta__child *child)
{
	struct posta_system *system = posta__worker(self)->system;
	const struct posta_supervisor_options *options = &supervisor->plan->options;
	uint64_t now = posta_now_ns(self), period = child->spec.period_ms ? child->spec.period_ms : options->period_ms;
	if (child->spec.intensity && !posta__window_admit(system, &child->window, child->spec.intensity, period, now))
		return false;
	return posta__window_admit(system, &supervisor->window, options->intensity, options->period_ms, now);
}

void posta__child_next_wait(struct posta_actor *self, const struct posta__supervisor *supervisor,
			    struct posta__child *child)
{
	const struct posta_backoff *backoff =
		child->spec.backoff.initial_ms ? &child->spec.backoff : &supervisor->plan->options.backoff;
	uint64_t long_ms = backoff->max_ms ? backoff->max_ms : child->waited_ms;
	uint64_t healthy_ms = backoff->reset_after_ms ? backoff->reset_after_ms : long_ms;
	if (child->was_up && (posta_now_ns(self) - child->started_ns) / 1000000u >= healthy_ms)
		child->attempt = 0, child->waited_ms = 0;
	child->was_up = false;
	child->waited_ms = posta_backoff_delay_ms(backoff, child->attempt++, child->waited_ms, posta_random(self));
}
