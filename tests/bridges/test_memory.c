/* SPDX-License-Identifier: MIT */
/* The memory broker beyond what every bridge keeps to: its faults, and bridges on several workers at once. */
#include "bridges/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <posta/bridge.h>
#include <posta/timer.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TOTAL 20000u
#define WINDOW 64u
#define PATIENCE_S 30

static const struct posta_target to_queue = { .size = sizeof to_queue, .queue = "work" };
static const struct posta_target to_topic = { .size = sizeof to_topic, .topic = "news" };
static const struct posta_source from_queue = { .size = sizeof from_queue, .queue = "work", .credit = 32 };
static const struct posta_source from_topic = { .size = sizeof from_topic, .topic = "news", .credit = 32 };

/* Shared by all actors of a test; what is read from outside is atomic. */
struct scene {
	struct posta_system *system;
	struct posta_bridge *bridges[4];
	_Atomic(uint32_t) confirmed, settled;
	_Atomic(uint32_t) seen[TOTAL];
	_Atomic(uint32_t) refused;
};

struct role {
	struct scene *scene;
	struct posta_bridge *bridge;
	const struct posta_target *target;
	const struct posta_source *source;
	uint32_t next, last;
};

static void publish_next(struct posta_actor *self, struct role *role)
{
	if (role->next == role->last)
		return;
	uint32_t number = role->next++;
	struct posta_envelope *envelope = posta_envelope_new();
	assert_non_null(envelope);
	assert_int_equal(posta_envelope_set_body(envelope, &number, sizeof number), POSTA_OK);
	assert_int_equal(posta_bridge_publish(self, role->bridge, role->target, envelope, number), POSTA_OK);
	posta_envelope_unref(envelope);
}

static enum posta_err producer_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < WINDOW; i++)
		publish_next(self, state);
	return POSTA_OK;
}

static enum posta_err producer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct role *role = state;
	if (message->type != POSTA_MSG_PUBLISHED)
		return POSTA_OK;
	const struct posta_published *published = posta_data(message);
	atomic_fetch_add(published->result ? &role->scene->refused : &role->scene->confirmed, 1);
	publish_next(self, role);
	return POSTA_OK;
}

static enum posta_err consumer_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct role *role = state;
	uint32_t subscription;
	return posta_bridge_subscribe(self, role->bridge, role->source, &subscription, NULL);
}

static enum posta_err consumer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct role *role = state;
	if (message->type != POSTA_MSG_DELIVERY)
		return POSTA_OK;
	const struct posta_delivery *delivery = posta_data(message);
	uint32_t number;
	memcpy(&number, posta_envelope_body(delivery->envelope).data, sizeof number);
	if (!atomic_fetch_add(&role->scene->seen[number], 1))
		atomic_fetch_add(&role->scene->settled, 1);
	posta_settle(self, delivery->token, number % 97 == 13 && !delivery->redelivered ? POSTA_REQUEUE : POSTA_ACK);
	return POSTA_OK;
}

static const struct posta_actor_class producer = { .name = "producer",
						   .start = producer_start,
						   .receive = producer_receive };
static const struct posta_actor_class consumer = { .name = "consumer",
						   .start = consumer_start,
						   .receive = consumer_receive };

/* Waits on a condition of threads of the system's own, letting them run; no longer than the test's patience. */
static bool reaches(const _Atomic(uint32_t) *counter, uint32_t goal)
{
	time_t last = time(NULL) + PATIENCE_S;
	while (atomic_load(counter) < goal && time(NULL) < last)
		sched_yield();
	return atomic_load(counter) >= goal;
}

static void scene_start(struct scene *scene, int workers)
{
	struct posta_error error;
	const struct posta_system_options options = { .size = sizeof options, .workers = workers };
	const struct posta_bridge_options quick = {
		.size = sizeof quick,
		.backoff = { .initial_ms = 5, .max_ms = 20, .factor = 2, .jitter = POSTA_JITTER_NONE },
	};
	memset(scene, 0, sizeof *scene);
	assert_int_equal(posta_system_start(&options, &scene->system, &error), POSTA_OK);
	for (unsigned i = 0; i < 4; i++) {
		scene->bridges[i] = posta_bridge_open(scene->system, "memory:shop", &quick, &error);
		assert_non_null(scene->bridges[i]);
	}
}

static void scene_stop(struct scene *scene)
{
	for (unsigned i = 0; i < 4; i++)
		posta_bridge_close(scene->bridges[i], 100);
	assert_int_equal(posta_system_stop(scene->system, 10000, NULL), POSTA_OK);
}

static struct scene scene;

static void bridges__on_several_workers_with_drops__lose_nothing(void **state)
{
	(void)state;
	struct role roles[4];
	scene_start(&scene, 3);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t half = TOTAL / 2;
		roles[i] = (struct role){ .scene = &scene,
					  .bridge = scene.bridges[i],
					  .target = &to_queue,
					  .source = &from_queue,
					  .next = i % 2 * half,
					  .last = (i % 2 + 1) * half };
		posta_system_spawn(scene.system, i < 2 ? &producer : &consumer, &roles[i], NULL, NULL);
	}
	for (uint32_t goal = TOTAL / 5; goal < TOTAL; goal += TOTAL / 5) {
		assert_true(reaches(&scene.settled, goal));
		posta__memory_drop(scene.system, "shop");
	}
	assert_true(reaches(&scene.confirmed, TOTAL));
	assert_true(reaches(&scene.settled, TOTAL));
	assert_int_equal(atomic_load(&scene.refused), 0);
	struct posta_bridge_status status = { .size = sizeof status };
	posta_bridge_status(scene.bridges[0], &status);
	assert_true(status.connects >= 2);
	scene_stop(&scene);
}

/* A group of one subscription is not forgotten with a connection: else it would read from the beginning again. */
static void drop__group_of_its_own__goes_on_where_it_was(void **state)
{
	(void)state;
	scene_start(&scene, 1);
	struct role reader = { .scene = &scene, .bridge = scene.bridges[0], .source = &from_topic };
	struct role first = { .scene = &scene, .bridge = scene.bridges[1], .target = &to_topic, .next = 0, .last = 10 };
	struct role later = {
		.scene = &scene, .bridge = scene.bridges[1], .target = &to_topic, .next = 10, .last = 11
	};
	struct posta_bridge_status status = { .size = sizeof status };
	posta_system_spawn(scene.system, &consumer, &reader, NULL, NULL);
	posta_system_spawn(scene.system, &producer, &first, NULL, NULL);
	assert_true(reaches(&scene.settled, 10));
	do {
		sched_yield();
		posta_bridge_status(scene.bridges[0], &status);
	} while (status.unsettled);
	posta__memory_drop(scene.system, "shop");
	posta_system_spawn(scene.system, &producer, &later, NULL, NULL);
	assert_true(reaches(&scene.settled, 11));
	for (unsigned i = 0; i < 11; i++)
		assert_int_equal(atomic_load(&scene.seen[i]), 1);
	scene_stop(&scene);
}

static void refuse_topic__publication__is_refused(void **state)
{
	(void)state;
	scene_start(&scene, 1);
	posta__memory_refuse_topic(scene.system, "shop", "work");
	struct role role = { .scene = &scene, .bridge = scene.bridges[0], .target = &to_queue, .next = 0, .last = 3 };
	posta_system_spawn(scene.system, &producer, &role, NULL, NULL);
	assert_true(reaches(&scene.refused, 3));
	posta__memory_refuse_topic(scene.system, "shop", NULL);
	struct role again = { .scene = &scene, .bridge = scene.bridges[1], .target = &to_queue, .next = 3, .last = 6 };
	posta_system_spawn(scene.system, &producer, &again, NULL, NULL);
	assert_true(reaches(&scene.confirmed, 3));
	scene_stop(&scene);
}

static void refuse__that_many_connections__then_one_gets_in(void **state)
{
	(void)state;
	struct posta_error error;
	const struct posta_system_options options = { .size = sizeof options, .workers = 1 };
	const struct posta_bridge_options quick = {
		.size = sizeof quick,
		.backoff = { .initial_ms = 5, .max_ms = 20, .factor = 2, .jitter = POSTA_JITTER_NONE },
	};
	memset(&scene, 0, sizeof scene);
	assert_int_equal(posta_system_start(&options, &scene.system, &error), POSTA_OK);
	posta__memory_refuse(scene.system, "shop", 3);
	scene.bridges[0] = posta_bridge_open(scene.system, "memory://shop", &quick, &error);
	struct role role = { .scene = &scene, .bridge = scene.bridges[0], .target = &to_queue, .next = 0, .last = 1 };
	posta_system_spawn(scene.system, &producer, &role, NULL, NULL);
	assert_true(reaches(&scene.confirmed, 1));
	struct posta_bridge_status status = { .size = sizeof status };
	posta_bridge_status(scene.bridges[0], &status);
	assert_int_equal(status.restarts, 3);
	assert_int_equal(status.connects, 1);
	assert_non_null(strstr(status.last_error, "refuses connections"));
	scene_stop(&scene);
}

static void target__not_for_memory__says_why(void **state)
{
	(void)state;
	struct posta_error error;
	scene_start(&scene, 1);
	const struct posta_target exchange = { .size = sizeof exchange, .exchange = "e", .routing_key = "k" };
	assert_null(posta_target_prepare(scene.bridges[0], &exchange, &error));
	assert_int_equal(error.code, POSTA_EUNSUPPORTED);
	const char *const bindings[] = { "e", "k", NULL };
	const struct posta_source bound = { .size = sizeof bound, .queue = "q", .bindings = bindings };
	uint32_t subscription;
	assert_int_equal(posta_bridge_subscribe(NULL, scene.bridges[0], &bound, &subscription, &error),
			 POSTA_EUNSUPPORTED);
	const struct posta_target both = { .size = sizeof both, .topic = "t", .queue = "q" };
	assert_null(posta_target_prepare(scene.bridges[0], &both, &error));
	assert_int_equal(error.code, POSTA_EINVAL);
	const struct posta_target wild = { .size = sizeof wild, .topic = "a/+" };
	assert_null(posta_target_prepare(scene.bridges[0], &wild, &error));
	assert_int_equal(error.code, POSTA_EINVAL);
	const struct posta_target late = { .size = sizeof late, .topic = "t", .delay_ms = 5 };
	assert_null(posta_target_prepare(scene.bridges[0], &late, &error));
	assert_int_equal(error.code, POSTA_EINVAL);
	assert_non_null(strstr(error.text, "queue"));
	scene_stop(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridges__on_several_workers_with_drops__lose_nothing),
		cmocka_unit_test(drop__group_of_its_own__goes_on_where_it_was),
		cmocka_unit_test(refuse_topic__publication__is_refused),
		cmocka_unit_test(refuse__that_many_connections__then_one_gets_in),
		cmocka_unit_test(target__not_for_memory__says_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
