/* SPDX-License-Identifier: MIT */
#include "services.h"

static void subscribe(struct scene *scene, const char *filter, struct notes *notes,
		      const struct posta_consume_options *options)
{
	struct posta_error error = { 0 };
	if (!posta_telemetry_subscribe(scene->telemetry, filter, on_metric, notes, options, &error))
		fail_msg("%s", error.text);
	kit_settle(scene->system);
}

static void health__is_retained(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	scene_begin(&scene);
	assert_int_equal(posta_telemetry_publish_health(scene.telemetry, "micro", POSTA_DEGRADED, on_end, &notes),
			 POSTA_OK);
	kit_settle(scene.system);
	assert_int_equal(notes.ended, 1);
	subscribe(&scene, "servicios/health/+", &notes, NULL);
	assert_int_equal(notes.count, 1);
	assert_non_null(strstr(notes.seen[0], "{\"service\":\"micro\",\"status\":\"degraded\",\"timestamp\":\"2"));
	notes_free(&notes);
	scene_end(&scene);
}

static void api_metric__has_endpoint_time_and_status(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "servicios/api/micro", &notes, NULL);
	assert_int_equal(posta_telemetry_publish_api_metric(scene.telemetry, "micro", "/reservas", 45, 200, NULL, NULL),
			 POSTA_OK);
	assert_int_equal(posta_telemetry_publish_api_metric(scene.telemetry, "a/+", "/reservas", 45, 200, NULL, NULL),
			 POSTA_EINVAL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 1);
	assert_non_null(strstr(notes.seen[0],
			       "\"endpoint\":\"/reservas\",\"responseTime\":45,\"statusCode\":200,\"timestamp\":\"2"));
	notes_free(&notes);
	scene_end(&scene);
}

static void metric__gets_the_timestamp_it_lacks(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "m/#", &notes, NULL);
	static const char *const bodies[] = { "{}", "{\"a\":1}", "{\"timestamp\":5}", "7" };
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(posta_telemetry_publish_metric(scene.telemetry, "m/x", bodies[i], NULL, NULL, NULL),
				 POSTA_OK);
	assert_int_equal(posta_telemetry_publish_metric(scene.telemetry, "m/x", "{", NULL, NULL, NULL), POSTA_EFORMAT);
	assert_int_equal(posta_telemetry_publish_metric(scene.telemetry, "m/#", "{}", NULL, NULL, NULL), POSTA_EINVAL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 4);
	assert_memory_equal(notes.seen[0], "{\"timestamp\":\"2", 15);
	assert_memory_equal(notes.seen[1], "{\"a\":1,\"timestamp\":\"2", 21);
	assert_string_equal(notes.seen[2], "{\"timestamp\":5}");
	assert_string_equal(notes.seen[3], "7");
	notes_free(&notes);
	scene_end(&scene);
}

static void overlapping_filters__each_handler_gets_it(void **state)
{
	(void)state;
	struct scene scene;
	struct notes one = { 0 }, all = { 0 };
	struct posta_error error;
	scene_begin(&scene);
	subscribe(&scene, "m/+", &one, NULL);
	subscribe(&scene, "#", &all, NULL);
	assert_null(posta_telemetry_subscribe(scene.telemetry, "m/#/x", on_metric, &one, NULL, &error));
	posta_telemetry_publish_metric(scene.telemetry, "m/x", "1", NULL, NULL, NULL);
	kit_settle(scene.system);
	assert_int_equal(one.count, 1);
	assert_int_equal(all.count, 1);
	notes_free(&one);
	notes_free(&all);
	scene_end(&scene);
}

static void body__not_json__is_told_and_the_flow_goes_on(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "m", &notes,
		  &(struct posta_consume_options){ .qos = 1, .on_dead = on_dead, .on_dead_context = &notes });
	publish_raw(&scene, POSTA_MESSAGING_MQTT, "m", "on");
	publish_raw(&scene, POSTA_MESSAGING_MQTT, "m", "{\"on\":true}");
	assert_int_equal(notes.dead, 1);
	assert_int_equal(notes.dead_reason, POSTA_EFORMAT);
	assert_int_equal(notes.count, 1);
	notes_free(&notes);
	scene_end(&scene);
}

static void broker_away__the_last_100_wait_and_older_ones_are_told(void **state)
{
	(void)state;
	struct scene scene = { .system = kit_system(NULL) };
	struct notes sent = { 0 }, notes = { 0 };
	struct posta_connection_status status;
	char body[16];
	posta__memory_refuse(scene.system, "field", 1000000);
	scene_begin_with(&scene, scene.system, (struct posta_messaging_options){ 0 });
	for (int i = 0; i < 150; i++) {
		snprintf(body, sizeof body, "%d", i);
		assert_int_equal(posta_telemetry_publish_metric(scene.telemetry, "m", body, NULL, on_end, &sent),
				 POSTA_OK);
	}
	kit_settle(scene.system);
	assert_int_equal(sent.ended, 50);
	assert_int_equal(sent.end, POSTA_EFULL);
	assert_int_equal(posta_telemetry_connection_status(scene.telemetry, &status), POSTA_OK);
	assert_false(status.connected);
	assert_int_equal(status.metrics_buffered, 100);
	assert_int_equal(status.metrics_dropped, 50);
	posta_connection_status_fini(&status);
	struct posta_error error;
	assert_non_null(posta_telemetry_subscribe(scene.telemetry, "m", on_metric, &notes, NULL, &error));
	posta__memory_refuse(scene.system, "field", 0);
	for (int i = 0; i < 700 && notes.count < 100; i++)
		posta_system_advance(scene.system, 100);
	kit_settle(scene.system);
	assert_int_equal(sent.ended, 150);
	assert_int_equal(sent.end, POSTA_OK);
	if (notes.count) { /* the subscription may have come after the first ones */
		assert_string_equal(notes.seen[notes.count - 1], "149");
	}
	assert_int_equal(posta_telemetry_connection_status(scene.telemetry, &status), POSTA_OK);
	assert_int_equal(status.metrics_buffered, 0);
	posta_connection_status_fini(&status);
	notes_free(&notes);
	scene_end(&scene);
}

static void status__as_json_has_what_the_seed_shows(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "servicios/health/+", &notes, NULL);
	char *json = posta_telemetry_connection_status_json(scene.telemetry);
	assert_memory_equal(json, "{\"connected\":true,\"clientId\":\"telemetry-", 39);
	assert_non_null(strstr(
		json,
		"\"brokerUrl\":\"memory:field\",\"subscriptions\":[\"servicios/health/+\"],\"metricsBuffered\":0,"));
	free(json);
	json = posta_messaging_connection_status_json(scene.messaging);
	assert_memory_equal(json, "{\"eventBus\":{\"connected\":true", 29);
	assert_non_null(strstr(json, "},\"messageQueue\":{\"connected\":true"));
	free(json);
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(health__is_retained),
		cmocka_unit_test(api_metric__has_endpoint_time_and_status),
		cmocka_unit_test(metric__gets_the_timestamp_it_lacks),
		cmocka_unit_test(overlapping_filters__each_handler_gets_it),
		cmocka_unit_test(body__not_json__is_told_and_the_flow_goes_on),
		cmocka_unit_test(broker_away__the_last_100_wait_and_older_ones_are_told),
		cmocka_unit_test(status__as_json_has_what_the_seed_shows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
