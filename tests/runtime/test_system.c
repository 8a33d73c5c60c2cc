/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <ev.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void start__bad_options__says_which(void **state)
{
	(void)state;
	static const struct {
		struct posta_system_options options;
		const char *words;
	} cases[] = {
		{ { .workers = -7 }, "workers" },
		{ { .workers = 100000 }, "workers" },
		{ { .dedicated_max = 100000 }, "dedicated_max" },
		{ { .workers = 1, .virtual_clock = true }, "virtual_clock" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct posta_system *system = NULL;
		struct posta_error error;
		assert_int_equal(posta_system_start(&cases[i].options, &system, &error), POSTA_EINVAL);
		assert_non_null(strstr(error.text, cases[i].words));
		assert_null(system);
	}
}

static void stop__null__is_ok(void **state)
{
	(void)state;
	assert_int_equal(posta_system_stop(NULL, 0, NULL), POSTA_OK);
}

/* An allocator that counts, and fails the n-th call. */
struct counting {
	size_t live, calls, fail_at;
};

static void *counting_alloc(void *context, size_t alignment, size_t size)
{
	struct counting *counting = context;
	if (++counting->calls == counting->fail_at)
		return NULL;
	void *memory = aligned_alloc(alignment < 16 ? 16 : alignment, (size + 63) & ~(size_t)63);
	if (memory)
		counting->live += size;
	return memory;
}

static void counting_free(void *context, void *memory, size_t size)
{
	((struct counting *)context)->live -= size;
	free(memory);
}

static enum posta_err use_a_system(struct counting *counting)
{
	const struct posta_system_options options = {
		.workers = POSTA_HOST_DRIVEN,
		.virtual_clock = true,
		.actors_max = 8192,
		.allocator = { .alloc = counting_alloc, .free = counting_free, .context = counting },
	};
	struct posta_system *system;
	enum posta_err result = posta_system_start(&options, &system, NULL);
	if (result)
		return result;
	struct kit_log *log = calloc(1, sizeof *log);
	posta_ref ref = posta_system_spawn(system, &kit_noter, log, NULL, NULL);
	for (int i = 0; i < 100; i++)
		posta_system_send(system, ref, KIT_NOTE, log, (size_t)i * 50);
	kit_settle(system);
	posta_system_stop(system, 1000, NULL);
	free(log);
	return POSTA_OK;
}

static void allocator__everything_comes_back(void **state)
{
	(void)state;
	struct counting counting = { 0 };
	assert_int_equal(use_a_system(&counting), POSTA_OK);
	assert_int_equal(counting.live, 0);
}

static void allocator__each_call_failed_once__nothing_leaks(void **state)
{
	(void)state;
	struct counting whole = { 0 };
	use_a_system(&whole);
	for (size_t n = 1; n <= whole.calls; n++) {
		struct counting counting = { .fail_at = n };
		use_a_system(&counting);
		assert_int_equal(counting.live, 0);
	}
}

static bool counted(void *context)
{
	return ((struct kit_log *)context)->count >= 3;
}

/* The host's own loop drives; another thread sends while the loop sleeps. */
struct stranger {
	struct posta_system *system;
	posta_ref to;
};

static void *send_three(void *argument)
{
	struct stranger *stranger = argument;
	for (int i = 0; i < 3; i++)
		posta_system_send(stranger->system, stranger->to, KIT_NOTE, NULL, 0);
	return NULL;
}

static void host_loop__wakes_for_foreign_sends(void **state)
{
	(void)state;
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	const struct posta_system_options options = { .workers = POSTA_HOST_DRIVEN, .loop = loop };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	struct kit_log *log = calloc(1, sizeof *log);
	struct stranger stranger = { system, kit_spawn(system, log, NULL) };
	pthread_t thread;
	pthread_create(&thread, NULL, send_three, &stranger);
	assert_true(posta_system_run_until(system, counted, log, 10000));
	pthread_join(thread, NULL);
	kit_stop(system);
	ev_loop_destroy(loop);
	free(log);
}

static void two_systems__share_nothing(void **state)
{
	(void)state;
	struct posta_system *a = kit_system(NULL), *b = kit_system(NULL);
	struct kit_log la = { 0 }, lb = { 0 };
	posta_ref ra = kit_spawn(a, &la, NULL), rb = kit_spawn(b, &lb, NULL);
	kit_send(a, ra, 1);
	kit_send(b, rb, 2);
	kit_settle(a);
	assert_int_equal(la.count, 1);
	assert_int_equal(lb.count, 0);
	kit_settle(b);
	assert_int_equal(lb.count, 1);
	kit_stop(a);
	kit_stop(b);
}

/* A deep chain of children: stopping it must not recurse as deep. */
static enum posta_err deep_receive(struct posta_actor *self, void *state, struct posta_message *message);
static const struct posta_actor_class deep_class = { .receive = deep_receive };

static enum posta_err deep_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t depth;
	memcpy(&depth, posta_data(message), sizeof depth);
	++*(unsigned *)state;
	return depth-- ? posta_send(self, posta_spawn(self, &deep_class, state), 1, &depth, sizeof depth) : POSTA_OK;
}

static void stop__deep_tree__ends(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	unsigned spawned = 0;
	uint32_t depth = 100000;
	posta_system_send(system, posta_system_spawn(system, &deep_class, &spawned, NULL, NULL), 1, &depth,
			  sizeof depth);
	kit_settle(system);
	assert_int_equal(spawned, 100001);
	kit_stop(system);
}

/* A handler that blocks keeps its own thread busy, not the others'. */
static _Atomic(bool) let_go, blocked;

static enum posta_err block(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	blocked = true;
	while (!let_go)
		sched_yield();
	return POSTA_OK;
}

static const struct posta_actor_class blocker = { .name = "blocker", .receive = block };

static void dedicated__blocks_nobody_else(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = 1 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	let_go = blocked = false;
	const struct posta_spawn_options dedicated = { .dedicated = true };
	posta_ref ref = posta_system_spawn(system, &blocker, NULL, &dedicated, NULL);
	posta_system_send(system, ref, 1, NULL, 0);
	while (!blocked)
		sched_yield();
	struct kit_log *log = calloc(1, sizeof *log);
	posta_ref other = kit_spawn(system, log, NULL);
	uint32_t type;
	assert_int_equal(posta_system_ask(system, other, KIT_UNHANDLED, NULL, 0, 5000, &type, NULL, NULL), POSTA_EDEAD);
	let_go = true;
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	free(log);
}

/* A thread of its own is taken for an actor that cannot be made after all: it is there for the next one. */
static void dedicated__spawn_fails__thread_is_free_again(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = 1, .dedicated_max = 1 };
	struct posta_system *system;
	struct posta_error error;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	struct kit_log *log = calloc(1, sizeof *log), *own = calloc(1, sizeof *own); /* a thread each */
	const struct posta_spawn_options plain = { .name = "taken" };
	kit_spawn(system, log, &plain);
	struct posta_spawn_options dedicated = { .name = "taken", .dedicated = true };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(posta_system_spawn(system, &kit_noter, log, &dedicated, &error), POSTA_NOBODY);
		assert_int_equal(error.code, POSTA_EEXISTS);
	}
	dedicated.name = "free";
	kit_spawn(system, own, &dedicated);
	dedicated.name = "one too many";
	assert_int_equal(posta_system_spawn(system, &kit_noter, log, &dedicated, &error), POSTA_NOBODY);
	assert_int_equal(error.code, POSTA_EFULL);
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	free(own);
	free(log);
}

/* Work of some length spreads over the workers; who sends to whom does not matter. */
static enum posta_err work(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t left;
	memcpy(&left, posta_data(message), sizeof left);
	uint64_t end = posta_now_ns(self) + 20000;
	while (posta_now_ns(self) < end)
		;
	if (left--)
		return posta_send(self, posta_self(self), 1, &left, sizeof left);
	atomic_fetch_add((_Atomic(uint32_t) *)state, 1);
	return POSTA_OK;
}

static const struct posta_actor_class worker_class = { .name = "worker", .receive = work };

static void balance__long_handlers_move(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = 2 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	_Atomic(uint32_t) done = 0;
	uint32_t left = 100;
	for (int i = 0; i < 64; i++)
		posta_system_send(system, posta_system_spawn(system, &worker_class, &done, NULL, NULL), 1, &left,
				  sizeof left);
	while (done < 64)
		sched_yield();
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	assert_true(metrics.moved > 0);
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED true
#elif defined(__has_feature)
#define INSTRUMENTED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define INSTRUMENTED false
#endif

/* Two that talk, born on different workers by parents which are pinned there. */
enum { TALKS = 300000 };

static _Atomic(posta_ref) first_talker, second_talker;

static enum posta_err talk(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	uint32_t left;
	memcpy(&left, posta_data(message), sizeof left);
	if (left--)
		return posta_send(self, posta_self(self) == first_talker ? second_talker : first_talker, 1, &left,
				  sizeof left);
	blocked = true;
	return POSTA_OK;
}

static const struct posta_actor_class talker = { .name = "talker", .receive = talk };

static enum posta_err nest(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	_Atomic(posta_ref) *ref = state;
	*ref = posta_spawn(self, &talker, NULL);
	return POSTA_OK;
}

static const struct posta_actor_class nest_class = { .name = "nest", .receive = nest };

static void hatch(struct posta_system *system, _Atomic(posta_ref) *ref, int worker)
{
	const struct posta_spawn_options pinned = { .pinned = true, .worker = worker };
	*ref = POSTA_NOBODY;
	posta_system_send(system, posta_system_spawn(system, &nest_class, ref, &pinned, NULL), 1, NULL, 0);
	while (!*ref)
		sched_yield();
}

static void balance__talkers_gather(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = 2 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	blocked = false;
	hatch(system, &first_talker, 1);
	hatch(system, &second_talker, 2);
	uint32_t left = TALKS;
	posta_system_send(system, first_talker, 1, &left, sizeof left);
	while (!blocked)
		sched_yield();
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	if (!INSTRUMENTED) { /* a handler that sanitizers slow down is worth more than what crosses: rightly it stays */
		assert_true(metrics.moved > 0);
		assert_true(metrics.remote < TALKS / 2);
	}
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
}

static void stop__actor_never_yields_its_end__is_reported(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = POSTA_HOST_DRIVEN };
	struct posta_system *system;
	struct posta_stop_report report;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	struct kit_log log = { .fail_start = POSTA_EPENDING };
	posta_ref ref = kit_spawn(system, &log, NULL);
	kit_send(system, ref, KIT_NOTE);
	assert_int_equal(posta_system_stop(system, 0, &report), POSTA_ETIMEDOUT);
	assert_int_equal(report.actors_left, 1);
	assert_true(report.messages_left >= 1);
}

static void keep_text(void *context, int level, const char *event, const char *text)
{
	(void)level, (void)event;
	snprintf(context, 64, "%s", text);
}

static void log__words_from_outside__stay_one_line(void **state)
{
	(void)state;
	char text[64] = "";
	const struct posta_system_options options = {
		.workers = POSTA_HOST_DRIVEN, .log = keep_text, .log_context = text, .log_level = POSTA_LOG_ERROR
	};
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	posta_log(system, POSTA_LOG_ERROR, "test", "id=%s \303\241", "1\r\nx error id=2\033[0m\177");
	assert_string_equal(text, "id=1  x error id=2 [0m  \303\241");
	assert_int_equal(posta_system_stop(system, 0, NULL), POSTA_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start__bad_options__says_which),
		cmocka_unit_test(stop__null__is_ok),
		cmocka_unit_test(allocator__everything_comes_back),
		cmocka_unit_test(allocator__each_call_failed_once__nothing_leaks),
		cmocka_unit_test(host_loop__wakes_for_foreign_sends),
		cmocka_unit_test(two_systems__share_nothing),
		cmocka_unit_test(stop__deep_tree__ends),
		cmocka_unit_test(dedicated__blocks_nobody_else),
		cmocka_unit_test(balance__long_handlers_move),
		cmocka_unit_test(balance__talkers_gather),
		cmocka_unit_test(stop__actor_never_yields_its_end__is_reported),
		cmocka_unit_test(dedicated__spawn_fails__thread_is_free_again),
		cmocka_unit_test(log__words_from_outside__stay_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
