/* SPDX-License-Identifier: MIT */
#include "actors/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct posta_event *read(const char *json)
{
	struct posta_event *event = NULL;
	struct posta_error error = { 0 };
	if (posta_event_from_json(json, strlen(json), &event, &error))
		fail_msg("%s: %s", json, error.text);
	return event;
}

static bool contains(const struct posta_event *event, const char *part)
{
	char *json;
	assert_int_equal(posta_event_to_json(event, &json, NULL), POSTA_OK);
	bool found = strstr(json, part) != NULL;
	free(json);
	return found;
}

static void create__has_what_a_cloud_event_needs(void **state)
{
	(void)state;
	struct posta_event *event =
		posta_event_create(POSTA_EVENT_RESERVA_CREADA, " {\"reservaId\": \"123\"} ", "micro-estudiantes");
	assert_non_null(event);
	assert_string_equal(posta_event_type(event), "reserva.creada");
	assert_string_equal(posta_event_source(event), "micro-estudiantes");
	assert_int_equal(strlen(posta_event_id(event)), 36);
	assert_int_equal(posta_event_id(event)[14], '7');
	assert_string_equal(posta_event_data(event, NULL), "{\"reservaId\": \"123\"}");
	char text[4];
	assert_string_equal(posta_event_data_text(event, "reservaId", text, sizeof text), "123");
	assert_null(posta_event_data_text(event, "reservaId", text, 3));
	assert_null(posta_event_data_text(event, "nada", text, sizeof text));
	assert_true(posta_event_time(event) > 1600000000000);
	posta_event_unref(event);
}

static void ref__lives_until_the_last_unref(void **state)
{
	(void)state;
	struct posta_event *event = read("{\"type\":\"t\",\"subject\":\"sala-1\",\"data\":{\"a\":1}}");
	assert_ptr_equal(posta_event_ref(event), event);
	posta_event_unref(event);
	assert_string_equal(posta_event_subject(event), "sala-1");
	posta_event_unref(event);
	posta_event_unref(NULL);
}

static void create__bad_input__is_refused(void **state)
{
	(void)state;
	assert_null(posta_event_create(NULL, "{}", "s"));
	assert_null(posta_event_create("", "{}", "s"));
	assert_null(posta_event_create("t", "{", "s"));
	assert_null(posta_event_create("t", "", "s"));
}

static void json__is_what_a_node_handler_parses(void **state)
{
	(void)state;
	struct posta_event *event = posta_event_create("t", "{\"a\":1}", "s");
	posta_event_set_time(event, 1764000000123);
	posta_event_set_id(event, "id-1");
	char *json;
	size_t len;
	assert_int_equal(posta_event_to_json(event, &json, &len), POSTA_OK);
	assert_int_equal(len, strlen(json));
	assert_string_equal(json, "{\"specversion\":\"1.0\",\"id\":\"id-1\",\"source\":\"s\",\"type\":\"t\","
				  "\"datacontenttype\":\"application/json\",\"time\":\"2025-11-24T16:00:00.123Z\","
				  "\"data\":{\"a\":1},\"timestamp\":\"2025-11-24T16:00:00.123Z\"}");
	struct posta_event *back = read(json);
	assert_string_equal(posta_event_id(back), "id-1");
	assert_null(posta_event_header(back, "timestamp"));
	assert_int_equal(posta_event_time(back), 1764000000123);
	posta_event_unref(back);
	posta_event_unref(event);
	free(json);
}

static void read__plain_node_event__is_completed(void **state)
{
	(void)state;
	struct posta_event *event = read("{\"type\":\"t\",\"source\":\"s\",\"data\":{\"a\":[1]},\"timestamp\":\"2025-"
					 "11-24T16:00:00.000Z\",\"mas\":{\"x\":5}}");
	assert_string_equal(posta_event_type(event), "t");
	assert_string_equal(posta_event_data(event, NULL), "{\"a\":[1]}");
	assert_int_equal(strlen(posta_event_id(event)), 36);
	assert_string_equal(posta_event_header(event, "mas"), "{\"x\":5}");
	posta_event_unref(event);
}

static void read__unchanged__gives_back_the_very_text(void **state)
{
	(void)state;
	static const char text[] = "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\",\"source\":\"s\",\"n\":5,"
				   "\"data\":null, \"o\":{} }";
	struct posta_event *event = read(text);
	assert_true(contains(event, text));
	assert_int_equal(posta_event_set_subject(event, "sub"), POSTA_OK);
	assert_false(contains(event, text));
	assert_true(contains(event, "\"subject\":\"sub\""));
	posta_event_unref(event);
}

static void read__other_json__is_the_data(void **state)
{
	(void)state;
	struct posta_event *event = read("[1,2]");
	assert_string_equal(posta_event_type(event), "");
	assert_string_equal(posta_event_data(event, NULL), "[1,2]");
	posta_event_unref(event);
	event = read("{\"reservaId\":\"1\"}");
	assert_string_equal(posta_event_data(event, NULL), "{\"reservaId\":\"1\"}");
	posta_event_unref(event);
}

static void read__no_json__says_where(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "hola", "{\"type\":", "{\"a\":1}x", "\xff" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct posta_event *event;
		struct posta_error error = { 0 };
		assert_int_equal(posta_event_from_json(bad[i], strlen(bad[i]), &event, &error), POSTA_EFORMAT);
		assert_non_null(strstr(error.text, "at byte"));
	}
}

#define EVENT "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\",\"source\":\"s\""

static void read__data_that_is_no_json__is_refused(void **state)
{
	static const char *const bodies[] = {
		EVENT ",\"data_base64\":\"AAECAw==\"}",
		EVENT ",\"data_base64\":\"ICAg\"}",
		EVENT ",\"datacontenttype\":\"text/plain\",\"data\":\"hola\"}",
	};
	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct posta_event *event = NULL;
		struct posta_error error = { 0 };
		assert_int_equal(posta_event_from_json(bodies[i], strlen(bodies[i]), &event, &error), POSTA_EFORMAT);
		assert_non_null(strstr(error.text, "the data is not JSON, at byte"));
		assert_null(event);
	}
}

static void key__explicit_then_subject_then_id(void **state)
{
	(void)state;
	struct posta_event *event = posta_event_create("t", NULL, "s");
	assert_string_equal(posta_event_key(event), posta_event_id(event));
	posta_event_set_subject(event, "sub");
	assert_string_equal(posta_event_key(event), "sub");
	posta_event_set_key(event, "k");
	assert_string_equal(posta_event_key(event), "k");
	posta_event_set_key(event, NULL);
	assert_string_equal(posta_event_key(event), "sub");
	posta_event_unref(event);
}

static void publish_form__carries_key_and_seals(void **state)
{
	(void)state;
	struct posta_event *event = posta_event_create("t", "1", "s");
	struct posta_envelope *envelope, *delivered = posta_envelope_new();
	posta_event_set_correlation_id(event, "c-1");
	posta_event_set_header(event, "tenant", "unam");
	assert_int_equal(posta_event_set_header(event, "X-Tenant", "unam"), POSTA_EINVAL);
	assert_int_equal(posta__event_to_envelope(event, &envelope), POSTA_OK);
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_KEY), posta_event_id(event));
	assert_int_equal(posta_event_set_id(event, "x"), POSTA_ESTATE);

	struct posta_bytes body = posta_envelope_body(envelope);
	posta_envelope_set_body(delivered, body.data, body.len);
	posta_envelope_set_text(delivered, POSTA_ATTR_KEY, "native");
	struct posta_event *back;
	assert_int_equal(posta__event_from_envelope(delivered, &back, NULL), POSTA_OK);
	assert_string_equal(posta_event_correlation_id(back), "c-1");
	assert_string_equal(posta_event_header(back, "tenant"), "unam");
	assert_string_equal(posta_event_key(back), "native");
	posta_event_unref(back);
	posta_envelope_unref(delivered);
	posta_envelope_unref(envelope);
	posta_event_unref(event);
}

static void publish_form__traceparent__names_a_new_span(void **state)
{
	(void)state;
	static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	struct posta_event *made = posta_event_create("t", "{}", "s"), *event = NULL;
	struct posta_envelope *envelope;
	struct posta_error error;
	posta_event_set_traceparent(made, parent);
	for (int hop = 0; hop < 2; hop++) { /* the second one passes on the text that came */
		assert_int_equal(posta__event_to_envelope(made, &envelope), POSTA_OK);
		assert_int_equal(posta__event_from_envelope(envelope, &event, &error), POSTA_OK);
		const char *from = posta_event_traceparent(made), *to = posta_event_traceparent(event);
		assert_memory_equal(to, parent, 36);
		assert_memory_not_equal(to + 36, from + 36, 16);
		assert_string_equal(to + 52, "-01");
		posta_envelope_unref(envelope);
		posta_event_unref(made);
		made = event;
	}
	posta_event_unref(made);
}

static void read__binary_cloud_event__by_its_attributes(void **state)
{
	(void)state;
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "t");
	posta_envelope_set_text(envelope, POSTA_ATTR_ID, "1");
	posta_envelope_set_body(envelope, "{\"a\":1}", 7);
	struct posta_event *event;
	assert_int_equal(posta__event_from_envelope(envelope, &event, NULL), POSTA_OK);
	assert_string_equal(posta_event_type(event), "t");
	assert_string_equal(posta_event_data(event, NULL), "{\"a\":1}");
	posta_event_unref(event);
	posta_envelope_set_body(envelope, "\x01\x02", 2);
	struct posta_error error;
	assert_int_equal(posta__event_from_envelope(envelope, &event, &error), POSTA_EFORMAT);
	posta_envelope_unref(envelope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create__has_what_a_cloud_event_needs),
		cmocka_unit_test(ref__lives_until_the_last_unref),
		cmocka_unit_test(create__bad_input__is_refused),
		cmocka_unit_test(json__is_what_a_node_handler_parses),
		cmocka_unit_test(read__plain_node_event__is_completed),
		cmocka_unit_test(read__unchanged__gives_back_the_very_text),
		cmocka_unit_test(read__other_json__is_the_data),
		cmocka_unit_test(read__no_json__says_where),
		cmocka_unit_test(read__data_that_is_no_json__is_refused),
		cmocka_unit_test(key__explicit_then_subject_then_id),
		cmocka_unit_test(publish_form__carries_key_and_seals),
		cmocka_unit_test(publish_form__traceparent__names_a_new_span),
		cmocka_unit_test(read__binary_cloud_event__by_its_attributes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
