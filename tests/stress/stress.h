/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_STRESS_H
#define POSTA_TESTS_STRESS_H

/*
 * What the stress tests share: a system with two workers, strangers (threads that are none of its own), and waiting.
 * They are made to be run under the thread sanitizer, bounded by time, and count and order everything.
 */

#include <posta/posta.h>

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#ifndef STRESS_MS
#define STRESS_MS 1000 /* how long each test makes trouble */
#endif
#ifndef STRESS_WAIT_MS
#define STRESS_WAIT_MS 60000 /* how long it waits at most for what must come */
#endif
#define STRESS_STRANGERS_MAX 8

static inline uint64_t stress_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* xorshift: each thread its own. */
static inline uint32_t stress_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static inline void stress_spin(uint32_t rounds)
{
	for (volatile uint32_t i = 0; i < rounds; i++)
		;
}

/* Waits until *count is at least target. */
static inline void stress_wait(_Atomic(uint64_t) *count, uint64_t target)
{
	uint64_t until = stress_now_ms() + STRESS_WAIT_MS;
	while (atomic_load_explicit(count, memory_order_acquire) < target && stress_now_ms() < until)
		sched_yield();
	assert_true(atomic_load_explicit(count, memory_order_acquire) >= target);
}

static inline struct posta_system *stress_system_with(struct posta_system_options *options)
{
	struct posta_system *system = NULL;
	struct posta_error error;
	options->workers = options->workers ? options->workers : 2;
	assert_int_equal(posta_system_start(options, &system, &error), POSTA_OK);
	return system;
}

static inline struct posta_system *stress_system(void)
{
	struct posta_system_options options = { .workers = 2 };
	return stress_system_with(&options);
}

static inline void stress_stop(struct posta_system *system)
{
	struct posta_stop_report report;
	assert_int_equal(posta_system_stop(system, STRESS_WAIT_MS, &report), POSTA_OK);
	assert_int_equal(report.actors_left, 0);
}

static inline posta_ref stress_spawn(struct posta_system *system, const struct posta_actor_class *klass, void *argument,
				     int worker)
{
	struct posta_spawn_options options = { .pinned = worker > 0, .worker = worker };
	struct posta_error error;
	posta_ref ref = posta_system_spawn(system, klass, argument, &options, &error);
	assert_true(ref != POSTA_NOBODY);
	return ref;
}

/* Runs count threads and waits for them. */
static inline void stress_strangers(unsigned count, void *(*work)(void *), void *arguments, size_t size)
{
	pthread_t threads[STRESS_STRANGERS_MAX];
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, (char *)arguments + i * size), 0);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

/* Messages that are numbered for each pair of sender and receiver. */
struct stress_number {
	uint32_t sender;
	uint32_t number;
};

struct stress_receiver {
	uint32_t next[16]; /* expected of each sender */
	uint32_t spin;
	_Atomic(uint64_t) *handled;
	_Atomic(uint64_t) *disorder;
};

static inline enum posta_err stress_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self;
	struct stress_receiver *receiver = state;
	const struct stress_number *number = posta_data(message);
	if (receiver->next[number->sender]++ != number->number)
		atomic_fetch_add_explicit(receiver->disorder, 1, memory_order_relaxed);
	if (receiver->spin)
		stress_spin(receiver->spin);
	atomic_fetch_add_explicit(receiver->handled, 1, memory_order_release);
	return POSTA_OK;
}

/* The argument is the state. */
static const struct posta_actor_class stress_receiver_class = { .name = "receiver", .receive = stress_receive };

#endif
