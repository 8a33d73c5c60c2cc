/* SPDX-License-Identifier: MIT */
#include "oom.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define ALLOCATIONS_MAX 20000

/* -- What fails -- */

static _Atomic(long) countdown; /* 0: nothing fails */
static _Atomic(bool) fired;
static _Atomic(long) outstanding; /* blocks of the systems' allocator */

static bool fails(void)
{
	if (!atomic_load(&countdown) || atomic_fetch_sub(&countdown, 1) != 1)
		return false;
	atomic_store(&fired, true);
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_eventfd(unsigned count, int flags);
struct ev_loop *__real_ev_loop_new(unsigned flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_eventfd(unsigned count, int flags);
struct ev_loop *__wrap_ev_loop_new(unsigned flags);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
	return fails() ? NULL : __real_strndup(text, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return fails() ? MAP_FAILED : __real_mmap(address, size, protection, flags, fd, offset);
}

int __wrap_eventfd(unsigned count, int flags)
{
	if (!fails())
		return __real_eventfd(count, flags);
	errno = EMFILE;
	return -1;
}

struct ev_loop *__wrap_ev_loop_new(unsigned flags)
{
	return fails() ? NULL : __real_ev_loop_new(flags);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attributes, work, argument);
}

/* -- Runs -- */

void oom_every(void (*scenario)(void))
{
	/* OOM_NTH=n: that one alone, for a debugger. */
	atomic_store(&outstanding, 0);
	const char *only = getenv("OOM_NTH");
	for (long n = only ? atol(only) : 1; n < ALLOCATIONS_MAX; n++) {
		atomic_store(&fired, false);
		if (getenv("OOM_VERBOSE"))
			print_message("allocation %ld\n", n);
		atomic_store(&countdown, n);
		scenario();
		atomic_store(&countdown, 0);
		if (outstanding)
			fail_msg("allocation %ld failed, and %ld blocks are left", n, (long)outstanding);
		if (!atomic_load(&fired) || only) {
			print_message("%ld allocations\n", n - 1);
			assert_true(n > 1);
			return;
		}
	}
	fail_msg("it needs more than %d allocations", ALLOCATIONS_MAX);
}

bool oom_worked(enum posta_err result)
{
	if (result == POSTA_OK)
		return true;
	if (result != POSTA_ENOMEM && result != POSTA_EIO)
		fail_msg("an error that no lack of memory is: %s", posta_err_name(result));
	assert_true(atomic_load(&fired));
	return false;
}

/* -- Systems -- */

static void *counted_alloc(void *context, size_t alignment, size_t size)
{
	(void)context;
	void *memory = alignment <= _Alignof(max_align_t)
			       ? malloc(size)
			       : aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
	if (memory)
		atomic_fetch_add(&outstanding, 1);
	return memory;
}

static void counted_free(void *context, void *memory, size_t size)
{
	(void)context, (void)size;
	atomic_fetch_sub(&outstanding, 1);
	free(memory);
}

static struct posta_system *start(bool virtual_clock)
{
	struct posta_system_options options = {
		.workers = POSTA_HOST_DRIVEN,
		.virtual_clock = virtual_clock,
		.actors_max = 1000,
		.allocator = { .alloc = counted_alloc, .free = counted_free },
	};
	struct posta_system *system = NULL;
	struct posta_error error;
	return oom_worked(posta_system_start(&options, &system, &error)) ? system : NULL;
}

struct posta_system *oom_system(void)
{
	return start(true);
}

struct posta_system *oom_system_in_time(void)
{
	return start(false);
}

void oom_stop(struct posta_system *system)
{
	struct posta_stop_report report = { 0 };
	enum posta_err result = posta_system_stop(system, 1000, &report);
	if (result != POSTA_OK)
		fail_msg("the system does not stop: %s, %llu actors are left", posta_err_name(result),
			 (unsigned long long)report.actors_left);
}

/* -- An actor -- */

static enum posta_err act(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct oom_actor *actor = state;
	actor->self = posta_self(self);
	if (actor->act)
		actor->act(self, actor);
	return POSTA_OK;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct oom_actor *actor = state;
	actor->handled++;
	if (message->ask_) {
		posta_reply(self, message->type, posta_data(message), posta_size(message));
		return POSTA_OK;
	}
	if (actor->fail_once) {
		actor->fail_once = false;
		return POSTA_EFAILED;
	}
	return POSTA_OK;
}

const struct posta_actor_class oom_actor_class = { .name = "oom", .receive = receive, .start = act };
