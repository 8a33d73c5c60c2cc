/* SPDX-License-Identifier: MIT */
/*
 * The turn of an actor and the round of a worker.
 *
 *   round: poked? take the shared lines, give work to who asked ─▶ one turn
 *   every so many messages (every one, when they are long) a look at the ticks: has the turn had its time, and are
 *          ~100 us over since the loop was polled? then after the turn: clock, timers, loop, work for who sleeps
 *   idle:  give borrowed blocks back ─▶ timers, loop ─▶ ask a busy worker ─▶ spin a little ─▶ sleep in the loop
 *
 * A turn handles what the mailbox held when it began, bounded in time, so a producer on the same worker cannot
 * outrun its consumer and nobody waits long.
 */
#include "runtime/balance.h"
#include "runtime/block.h"
#include "runtime/mailbox.h"
#include "runtime/sim.h"
#include "runtime/observe.h"
#include "runtime/turn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Reading the ticks can cost as much as several messages (20 ns in virtual machines). */
#define LOOK_EVERY_FIRST 4u
#define LOOK_EVERY_MAX 64u
#define LOOKS_PER_POLL 4
#define POLL_NS UINT64_C(100000)
#define SPINS_FIRST 500
#define SPINS 2000
#define SHUFFLED_MAX 8
#define BORN_SHARE 4          /* of so many turns while newborns wait, one at least is theirs */
#define BORN_US 10000         /* so long newborns may be kept waiting by younger ones */
#define BORN_TURNS (1u << 16) /* or so many turns */
#define TICKS_PER_US_GUESS 1000.0

static _Thread_local struct posta__worker *current_worker;

struct posta__worker *posta__worker_current(void)
{
	return current_worker;
}

void posta__worker_set_current(struct posta__worker *worker)
{
	current_worker = worker;
}

static uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t posta__worker_now(struct posta__worker *worker)
{
	struct posta_system *system = worker->system;
	worker->now_ns = system->options.virtual_clock ? atomic_load_explicit(&system->virtual_ns, memory_order_relaxed)
						       : clock_ns();
	return worker->now_ns;
}

/* xorshift128+: small, fast, seeded; not for secrets. */
uint64_t posta__worker_random(struct posta__worker *worker)
{
	uint64_t a = worker->random[0], b = worker->random[1];
	worker->random[0] = b;
	a ^= a << 23;
	worker->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
	return worker->random[1] + b;
}

/* -- Waking -- */

void posta__worker_wake(struct posta__worker *worker)
{
	if (worker == current_worker && worker->drive != POSTA__DRIVE_HOST)
		return;
	/* The fence of invariant 5 in mailbox.c: PAIRS with the one in posta__worker_sleep. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&worker->sleeping, memory_order_relaxed) ||
	    !atomic_exchange_explicit(&worker->sleeping, 0, memory_order_relaxed))
		return;
	if (current_worker)
		posta__count(&current_worker->counters.wakes, 1);
	uint64_t one = 1;
	ssize_t written;
	do
		written = write(worker->wake_fd, &one, sizeof one);
	while (written < 0 && errno == EINTR);
}

/* The descriptor is read before the worker sleeps again, not between the wake and the first handler. */
static void on_wake(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop, (void)events;
	struct posta__worker *worker = io->data;
	worker->rung = true;
}

static void hush(struct posta__worker *worker)
{
	uint64_t count;
	if (!worker->rung)
		return;
	worker->rung = false;
	ssize_t n = read(worker->wake_fd, &count, sizeof count);
	(void)n; /* EAGAIN: read before; the loop had seen it twice */
}

static void on_wake_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)timer, (void)events; /* being woken is all */
}

/* -- The shared lines -- */

static void adopt(struct posta__worker *worker, struct posta_actor *actor)
{
	/* Relaxed: only this thread stores it from now on; senders that still see "in transit" use the stack. */
	atomic_store_explicit(&actor->home, (uintptr_t)worker, memory_order_relaxed);
	worker->pinned += actor->pinned;
	worker->talk.gather_to = NULL; /* whoever sent it wants it here */
	actor->queued = false;
	posta__run_ready(worker, actor);
}

static void notified(struct posta__worker *worker, struct posta_actor *actor)
{
	/* Acquire: PAIRS with the release store of "in transit": if it is ours to be, its fields are ours to touch. */
	uintptr_t home = atomic_load_explicit(&actor->home, memory_order_acquire);
	if ((home & ~(uintptr_t)1) != (uintptr_t)worker) {
		posta__inbox_push((struct posta__worker *)(home & ~(uintptr_t)1), actor);
		return;
	}
	actor->notified = true;
	posta__count(&worker->counters.remote, 1);
	if (home == (uintptr_t)worker && !posta__balance_gathers(worker, actor))
		posta__run_ready(worker, actor);
}

/* The adopted come first: an inbox entry may be for one of them. */
void posta__worker_drain(struct posta__worker *worker)
{
	struct posta_actor *adopted = NULL;
	if (atomic_load_explicit(&worker->adopt, memory_order_relaxed))
		adopted = atomic_exchange_explicit(&worker->adopt, NULL, memory_order_acquire);
	struct posta_actor *inbox = atomic_exchange_explicit(&worker->inbox, NULL, memory_order_acquire);
	while (adopted) {
		struct posta_actor *next = adopted->adopt_next;
		adopt(worker, adopted);
		adopted = next;
	}
	while (inbox) {
		struct posta_actor *next = inbox->inbox_next;
		notified(worker, inbox);
		inbox = next;
	}
}

/* -- Newborns -- */

static struct posta_actor *pop(struct posta_actor **line)
{
	struct posta_actor *actor = *line;
	*line = actor->run_next;
	return actor;
}

/* Looked at every 64 turns: the ticks are no newer, and it is no matter of one turn. */
static bool kept_waiting(const struct posta__worker *worker)
{
	return worker->born_turns % 64 == 0 &&
	       (worker->born_turns >= BORN_TURNS ||
		(double)(worker->look_ticks - worker->born_ticks) > worker->ticks_per_us * BORN_US);
}

/* Those that had to wait for others' children get a place among all. */
static void grow_up(struct posta__worker *worker)
{
	while (worker->born)
		posta__run_push(worker, pop(&worker->born));
}

/* The others come first, as far as they leave newborns their share: they are what ends, and frees its memory. */
struct posta_actor *posta__run_pop_born(struct posta__worker *worker)
{
	struct posta_actor *actor;
	worker->born_at = &worker->born;
	if (kept_waiting(worker))
		grow_up(worker);
	if (worker->born && (++worker->born_turns % BORN_SHARE == 0 || !worker->run_head)) {
		actor = pop(&worker->born);
	} else {
		actor = pop(&worker->run_head);
		if (!worker->run_head)
			worker->run_tail = &worker->run_head;
	}
	if (!worker->born)
		worker->born_turns = 1, worker->born_ticks = worker->look_ticks;
	return actor;
}

/* -- The round -- */

/* Ticks of so many ns, by the rate seen between two looks at the clock. */
static void calibrate(struct posta__worker *worker, uint64_t before_ns, uint64_t ticks)
{
	uint64_t passed = worker->now_ns - before_ns;
	if (worker->system->options.virtual_clock || passed < POLL_NS / 2)
		return;
	double rate = (double)(ticks - worker->polled_ticks) * 1000.0 / (double)passed;
	if (rate > 0)
		worker->ticks_per_us = rate;
}

static void look_at_clock(struct posta__worker *worker)
{
	uint64_t before = worker->now_ns;
	posta__worker_now(worker);
	uint64_t ticks = posta__ticks();
	calibrate(worker, before, ticks);
	worker->polled_ticks = ticks;
	posta__timers_fire(worker);
}

void posta__worker_poll(struct posta__worker *worker)
{
	look_at_clock(worker);
	if (worker->pinned && worker->drive != POSTA__DRIVE_HOST)
		ev_run(worker->loop, EVRUN_NOWAIT);
}

/* Long messages are looked at each, short ones seldom. */
static uint32_t messages_until_look(double message_ticks, double interval)
{
	if (message_ticks * LOOK_EVERY_MAX <= interval)
		return LOOK_EVERY_MAX;
	return message_ticks >= interval ? 1 : (uint32_t)(interval / message_ticks);
}

void posta__worker_count(struct posta__worker *worker)
{
	posta__count(&worker->counters.messages, worker->look_every - worker->until_look);
	posta__count(&worker->counters.turns, worker->turns);
	worker->look_every = worker->until_look;
	worker->turns = 0;
}

static bool timeless(const struct posta__worker *worker)
{
	return worker->shuffled || worker->system->options.virtual_clock;
}

/* How long turns and messages take, from what was done since the last look. */
static void measure(struct posta__worker *worker, uint64_t passed)
{
	uint32_t messages = worker->look_every - worker->until_look, turns = worker->turns ? worker->turns : 1;
	double poll = worker->ticks_per_us * (POLL_NS / 1000);
	double turn = (double)passed / turns, most = 4 * worker->turn_ticks + worker->ticks_per_us;
	/* One that was interrupted is not a long one: the estimate grows by steps. */
	worker->turn_ticks = 0.75 * worker->turn_ticks + 0.25 * (turn < most ? turn : most);
	posta__worker_count(worker);
	worker->look_every = messages_until_look((double)passed / (messages ? messages : 1), poll / LOOKS_PER_POLL);
	worker->until_look = worker->look_every;
}

/* After the turn, if it is time. */
static void poll_later(struct posta__worker *worker)
{
	if ((double)(worker->look_ticks - worker->polled_ticks) <= worker->ticks_per_us * (POLL_NS / 1000))
		return;
	worker->poll_due = true;
	posta__poke(worker);
}

bool posta__worker_look(struct posta__worker *worker)
{
	if (worker->chain.to) { /* it is why we are asked */
		posta__chain_end(worker);
		if (--worker->until_look)
			return false;
	}
	if (POSTA__UNLIKELY(timeless(worker))) { /* what a turn does must not depend on the clock of the machine */
		if (worker->system->sim)
			return posta__sim_look(worker);
		posta__worker_count(worker);
		worker->look_every = worker->until_look = UINT32_MAX;
		return false;
	}
	uint64_t ticks = posta__ticks();
	if (worker->turns) /* the first look in this turn */
		worker->began_ticks = ticks;
	measure(worker, ticks - worker->look_ticks);
	worker->look_ticks = ticks;
	poll_later(worker);
	return (double)(ticks - worker->began_ticks) >
	       worker->ticks_per_us * (double)worker->system->options.turn_us_max;
}

/* Simulations: a seeded order of the ready ones. */
static void shuffle(struct posta__worker *worker)
{
	size_t ready = posta__run_count(worker, SHUFFLED_MAX);
	size_t skip = ready > 1 ? posta__worker_random(worker) % ready : 0;
	while (skip--)
		posta__run_push(worker, posta__run_pop(worker));
}

void posta__worker_attend(struct posta__worker *worker)
{
	/* Acquire: PAIRS with the release in posta__poke: what was put there before is seen below. */
	atomic_exchange_explicit(&worker->poked, false, memory_order_acquire);
	posta__worker_drain(worker);
	posta__balance_serve(worker);
	if (worker->poll_due) {
		worker->poll_due = false;
		posta__worker_poll(worker);
		posta__balance_gather(worker);
		posta__balance_offer(worker);
	}
	if (worker->shuffled) {
		shuffle(worker);
		posta__poke(worker); /* before each turn */
	}
	if (atomic_load_explicit(&worker->observing, memory_order_relaxed)) {
		posta__poke(worker);
		posta__observe_next(worker);
	}
}

/* Returns: whether somebody left something in the shared lines. */
static inline bool shared_lines(struct posta__worker *worker)
{
	return atomic_load_explicit(&worker->inbox, memory_order_relaxed) ||
	       atomic_load_explicit(&worker->adopt, memory_order_relaxed);
}

static bool work_waits(struct posta__worker *worker)
{
	return worker->run_head || worker->born || shared_lines(worker);
}

bool posta__worker_fall_asleep(struct posta__worker *worker)
{
	hush(worker);
	posta__pool_flush(worker);
	atomic_store_explicit(&worker->sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* PAIRS with the one in posta__worker_wake */
	if (!work_waits(worker) && !atomic_load_explicit(&worker->system->threads_stop, memory_order_relaxed))
		return true;
	atomic_store_explicit(&worker->sleeping, 0, memory_order_relaxed);
	return false;
}

static void arm_wake_timer(struct posta__worker *worker, uint64_t wait_ns)
{
	if (wait_ns == UINT64_MAX)
		return;
	ev_now_update(worker->loop);
	ev_timer_set(&worker->wake_timer, (double)wait_ns / 1e9, 0.);
	ev_timer_start(worker->loop, &worker->wake_timer);
}

void posta__worker_sleep(struct posta__worker *worker, uint64_t timeout_ns)
{
	uint64_t due = worker->system->options.virtual_clock ? UINT64_MAX : posta__timers_wait_ns(worker);
	uint64_t wait = due < timeout_ns ? due : timeout_ns;
	if (wait == 0 || !posta__worker_fall_asleep(worker))
		return;
	posta__count(&worker->counters.sleeps, 1);
	arm_wake_timer(worker, wait);
	ev_run(worker->loop, EVRUN_ONCE);
	ev_timer_stop(worker->loop, &worker->wake_timer);
	atomic_store_explicit(&worker->sleeping, 0, memory_order_relaxed);
	look_at_clock(worker); /* the loop has just been polled */
}

static bool spin(struct posta__worker *worker, int times)
{
	if (worker->system->workers < 2 || worker->dedicated)
		return false;
	for (int i = 0; i < times; i++) {
		if (work_waits(worker))
			return true;
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}
	return false;
}

static void rest(struct posta__worker *worker)
{
	posta__pool_flush(worker);
	posta__worker_poll(worker);
	posta__balance_gather(worker);
	if (work_waits(worker))
		return;
	posta__balance_ask(worker);
	if (!spin(worker, SPINS))
		posta__worker_sleep(worker, UINT64_MAX);
}

static void idle(struct posta__worker *worker)
{
	uint64_t began = posta__ticks();
	/* Who is answered at once does not pay for a look at the clock and the loop: that waits its turn. */
	if (!spin(worker, SPINS_FIRST))
		rest(worker);
	worker->look_ticks = posta__ticks();
	worker->talk.idle_ticks += worker->look_ticks - began;
	poll_later(worker);
}

static void *worker_main(void *argument)
{
	struct posta__worker *worker = argument;
	current_worker = worker;
	while (!atomic_load_explicit(&worker->system->threads_stop, memory_order_acquire))
		if (posta__worker_run(worker, 1024) == 0)
			idle(worker);
	current_worker = NULL;
	return NULL;
}

/* -- On the host's loop -- */

static size_t run_on_host(struct posta__worker *worker)
{
	struct posta__worker *before = current_worker;
	current_worker = worker;
	posta__worker_poll(worker);
	size_t turns = posta__worker_run(worker, 256);
	current_worker = before;
	return turns;
}

/* Before the loop blocks: work. Having worked, it does not block this time: the host may wait for what was done. */
static void on_prepare(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	(void)events;
	struct posta__worker *worker = prepare->data;
	size_t turns = run_on_host(worker);
	ev_timer_stop(loop, &worker->wake_timer);
	if (turns || !posta__worker_fall_asleep(worker)) {
		ev_idle_start(loop, &worker->idle);
		return;
	}
	ev_idle_stop(loop, &worker->idle);
	if (!worker->system->options.virtual_clock)
		arm_wake_timer(worker, posta__timers_wait_ns(worker));
}

static void on_check(struct ev_loop *loop, ev_check *check, int events)
{
	(void)loop, (void)events;
	struct posta__worker *worker = check->data;
	atomic_store_explicit(&worker->sleeping, 0, memory_order_relaxed);
}

static void on_idle(struct ev_loop *loop, ev_idle *watcher, int events)
{
	(void)loop, (void)watcher, (void)events; /* its being active keeps the loop from blocking */
}

static void watch_loop(struct posta__worker *worker)
{
	ev_io_init(&worker->wake_io, on_wake, worker->wake_fd, EV_READ);
	worker->wake_io.data = worker;
	ev_io_start(worker->loop, &worker->wake_io);
	ev_timer_init(&worker->wake_timer, on_wake_timer, 0., 0.);
	worker->wake_timer.data = worker;
	if (worker->drive != POSTA__DRIVE_HOST)
		return;
	ev_prepare_init(&worker->prepare, on_prepare);
	ev_check_init(&worker->check, on_check);
	ev_idle_init(&worker->idle, on_idle);
	worker->prepare.data = worker->check.data = worker;
	ev_prepare_start(worker->loop, &worker->prepare);
	ev_check_start(worker->loop, &worker->check);
}

static void unwatch_loop(struct posta__worker *worker)
{
	ev_io_stop(worker->loop, &worker->wake_io);
	ev_timer_stop(worker->loop, &worker->wake_timer);
	if (worker->drive != POSTA__DRIVE_HOST)
		return;
	ev_prepare_stop(worker->loop, &worker->prepare);
	ev_check_stop(worker->loop, &worker->check);
	ev_idle_stop(worker->loop, &worker->idle);
}

/* -- Life -- */

static void seed_random(struct posta__worker *worker)
{
	uint64_t state = worker->system->options.seed + worker->id * UINT64_C(0x9E3779B97F4A7C15);
	for (int i = 0; i < 2; i++) { /* splitmix64 */
		uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));
		z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
		worker->random[i] = (z ^ (z >> 31)) | 1;
	}
}

enum posta_err posta__worker_init(struct posta__worker *worker, struct posta_system *system, uint8_t id,
				  enum posta__drive drive, struct ev_loop *loop, struct posta_error *error)
{
	worker->system = system;
	worker->id = id;
	memcpy(&worker->own_block, &(uint8_t[2]){ id, 0 }, sizeof worker->own_block);
	worker->drive = drive;
	worker->run_tail = &worker->run_head;
	worker->born_at = &worker->born;
	worker->slots = system->slots.table;
	worker->slot_mask = system->slots.mask;
	posta__pool_init(worker);
	worker->ticks_per_us = TICKS_PER_US_GUESS;
	worker->look_every = worker->until_look = LOOK_EVERY_FIRST;
	worker->shuffled = system->options.virtual_clock && system->options.seed;
	atomic_store_explicit(&worker->poked, worker->shuffled, memory_order_relaxed);
	seed_random(worker);
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->wake_fd < 0)
		return posta_error_set(error, POSTA_EIO, "eventfd: %s: raise the limit of open files", strerror(errno));
	worker->loop = loop ? loop : ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!worker->loop)
		return posta_error_set(error, POSTA_EIO, "cannot make an event loop: %s", strerror(errno));
	worker->polled_ticks = worker->look_ticks = worker->born_ticks = worker->talk.since_ticks = posta__ticks();
	posta__worker_now(worker);
	watch_loop(worker);
	return POSTA_OK;
}

static void pin_to_cpu(pthread_t thread, int nth)
{
	cpu_set_t mask, one;
	if (sched_getaffinity(0, sizeof mask, &mask))
		return;
	nth %= CPU_COUNT(&mask);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &mask) || nth-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(thread, sizeof one, &one);
		return;
	}
}

enum posta_err posta__worker_start(struct posta__worker *worker, int cpu, struct posta_error *error)
{
	int failed = pthread_create(&worker->thread, NULL, worker_main, worker);
	if (failed)
		return posta_error_set(error, POSTA_EIO, "cannot start a thread: %s", strerror(failed));
	worker->thread_started = true;
	char name[16];
	snprintf(name, sizeof name, "%.11s-%u", worker->system->name, worker->id + 1u);
	pthread_setname_np(worker->thread, name);
	if (cpu >= 0)
		pin_to_cpu(worker->thread, cpu);
	return POSTA_OK;
}

void posta__worker_fini(struct posta__worker *worker)
{
	if (!worker->system)
		return;
	posta__timers_fini(worker);
	if (worker->loop) {
		unwatch_loop(worker);
		if (worker->drive != POSTA__DRIVE_HOST)
			ev_loop_destroy(worker->loop);
	}
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
}
