/* SPDX-License-Identifier: MIT */
#include "runtime/observe.h"
#include "runtime/mailbox.h"

#include <string.h>
#include <sys/mman.h>

/* -- Histograms -- */

#define SUB_BITS 4 /* 16 buckets for each power of two */
#define SUBS (1u << SUB_BITS)

static unsigned bucket_of(uint64_t ns)
{
	if (ns < SUBS)
		return (unsigned)ns;
	unsigned top = 63u - (unsigned)__builtin_clzll(ns);
	unsigned bucket = (top - SUB_BITS + 1) * SUBS + (unsigned)(ns >> (top - SUB_BITS) & (SUBS - 1));
	return bucket < POSTA_HISTOGRAM_BUCKETS ? bucket : POSTA_HISTOGRAM_BUCKETS - 1;
}

uint64_t posta_histogram_limit_ns(unsigned bucket)
{
	if (bucket >= POSTA_HISTOGRAM_BUCKETS - 1)
		return UINT64_MAX;
	if (bucket < SUBS)
		return bucket;
	unsigned shift = bucket / SUBS - 1;
	return ((uint64_t)(SUBS + bucket % SUBS + 1) << shift) - 1;
}

uint64_t posta_histogram_quantile_ns(const struct posta_histogram *histogram, double quantile)
{
	uint64_t wanted = (uint64_t)(quantile * (double)histogram->count), seen = 0;
	if (!histogram->count)
		return 0;
	for (unsigned i = 0; i < POSTA_HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > wanted || seen == histogram->count) {
			uint64_t limit = posta_histogram_limit_ns(i);
			return limit < histogram->max_ns ? limit : histogram->max_ns;
		}
	}
	return histogram->max_ns;
}

static void measure(struct posta__measured *measured, uint64_t ns)
{
	posta__count(&measured->count, 1);
	posta__count(&measured->sum_ns, ns);
	posta__count(&measured->buckets[bucket_of(ns)], 1);
	if (ns > atomic_load_explicit(&measured->max_ns, memory_order_relaxed))
		atomic_store_explicit(&measured->max_ns, ns, memory_order_relaxed);
}

/* Relaxed: each figure for itself. */
static void add(struct posta_histogram *sum, const struct posta__measured *measured)
{
	sum->count += atomic_load_explicit(&measured->count, memory_order_relaxed);
	sum->sum_ns += atomic_load_explicit(&measured->sum_ns, memory_order_relaxed);
	uint64_t max = atomic_load_explicit(&measured->max_ns, memory_order_relaxed);
	if (max > sum->max_ns)
		sum->max_ns = max;
	for (unsigned i = 0; i < POSTA_HISTOGRAM_BUCKETS; i++)
		sum->buckets[i] += atomic_load_explicit(&measured->buckets[i], memory_order_relaxed);
}

void posta_system_histograms(struct posta_system *system, struct posta_histogram *waits,
			     struct posta_histogram *handlers)
{
	struct posta_histogram *sums[2] = { waits, handlers };
	for (int i = 0; i < 2; i++)
		if (sums[i])
			memset(sums[i], 0, sizeof *sums[i]);
	int count = atomic_load_explicit(&system->worker_count, memory_order_acquire);
	for (int i = 0; i < count; i++) {
		/* Acquire: PAIRS with the release in observed_of; publishes the zeroed figures. */
		const struct posta__observed *observed =
			atomic_load_explicit(&posta__system_worker(system, i)->observed, memory_order_acquire);
		if (observed && waits)
			add(waits, &observed->waits);
		if (observed && handlers)
			add(handlers, &observed->handlers);
	}
}

/* NULL when out of memory. */
static struct posta__observed *observed_of(struct posta__worker *worker)
{
	struct posta__observed *observed = atomic_load_explicit(&worker->observed, memory_order_relaxed);
	if (!observed && (observed = posta__zalloc(worker->system, sizeof *observed)))
		atomic_store_explicit(&worker->observed, observed, memory_order_release);
	return observed;
}

void posta__observe_worker_free(struct posta__worker *worker)
{
	struct posta__observed *observed = atomic_load_explicit(&worker->observed, memory_order_relaxed);
	if (observed)
		posta__free(worker->system, observed, sizeof *observed);
}

/* -- The time a message was sent, in the unused end of its block -- */

static unsigned char *stamp_place(struct posta_message *message)
{
	size_t room = ((size_t)64 << (message->bits_ & POSTA__CLASS_MASK)) - sizeof *message;
	size_t used = (message->size_ + (size_t)7) & ~(size_t)7;
	used += message->bits_ & POSTA__BIT_DEADLINE ? 8 : 0;
	return used + sizeof(uint64_t) <= room ? message->payload_ + room - sizeof(uint64_t) : NULL;
}

void posta__observe_stamp(struct posta_system *system, struct posta_message *message)
{
	unsigned char *place = stamp_place(message);
	if (!place)
		return;
	uint64_t now = posta_system_now_ns(system);
	memcpy(place, &now, sizeof now);
	message->bits_ |= POSTA__BIT_STAMPED;
}

static void measure_wait(struct posta__observed *observed, struct posta_message *message, uint64_t now)
{
	if (!(message->bits_ & POSTA__BIT_STAMPED))
		return;
	uint64_t sent;
	memcpy(&sent, stamp_place(message), sizeof sent);
	message->bits_ &= (uint8_t)~POSTA__BIT_STAMPED;
	measure(&observed->waits, now > sent ? now - sent : 0);
}

/* -- A turn that is looked at -- */

static uint8_t observing(const struct posta__worker *worker)
{
	return atomic_load_explicit(&worker->observing, memory_order_relaxed);
}

void posta__observe_next(struct posta__worker *worker)
{
	struct posta_actor *actor = worker->run_head;
	if (!actor)
		return;
	actor->observed = true;
	if (observing(worker) & POSTA__OBSERVE_TIMES && !actor->guarded)
		posta__mailbox_guard(actor, true);
}

/*
 * What the watchdog reads. Release, on the odd number: PAIRS with its acquire; publishes what is worked on. The
 * watchdog looks at the number again afterwards, so that it does not mix two messages.
 */
static void publish(struct posta__worker *worker, const struct posta_actor *actor, const struct posta_message *message)
{
	struct posta__working *working = &worker->working;
	atomic_store_explicit(&working->ref, posta__self(actor), memory_order_relaxed);
	atomic_store_explicit(&working->klass, actor->klass, memory_order_relaxed);
	atomic_store_explicit(&working->type, message->type, memory_order_relaxed);
	uint64_t number = atomic_load_explicit(&working->number, memory_order_relaxed);
	atomic_store_explicit(&working->number, number + 1, memory_order_release);
}

void posta__observe_begin(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message)
{
	publish(worker, actor, message);
	worker->handler_timed = observing(worker) & POSTA__OBSERVE_TIMES;
	if (!worker->handler_timed)
		return;
	worker->handler_began_ns = posta_system_now_ns(worker->system);
	struct posta__observed *observed = observed_of(worker);
	if (observed)
		measure_wait(observed, message, worker->handler_began_ns);
}

static size_t seen_bytes(const struct posta_system *system)
{
	return ((size_t)system->slots.mask + 1) * sizeof(struct posta__seen);
}

/* Under the lock. Without it, when addresses are scarce, there are no figures of single actors. */
static void seen_reserve(struct posta_system *system)
{
	if (atomic_load_explicit(&system->seen, memory_order_relaxed))
		return;
	void *table = mmap(NULL, seen_bytes(system), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	/* Release: PAIRS with the acquire in seen_of; publishes the zeroed table. */
	if (table != MAP_FAILED)
		atomic_store_explicit(&system->seen, table, memory_order_release);
}

void posta__observe_fini(struct posta_system *system)
{
	struct posta__seen *table = atomic_load_explicit(&system->seen, memory_order_relaxed);
	if (table)
		munmap(table, seen_bytes(system));
}

static struct posta__seen *seen_of(const struct posta_system *system, const struct posta_actor *actor)
{
	struct posta__seen *table = atomic_load_explicit(&system->seen, memory_order_acquire);
	return table ? &table[actor->index] : NULL;
}

const struct posta__seen *posta__observe_seen(const struct posta_system *system, const struct posta_actor *actor)
{
	const struct posta__seen *seen = seen_of(system, actor);
	return seen && seen->ref == posta__self(actor) ? seen : NULL;
}

static void note_handled(struct posta_system *system, const struct posta_actor *actor, uint64_t took)
{
	struct posta__seen *seen = seen_of(system, actor);
	if (!seen)
		return;
	if (seen->ref != posta__self(actor))
		*seen = (struct posta__seen){ .ref = posta__self(actor) };
	seen->messages++;
	seen->time_ns += took;
}

void posta__observe_end(struct posta__worker *worker, struct posta_actor *actor)
{
	uint64_t number = atomic_load_explicit(&worker->working.number, memory_order_relaxed);
	atomic_store_explicit(&worker->working.number, number + 1, memory_order_release);
	if (!worker->handler_timed)
		return;
	uint64_t took = posta_system_now_ns(worker->system) - worker->handler_began_ns;
	struct posta__observed *observed = observed_of(worker);
	if (observed)
		measure(&observed->handlers, took);
	note_handled(worker->system, actor, took);
}

void posta__observe_unguard(struct posta__worker *worker, struct posta_actor *actor)
{
	if (!(observing(worker) & POSTA__OBSERVE_TIMES) && !atomic_load_explicit(&actor->bounded, memory_order_relaxed))
		posta__mailbox_guard(actor, false);
}

/* -- The switch -- */

void posta__observe_switch(struct posta_system *system, uint8_t what, bool on)
{
	pthread_mutex_lock(&system->lock);
	if (on && what & POSTA__OBSERVE_TIMES)
		seen_reserve(system);
	uint8_t flags = atomic_load_explicit(&system->observing, memory_order_relaxed);
	flags = on ? flags | what : flags & (uint8_t)~what;
	atomic_store_explicit(&system->observing, flags, memory_order_relaxed);
	int count = atomic_load_explicit(&system->worker_count, memory_order_relaxed);
	for (int i = 0; i < count; i++) {
		struct posta__worker *worker = posta__system_worker(system, i);
		atomic_store_explicit(&worker->observing, flags, memory_order_relaxed);
		posta__poke(worker); /* it need not wake for this: its next turn comes after a look */
	}
	pthread_mutex_unlock(&system->lock);
}

void posta_observe(struct posta_system *system, bool on)
{
	posta__observe_switch(system, POSTA__OBSERVE_TIMES, on);
}
