/* SPDX-License-Identifier: MIT */
/* Routes between embedded brokers, on a system that is stepped by hand. */
#include "actors/router/router.h"
#include "bridges/memory.h"

#include <posta/envelope.h>
#include <posta/router.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGES_MAX 4096

enum { MSG_PUBLISH = 1 };

/* One actor that publishes to topic "in" of broker "a" and reads what arrives at "out", "more" and "dead" of "b". */
struct scene {
	struct posta_system *system;
	struct posta_router *router;
	struct posta_bridge *a, *b;
	posta_ref driver;
	uint32_t subscriptions[3];
	struct posta_envelope *got[3][MESSAGES_MAX];
	unsigned count[3];
	unsigned letters, kept;
	enum posta_err reason;
	char words[POSTA_ERROR_TEXT_MAX];
};

static const char *const sinks[3] = { "out", "more", "dead" };

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct scene *scene = state;
	if (message->type == MSG_PUBLISH) {
		struct posta_envelope *envelope = *(struct posta_envelope **)posta_data(message);
		struct posta_target target = { .size = sizeof target, .topic = "in" };
		assert_int_equal(posta_bridge_publish(self, scene->a, &target, envelope, 0), POSTA_OK);
		posta_envelope_unref(envelope);
	} else if (message->type == POSTA_MSG_DELIVERY) {
		const struct posta_delivery *delivery = posta_data(message);
		for (int i = 0; i < 3; i++)
			if (delivery->token.subscription == scene->subscriptions[i] && scene->count[i] < MESSAGES_MAX)
				scene->got[i][scene->count[i]++] = posta_envelope_ref(delivery->envelope);
		posta_settle(self, delivery->token, POSTA_ACK);
	}
	return POSTA_OK;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct scene *scene = argument;
	for (int i = 0; i < 3; i++) {
		struct posta_source source = { .size = sizeof source, .topic = sinks[i], .group = "reader" };
		struct posta_error error;
		if (posta_bridge_subscribe(self, scene->b, &source, &scene->subscriptions[i], &error))
			fail_msg("%s", error.text);
	}
	return POSTA_OK;
}

static const struct posta_actor_class driver_class = { .name = "driver", .receive = receive, .start = start };

static void on_letter(void *context, const struct posta_route_letter *letter)
{
	struct scene *scene = context;
	scene->letters++;
	scene->kept += letter->kept;
	scene->reason = letter->reason;
	snprintf(scene->words, sizeof scene->words, "%s", letter->text);
}

static const char *bounds = "message_bytes_max: 1000"; /* of broker b, as the router has it */

static struct posta_router_config *config_of(const char *route)
{
	char text[2048];
	struct posta_error error = { POSTA_OK, false, "" };
	snprintf(text, sizeof text,
		 "brokers: { a: 'memory:a', b: { url: 'memory:b', %s } }\n"
		 "routes:\n  - name: r\n    from: { broker: a, topic: in, group: route }\n%s",
		 bounds, route);
	struct posta_router_config *config = posta_router_config_parse(text, strlen(text), "f", NULL, NULL, &error);
	if (!config)
		fail_msg("%s", error.text);
	return config;
}

static struct scene *begin(const char *route)
{
	struct scene *scene = calloc(1, sizeof *scene);
	struct posta_system_options options = { .size = sizeof options, .workers = POSTA_HOST_DRIVEN };
	struct posta_router_options router = { .size = sizeof router,
					       .dead_letter = on_letter,
					       .dead_letter_context = scene };
	struct posta_error error = { POSTA_OK, false, "" };
	assert_int_equal(posta_system_start(&options, &scene->system, &error), POSTA_OK);
	scene->a = posta_bridge_open(scene->system, "memory:a", NULL, &error);
	scene->b = posta_bridge_open(scene->system, "memory:b", NULL, &error);
	assert_non_null(scene->a);
	assert_non_null(scene->b);
	scene->driver = posta_system_spawn(scene->system, &driver_class, scene, NULL, &error);
	scene->router = posta_router_start(scene->system, config_of(route), &router, &error);
	if (!scene->router)
		fail_msg("%s", error.text);
	return scene;
}

static void finish(struct scene *scene)
{
	posta_bridge_close(scene->a, 0);
	posta_bridge_close(scene->b, 0);
	assert_int_equal(posta_system_stop(scene->system, 5000, NULL), POSTA_OK);
	posta_router_free(scene->router);
	for (int i = 0; i < 3; i++)
		for (unsigned j = 0; j < scene->count[i]; j++)
			posta_envelope_unref(scene->got[i][j]);
	free(scene);
}

static void publish(struct scene *scene, const char *type, const char *key, const char *body)
{
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, type);
	posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "test");
	posta_envelope_set_text(envelope, POSTA_ATTR_KEY, key);
	posta_envelope_set_body(envelope, body, strlen(body));
	posta_envelope_complete(envelope);
	assert_int_equal(posta_system_send(scene->system, scene->driver, MSG_PUBLISH, &envelope, sizeof envelope),
			 POSTA_OK);
}

static struct posta_route_status status_of(struct scene *scene)
{
	struct posta_route_status status = { .size = sizeof status };
	assert_true(posta_router_route_status(scene->router, 0, &status));
	return status;
}

struct wanted {
	struct scene *scene;
	unsigned received, out, more, dead;
};

static bool all_there(void *context)
{
	const struct wanted *wanted = context;
	struct posta_route_status status = status_of(wanted->scene);
	return status.received >= wanted->received && !status.in_flight && wanted->scene->count[0] >= wanted->out &&
	       wanted->scene->count[1] >= wanted->more && wanted->scene->count[2] >= wanted->dead;
}

static void wait_for(struct scene *scene, unsigned received, unsigned out, unsigned more, unsigned dead)
{
	struct wanted wanted = { scene, received, out, more, dead };
	if (!posta_system_run_until(scene->system, all_there, &wanted, 10000))
		fail_msg("received %u out %u more %u dead %u", (unsigned)status_of(scene).received, scene->count[0],
			 scene->count[1], scene->count[2]);
}

/* The body is not zero-terminated. */
static int number_of(const struct posta_envelope *envelope)
{
	struct posta_bytes body = posta_envelope_body(envelope);
	char text[32];
	snprintf(text, sizeof text, "%.*s", (int)body.len, (const char *)body.data);
	return atoi(text);
}

static void route__filter_and_set__change_what_passes(void **state)
{
	struct scene *scene =
		begin("    steps:\n"
		      "      - filter: type == \"yes\" and data.n > 1\n"
		      "      - set: { priority: high, header.from: \"{source}/{data.n}\", type: changed }\n"
		      "      - rename: { header.from: header.origin }\n"
		      "    to: { broker: b, topic: out, key: \"{topic}\" }\n");
	publish(scene, "yes", "k", "{\"n\": 1}");
	publish(scene, "no", "k", "{\"n\": 2}");
	publish(scene, "yes", "k", "{\"n\": 3}");
	wait_for(scene, 3, 1, 0, 0);
	const struct posta_envelope *got = scene->got[0][0];
	assert_string_equal(posta_envelope_text(got, POSTA_ATTR_TYPE), "changed");
	assert_string_equal(posta_envelope_text(got, POSTA_ATTR_KEY), "in");
	assert_int_equal(posta_envelope_priority(got), 9);
	assert_null(posta_envelope_header(got, "from").data);
	assert_memory_equal(posta_envelope_header(got, "origin").data, "test/3", 6);
	assert_memory_equal(posta_envelope_body(got).data, "{\"n\": 3}", 8);
	assert_int_equal(status_of(scene).filtered, 2);
	assert_int_equal(status_of(scene).sent, 1);
	finish(scene);
}

static void route__traceparent__each_target_has_a_span_of_its_own(void **state)
{
	static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	struct scene *scene = begin("    steps: [ { set: { traceparent: \"{data.parent}\" } } ]\n"
				    "    to: [ { broker: b, topic: out }, { broker: b, topic: more } ]\n");
	char body[100];
	snprintf(body, sizeof body, "{\"parent\": \"%s\"}", parent);
	publish(scene, "t", "k", body);
	wait_for(scene, 1, 1, 1, 0);
	const char *out = posta_envelope_text(scene->got[0][0], POSTA_ATTR_TRACEPARENT);
	const char *more = posta_envelope_text(scene->got[1][0], POSTA_ATTR_TRACEPARENT);
	assert_memory_equal(out, parent, 36);
	assert_memory_equal(more, parent, 36);
	assert_memory_not_equal(out + 36, parent + 36, 16);
	assert_memory_not_equal(more + 36, parent + 36, 16);
	assert_memory_not_equal(more + 36, out + 36, 16);
	finish(scene);
}

static void route__several_targets__all_get_it(void **state)
{
	struct scene *scene = begin("    to: [ { broker: b, topic: out }, { broker: b, topic: more } ]\n");
	for (int i = 0; i < 50; i++)
		publish(scene, "t", "k", "{}");
	wait_for(scene, 50, 50, 50, 0);
	assert_int_equal(status_of(scene).sent, 100);
	finish(scene);
}

static void route__many_keys__each_keeps_its_order(void **state)
{
	struct scene *scene = begin("    to: { broker: b, topic: out }\n    retry: { attempts: 3 }\n");
	int last[10];
	memset(last, 0xFF, sizeof last);
	for (int i = 0; i < 3000; i++) {
		char key[16], body[32];
		snprintf(key, sizeof key, "%d", i % 10);
		snprintf(body, sizeof body, "%d", i);
		publish(scene, "t", key, body);
	}
	wait_for(scene, 3000, 3000, 0, 0);
	for (int i = 0; i < 3000; i++) {
		int number = number_of(scene->got[0][i]);
		assert_true(number > last[number % 10]);
		last[number % 10] = number;
	}
	finish(scene);
}

static void route__no_room_at_the_bridge__waits_and_keeps_the_order(void **state)
{
	bounds = "pending_max: 1";
	struct scene *scene = begin("    to: { broker: b, topic: out }\n    retry: { attempts: 2 }\n");
	int last[4] = { -1, -1, -1, -1 };
	bounds = "message_bytes_max: 1000";
	for (int i = 0; i < 80; i++) {
		char key[16], body[32];
		snprintf(key, sizeof key, "%d", i % 4);
		snprintf(body, sizeof body, "%d", i);
		publish(scene, "t", key, body);
	}
	wait_for(scene, 80, 80, 0, 0);
	for (int i = 0; i < 80; i++) {
		int number = number_of(scene->got[0][i]);
		assert_true(number > last[number % 4]);
		last[number % 4] = number;
	}
	assert_true(status_of(scene).retried > 0);
	assert_int_equal(scene->letters, 0);
	finish(scene);
}

static void route__body_not_json__goes_to_dead_letter_and_the_flow_goes_on(void **state)
{
	struct scene *scene = begin("    steps: [ { filter: data.n > 1 } ]\n    to: { broker: b, topic: out }\n"
				    "    dead_letter: { broker: b, topic: dead }\n");
	publish(scene, "t", "k", "no json");
	publish(scene, "t", "k", "{\"n\": 2}");
	wait_for(scene, 2, 1, 0, 1);
	const struct posta_envelope *dead = scene->got[2][0];
	assert_memory_equal(posta_envelope_body(dead).data, "no json", 7);
	assert_memory_equal(posta_envelope_header(dead, "posta-reason").data, "EFORMAT", 7);
	assert_memory_equal(posta_envelope_header(dead, "posta-route").data, "r", 1);
	assert_int_equal(scene->letters, 1);
	assert_int_equal(scene->kept, 1);
	assert_non_null(strstr(scene->words, "not JSON"));
	finish(scene);
}

static void dead_letter__no_room_for_our_headers__goes_without(void **state)
{
	struct scene *scene = begin("    steps: [ { filter: data.n > 0 } ]\n    to: { broker: b, topic: out }\n"
				    "    dead_letter: { broker: b, topic: dead }\n");
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_body(envelope, "hola", 4);
	for (unsigned i = 0; i < POSTA_HEADERS_MAX; i++)
		assert_int_equal(posta_envelope_add_header(envelope, "h", "v", 1), POSTA_OK);
	assert_int_equal(posta_system_send(scene->system, scene->driver, MSG_PUBLISH, &envelope, sizeof envelope),
			 POSTA_OK);
	wait_for(scene, 1, 0, 0, 1);
	assert_int_equal(scene->kept, 1);
	finish(scene);
}

static void route__too_big__is_given_up_at_once_and_told(void **state)
{
	struct scene *scene =
		begin("    to: { broker: b, topic: out }\n    retry: { attempts: 9, initial: 1h, max: 1h }\n");
	char body[2001];
	memset(body, 'x', 2000);
	body[2000] = '\0';
	publish(scene, "t", "k", body);
	publish(scene, "t", "k", "{}");
	wait_for(scene, 2, 1, 0, 0);
	assert_int_equal(scene->letters, 1);
	assert_int_equal(scene->kept, 0);
	assert_int_equal(scene->reason, POSTA_ETOOBIG);
	assert_int_equal(status_of(scene).dead_lettered, 1);
	finish(scene);
}

static bool stopped(void *context)
{
	return posta_router_stopped(context);
}

static void stop__drains__and_ends(void **state)
{
	struct scene *scene = begin("    to: { broker: b, topic: out }\n");
	for (int i = 0; i < 200; i++)
		publish(scene, "t", "k", "{}");
	wait_for(scene, 200, 200, 0, 0);
	posta_router_stop(scene->router, 5000);
	assert_true(posta_system_run_until(scene->system, stopped, scene->router, 10000));
	assert_int_equal(status_of(scene).in_flight, 0);
	assert_false(status_of(scene).running);
	finish(scene);
}

/* -- A route that fails */

static void fail_route(struct scene *scene)
{
	posta_system_stop_actor(scene->system, scene->router->routes[0]->ref, POSTA_EIO);
}

static bool is_down(void *context)
{
	return status_of(context).restarting;
}

static void fail_and_see_it_down(struct scene *scene)
{
	fail_route(scene);
	assert_true(posta_system_run_until(scene->system, is_down, scene, 10000));
	assert_true(status_of(scene).running);
}

static bool is_up(void *context)
{
	return !status_of(context).restarting;
}

static void wait_for_restart(struct scene *scene)
{
	assert_true(posta_system_run_until(scene->system, is_up, scene, 10000));
}

static void publish_numbers(struct scene *scene, int from, int to)
{
	for (int i = from; i < to; i++) {
		char key[16], body[32];
		snprintf(key, sizeof key, "%d", i % 4);
		snprintf(body, sizeof body, "%d", i);
		publish(scene, "t", key, body);
	}
}

static void assert_each_once_in_order(struct scene *scene, int count)
{
	int next[4] = { 0, 1, 2, 3 };
	assert_int_equal(scene->count[0], count);
	for (int i = 0; i < count; i++) {
		int number = number_of(scene->got[0][i]);
		assert_int_equal(number, next[number % 4]);
		next[number % 4] += 4;
	}
}

static bool some_in_flight(void *context)
{
	return status_of(context).in_flight > 0;
}

static void route__fails_in_mid_flow__is_restarted_and_loses_nothing(void **state)
{
	struct scene *scene = begin("    to: { broker: b, topic: out }\n");
	publish_numbers(scene, 0, 4);
	wait_for(scene, 4, 4, 0, 0);
	posta__memory_refuse(scene->system, "b", UINT32_MAX); /* so that something is on its way when it fails */
	posta__memory_drop(scene->system, "b");
	publish_numbers(scene, 4, 400);
	assert_true(posta_system_run_until(scene->system, some_in_flight, scene, 10000));
	fail_and_see_it_down(scene);
	posta__memory_refuse(scene->system, "b", 0);
	publish_numbers(scene, 400, 800);
	wait_for(scene, 800, 800, 0, 0);
	assert_each_once_in_order(scene, 800);
	assert_int_equal(status_of(scene).restarts, 1);
	assert_false(status_of(scene).restarting);
	assert_int_equal(status_of(scene).redelivered, 0);
	assert_string_equal(status_of(scene).last_error, posta_strerror(POSTA_EIO));
	finish(scene);
}

static void route__fails_again_and_again__waits_longer_and_goes_on(void **state)
{
	struct scene *scene = begin("    to: { broker: b, topic: out }\n");
	for (unsigned i = 0; i < 3; i++) {
		publish_numbers(scene, 4 * (int)i, 4 * (int)i + 4);
		wait_for(scene, 4 * i + 4, 4 * i + 4, 0, 0);
		fail_and_see_it_down(scene);
		uint64_t from = posta_system_now_ns(scene->system);
		wait_for_restart(scene);
		assert_true(posta_system_now_ns(scene->system) - from >= (UINT64_C(40000000) << i)); /* of 50 << i ms */
	}
	publish_numbers(scene, 12, 16);
	wait_for(scene, 16, 16, 0, 0);
	assert_each_once_in_order(scene, 16);
	assert_int_equal(status_of(scene).restarts, 3);
	finish(scene);
}

static bool one_waits(void *context)
{
	return status_of(context).retried > 0;
}

static void route__fails_while_messages_wait__they_wait_again(void **state)
{
	bounds = "pending_max: 1";
	struct scene *scene = begin("    to: { broker: b, topic: out }\n    retry: { attempts: 2 }\n");
	bounds = "message_bytes_max: 1000";
	publish_numbers(scene, 0, 40);
	assert_true(posta_system_run_until(scene->system, one_waits, scene, 10000));
	fail_and_see_it_down(scene);
	wait_for(scene, 40, 40, 0, 0);
	assert_each_once_in_order(scene, 40);
	finish(scene);
}

static void stop__route_waits_to_be_restarted__ends_at_the_deadline(void **state)
{
	struct scene *scene = begin("    to: { broker: b, topic: out }\n");
	publish_numbers(scene, 0, 4);
	wait_for(scene, 4, 4, 0, 0);
	for (int i = 0; i < 3; i++) { /* the third wait is 200 ms at least */
		fail_and_see_it_down(scene);
		if (i < 2)
			wait_for_restart(scene);
	}
	posta_router_stop(scene->router, 1);
	assert_true(posta_system_run_until(scene->system, stopped, scene->router, 10000));
	assert_false(status_of(scene).running);
	assert_true(status_of(scene).drained);
	assert_int_equal(status_of(scene).restarts, 2);
	finish(scene);
}

static bool second_route_runs(void *context)
{
	struct posta_route_status status = { .size = sizeof status };
	struct scene *scene = context;
	return posta_router_route_status(scene->router, 1, &status) && !status_of(scene).running && status.running;
}

static void reload__changed_route__takes_over(void **state)
{
	struct scene *scene = begin("    to: { broker: b, topic: out }\n");
	struct posta_error error = { POSTA_OK, false, "" };
	publish(scene, "t", "k", "{}");
	wait_for(scene, 1, 1, 0, 0);
	assert_int_equal(posta_router_reload(scene->router, config_of("    to: { broker: b, topic: more }\n"), &error),
			 POSTA_OK);
	assert_true(posta_system_run_until(scene->system, second_route_runs, scene, 10000));
	publish(scene, "t", "k", "{}");
	wait_for(scene, 1, 1, 1, 0);
	assert_int_equal(scene->count[0], 1);
	finish(scene);
}

static bool one_route_runs(void *context)
{
	struct posta_route_status status = { .size = sizeof status };
	struct scene *scene = context;
	unsigned running = 0;
	for (size_t i = 0; posta_router_route_status(scene->router, i, &status); i++)
		running += status.running;
	return running == 1;
}

static void reload__many_thousand_times__does_not_grow(void **state)
{
	struct scene *scene = begin("    to: { broker: b, topic: out }\n");
	struct posta_route_status status = { .size = sizeof status };
	static const char *const routes[] = { "    to: { broker: b, topic: more }\n",
					      "    to: { broker: b, topic: out }\n" };
	for (unsigned i = 0; i < POSTA__SLOTS_MAX + 10; i++) {
		struct posta_error error = { POSTA_OK, false, "" };
		if (posta_router_reload(scene->router, config_of(routes[i % 2]), &error))
			fail_msg("%u: %s", i, error.text);
		assert_true(posta_system_run_until(scene->system, one_route_runs, scene, 10000));
	}
	assert_false(posta_router_route_status(scene->router, 2, &status));
	assert_ptr_equal(scene->router->files->next->next, NULL);
	publish(scene, "t", "k", "{}");
	struct wanted wanted = { scene, 0, 1, 0, 0 };
	assert_true(posta_system_run_until(scene->system, all_there, &wanted, 10000));
	finish(scene);
}

static void reload__same_file__touches_nothing(void **state)
{
	struct scene *scene = begin("    to: { broker: b, topic: out }\n");
	struct posta_route_status status = { .size = sizeof status };
	struct posta_error error = { POSTA_OK, false, "" };
	publish(scene, "t", "k", "{}");
	wait_for(scene, 1, 1, 0, 0);
	assert_int_equal(posta_router_reload(scene->router, config_of("    to: { broker: b, topic: out }\n"), &error),
			 POSTA_OK);
	publish(scene, "t", "k", "{}");
	wait_for(scene, 2, 2, 0, 0);
	assert_false(posta_router_route_status(scene->router, 1, &status));
	finish(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(route__filter_and_set__change_what_passes),
		cmocka_unit_test(route__traceparent__each_target_has_a_span_of_its_own),
		cmocka_unit_test(route__several_targets__all_get_it),
		cmocka_unit_test(route__many_keys__each_keeps_its_order),
		cmocka_unit_test(route__no_room_at_the_bridge__waits_and_keeps_the_order),
		cmocka_unit_test(route__body_not_json__goes_to_dead_letter_and_the_flow_goes_on),
		cmocka_unit_test(dead_letter__no_room_for_our_headers__goes_without),
		cmocka_unit_test(route__too_big__is_given_up_at_once_and_told),
		cmocka_unit_test(route__fails_in_mid_flow__is_restarted_and_loses_nothing),
		cmocka_unit_test(route__fails_again_and_again__waits_longer_and_goes_on),
		cmocka_unit_test(route__fails_while_messages_wait__they_wait_again),
		cmocka_unit_test(stop__drains__and_ends),
		cmocka_unit_test(stop__route_waits_to_be_restarted__ends_at_the_deadline),
		cmocka_unit_test(reload__changed_route__takes_over),
		cmocka_unit_test(reload__many_thousand_times__does_not_grow),
		cmocka_unit_test(reload__same_file__touches_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
