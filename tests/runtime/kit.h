/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_RUNTIME_KIT_H
#define POSTA_TESTS_RUNTIME_KIT_H

/*
 * What the runtime's tests share: a system driven by hand, on a clock that is moved by hand, and on memory that is
 * looked after: each block is freed once, with the size it was asked for, none is left at the end, nothing is written
 * beside it, and what is in it before and after is of no use.
 */

#include "runtime/system.h"

#include <posta/posta.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct kit_heap {
	_Atomic(long) blocks;
	_Atomic(bool) empty; /* a test's: there is no memory from now on */
	bool counted;        /* a test's: nor after so many more */
	long left;
};

enum { KIT_EDGE = 64, KIT_GUARD = 0xC3 }; /* bytes before a block, its size first, and at least as many behind it */

static inline size_t kit_whole(size_t size)
{
	return (size + 3 * KIT_EDGE - 1) / KIT_EDGE * KIT_EDGE;
}

static inline void *kit_alloc(void *context, size_t alignment, size_t size)
{
	struct kit_heap *heap = context;
	assert_true(alignment && alignment <= KIT_EDGE);
	if (heap->empty || (heap->counted && heap->left-- == 0))
		return NULL;
	char *memory = aligned_alloc(KIT_EDGE, kit_whole(size));
	memset(memory, KIT_GUARD, kit_whole(size));
	memcpy(memory, &size, sizeof size);
	heap->blocks++;
	return memset(memory + KIT_EDGE, 0xA5, size);
}

static inline bool kit_guards(const char *at, const char *end)
{
	while (at < end && (unsigned char)*at == KIT_GUARD)
		at++;
	return at == end;
}

static inline void kit_free(void *context, void *memory, size_t size)
{
	char *whole = (char *)memory - KIT_EDGE;
	assert_memory_equal(whole, &size, sizeof size);
	assert_true(kit_guards(whole + sizeof size, whole + KIT_EDGE));
	assert_true(kit_guards(whole + KIT_EDGE + size, whole + kit_whole(size)));
	((struct kit_heap *)context)->blocks--;
	memset(whole, 0x5A, kit_whole(size));
	free(whole);
}

static inline struct kit_heap *kit_heap(const struct posta_system *system)
{
	return system->options.allocator.alloc == kit_alloc ? system->options.allocator.context : NULL;
}

struct kit_letters {
	unsigned count[POSTA_DEAD_POISON + 1];
	posta_ref last_to;
	uint32_t last_type;
};

static inline void kit_on_dead_letter(void *context, const struct posta_dead_letter *letter)
{
	struct kit_letters *letters = context;
	letters->count[letter->reason]++;
	letters->last_to = letter->to;
	letters->last_type = letter->type;
}

static inline struct posta_system *kit_system(struct kit_letters *letters)
{
	struct posta_system_options options = {
		.workers = POSTA_HOST_DRIVEN,
		.virtual_clock = true,
		.actors_max = 1u << 20,
		.allocator = { kit_alloc, kit_free, calloc(1, sizeof(struct kit_heap)) },
		.dead_letter = letters ? kit_on_dead_letter : NULL,
		.dead_letter_context = letters,
	};
	struct posta_system *system = NULL;
	struct posta_error error;
	assert_int_equal(posta_system_start(&options, &system, &error), POSTA_OK);
	return system;
}

/* Runs until nothing is ready. */
static inline void kit_settle(struct posta_system *system)
{
	while (posta_system_step(system, 0))
		;
}

static inline void kit_stop(struct posta_system *system)
{
	/* The root's end is what stop waits for; a lost one shows as the time it takes. */
	struct posta_stop_report report;
	struct timespec began, ended;
	struct kit_heap *heap = kit_heap(system);
	clock_gettime(CLOCK_MONOTONIC, &began);
	assert_int_equal(posta_system_stop(system, 10000, &report), POSTA_OK);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_int_equal(report.actors_left, 0);
	assert_true(ended.tv_sec - began.tv_sec < 9);
	assert_int_equal(heap ? heap->blocks : 0, 0);
	free(heap);
}

/* An actor that writes down the types it gets, and does as the types say. */
enum { KIT_NOTE = 1, KIT_FAIL = 100, KIT_STOP, KIT_UNHANDLED };

struct kit_log {
	uint32_t types[4096];
	unsigned count, starts, stops;
	enum posta_err stop_reason, fail_start;
	posta_ref self;
};

static inline enum posta_err kit_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state;
	struct kit_log *log = argument;
	log->starts++;
	log->self = posta_self(self);
	return log->fail_start;
}

static inline enum posta_err kit_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct kit_log *log = state;
	if (log->count < sizeof log->types / sizeof log->types[0])
		log->types[log->count] = message->type;
	log->count++;
	switch (message->type) {
	case KIT_FAIL:
		return POSTA_EFAILED;
	case KIT_STOP:
		posta_stop(self, posta_self(self), POSTA_OK);
		return POSTA_OK;
	case KIT_UNHANDLED:
		return POSTA_EUNHANDLED;
	default:
		return POSTA_OK;
	}
}

static inline void kit_on_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self;
	struct kit_log *log = state;
	log->stops++;
	log->stop_reason = reason;
}

/* The argument is the log, and the state too. */
static const struct posta_actor_class kit_noter = {
	.name = "noter",
	.receive = kit_receive,
	.start = kit_start,
	.stop = kit_on_stop,
};

static inline posta_ref kit_spawn(struct posta_system *system, struct kit_log *log,
				  const struct posta_spawn_options *options)
{
	struct posta_error error;
	posta_ref ref = posta_system_spawn(system, &kit_noter, log, options, &error);
	assert_true(ref != POSTA_NOBODY);
	return ref;
}

static inline void kit_send(struct posta_system *system, posta_ref to, uint32_t type)
{
	posta_system_send(system, to, type, NULL, 0);
}

#endif
