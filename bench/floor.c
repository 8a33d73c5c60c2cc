/* SPDX-License-Identifier: MIT */
#include "floor.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 21, PASSES = 20000 };

static struct {
	_Alignas(64) _Atomic(uint32_t) word;
	_Alignas(64) char rest;
} line;

double floor_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

void floor_sort(double *values, size_t count)
{
	qsort(values, count, sizeof *values, by_value);
}

void floor_pin(int index)
{
	/* As the process began: a thread inherits what its maker was pinned to since. The first call is main's. */
	static cpu_set_t all;
	cpu_set_t one;
	CPU_ZERO(&one);
	if (!CPU_COUNT(&all) && sched_getaffinity(0, sizeof all, &all))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && index-- == 0)
			CPU_SET(cpu, &one);
	if (CPU_COUNT(&one))
		pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

void floor_sleep_us(long us)
{
	nanosleep(&(struct timespec){ us / 1000000, us % 1000000 * 1000 }, NULL);
}

static void await(uint32_t value)
{
	while (atomic_load_explicit(&line.word, memory_order_acquire) != value)
		;
}

static void *answer(void *unused)
{
	floor_pin(1);
	for (uint32_t i = 0; i < ROUNDS * PASSES; i++) {
		await(2 * i + 1);
		atomic_store_explicit(&line.word, 2 * i + 2, memory_order_release);
	}
	return NULL;
}

static void *call(void *result)
{
	double ns[ROUNDS];
	floor_pin(0);
	for (uint32_t round = 0, i = 0; round < ROUNDS; round++) {
		double began = floor_now_ns();
		for (uint32_t pass = 0; pass < PASSES; pass++, i++) {
			atomic_store_explicit(&line.word, 2 * i + 1, memory_order_release);
			await(2 * i + 2);
		}
		ns[round] = (floor_now_ns() - began) / (2.0 * PASSES);
	}
	floor_sort(ns, ROUNDS);
	*(double *)result = ns[ROUNDS / 2];
	return NULL;
}

double floor_line_ns(void)
{
	pthread_t threads[2];
	double ns = 0;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return 0;
	atomic_store(&line.word, 0);
	if (pthread_create(&threads[0], NULL, answer, NULL) || pthread_create(&threads[1], NULL, call, &ns))
		abort();
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	return ns;
}

struct sleeper {
	int event, poll;
	_Atomic(bool) asleep; /* is about to */
	_Atomic(double) woken;
	size_t count;
};

static void *sleep_and_wake(void *argument)
{
	struct sleeper *sleeper = argument;
	struct epoll_event event;
	uint64_t value;
	floor_pin(1);
	for (size_t i = 0; i < sleeper->count; i++) {
		atomic_store(&sleeper->asleep, true);
		if (epoll_wait(sleeper->poll, &event, 1, -1) != 1)
			abort();
		atomic_store(&sleeper->woken, floor_now_ns());
		if (read(sleeper->event, &value, sizeof value) != sizeof value)
			abort();
	}
	return NULL;
}

void floor_wake_ns(double *ns, size_t count)
{
	struct sleeper sleeper = { .event = eventfd(0, EFD_CLOEXEC),
				   .poll = epoll_create1(EPOLL_CLOEXEC),
				   .count = count };
	struct epoll_event event = { .events = EPOLLIN };
	pthread_t thread;
	uint64_t one = 1;
	if (epoll_ctl(sleeper.poll, EPOLL_CTL_ADD, sleeper.event, &event) ||
	    pthread_create(&thread, NULL, sleep_and_wake, &sleeper))
		abort();
	for (size_t i = 0; i < count; i++) {
		while (!atomic_load(&sleeper.asleep))
			floor_sleep_us(20);
		floor_sleep_us(200); /* by now it is */
		atomic_store(&sleeper.asleep, false);
		atomic_store(&sleeper.woken, 0);
		double began = floor_now_ns();
		if (write(sleeper.event, &one, sizeof one) != sizeof one)
			abort();
		while (atomic_load(&sleeper.woken) == 0)
			;
		ns[i] = atomic_load(&sleeper.woken) - began;
	}
	pthread_join(thread, NULL);
	close(sleeper.event);
	close(sleeper.poll);
}
