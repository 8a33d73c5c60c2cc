/* SPDX-License-Identifier: MIT */
#include "random_envelope.h"

#include "bridges/codec/msgpack.h"

#include <pthread.h>

static struct posta_envelope *with_body(const char *content_type, const char *body)
{
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, content_type);
	posta_envelope_set_body(envelope, body, strlen(body));
	return envelope;
}

static void assert_text(struct posta_envelope *envelope, const char *path, const char *expected)
{
	struct posta_value value = posta_envelope_field(envelope, path);
	if (value.kind != POSTA_VALUE_TEXT || value.text.len != strlen(expected) ||
	    memcmp(value.text.data, expected, value.text.len) != 0)
		fail_msg("%s: kind %d, %.*s", path, (int)value.kind, (int)value.text.len,
			 (const char *)value.text.data);
}

static void assert_kind(struct posta_envelope *envelope, const char *path, enum posta_value_kind kind)
{
	if (posta_envelope_field(envelope, path).kind != kind)
		fail_msg("%s: kind %d", path, (int)posta_envelope_field(envelope, path).kind);
}

static const char sample[] =
	"{\"reservaId\":\"123\",\"n\":-5,\"big\":9007199254740993,\"x\":1.5,\"ok\":true,\"no\":null,\"esc\":"
	"\"a\\n\\u00f1\","
	"\"list\":[{\"a\":1},{\"a\":[10,20]}],\"a.b\":\"dotted\",\"a\":{\"b\":\"nested\",\"c\":\"d\"}}";

static void has_the_sample(struct posta_envelope *envelope)
{
	assert_text(envelope, "data.reservaId", "123");
	assert_int_equal(posta_envelope_field(envelope, "data.n").integer, -5);
	assert_int_equal(posta_envelope_field(envelope, "data.big").integer, INT64_C(9007199254740993));
	assert_true(posta_envelope_field(envelope, "data.x").number == 1.5);
	assert_kind(envelope, "data.x", POSTA_VALUE_DOUBLE);
	assert_true(posta_envelope_field(envelope, "data.ok").boolean);
	assert_kind(envelope, "data.no", POSTA_VALUE_NULL);
	assert_text(envelope, "data.esc", "a\nñ");
	assert_text(envelope, "data.esc", "a\nñ");
	assert_int_equal(posta_envelope_field(envelope, "data.list.1.a.1").integer, 20);
	assert_kind(envelope, "data.list.2", POSTA_VALUE_NONE);
	assert_kind(envelope, "data.list.x", POSTA_VALUE_NONE);
	assert_kind(envelope, "data.list.", POSTA_VALUE_NONE);
	assert_kind(envelope, "data.list.18446744073709551616", POSTA_VALUE_NONE);
	assert_kind(envelope, "data.list", POSTA_VALUE_JSON);
	assert_text(envelope, "data.a.b", "dotted");
	assert_text(envelope, "data.a.c", "d");
	assert_kind(envelope, "data.missing", POSTA_VALUE_NONE);
	assert_kind(envelope, "data.reservaId.x", POSTA_VALUE_NONE);
	assert_kind(envelope, "data", POSTA_VALUE_JSON);
}

static void field__attributes__come_first(void **state)
{
	struct posta_envelope *envelope =
		with_body("application/json", "{\"type\":\"body\",\"source\":\"micro\",\"priority\":3,\"attempts\":2}");
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "attribute");
	posta_envelope_set_text(envelope, POSTA_ATTR_KEY, "k");
	posta_envelope_add_header(envelope, "x.y", "v", 1);
	assert_text(envelope, "type", "attribute");
	assert_text(envelope, "key", "k");
	assert_text(envelope, "partitionkey", "k");
	assert_text(envelope, "content_type", "application/json");
	assert_text(envelope, "header.x.y", "v");
	assert_kind(envelope, "header.z", POSTA_VALUE_NONE);
	assert_text(envelope, "source", "micro");
	assert_int_equal(posta_envelope_field(envelope, "priority").integer, 3);
	assert_int_equal(posta_envelope_field(envelope, "attempts").integer, 2);
	posta_envelope_set_priority(envelope, 9);
	assert_int_equal(posta_envelope_field(envelope, "priority").integer, 9);
	assert_kind(envelope, "subject", POSTA_VALUE_NONE);
	posta_envelope_unref(envelope);
}

static void field__times__are_text(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	assert_kind(envelope, "time", POSTA_VALUE_NONE);
	posta_envelope_set_time(envelope, INT64_C(1795514400000));
	posta_envelope_set_expiry(envelope, 0);
	assert_text(envelope, "time", "2026-11-24T10:00:00.000Z");
	assert_text(envelope, "expiry", "1970-01-01T00:00:00.000Z");
	posta_envelope_set_time(envelope, INT64_C(1795514400001));
	assert_text(envelope, "time", "2026-11-24T10:00:00.001Z");
	assert_ptr_equal(posta_envelope_field(envelope, "time").text.data,
			 posta_envelope_field(envelope, "time").text.data);
	posta_envelope_unref(envelope);
}

static void field__json_body__is_walked(void **state)
{
	struct posta_envelope *envelope = with_body("application/json", sample);
	has_the_sample(envelope);
	posta_envelope_unref(envelope);
	envelope = with_body(NULL, sample);
	has_the_sample(envelope);
	posta_envelope_unref(envelope);
}

static void field__msgpack_body__is_walked(void **state)
{
	void *packed;
	size_t len;
	assert_int_equal(posta__json_to_msgpack(sample, sizeof sample - 1, &packed, &len, NULL), POSTA_OK);
	for (int typed = 0; typed < 2; typed++) {
		struct posta_envelope *envelope = posta_envelope_new();
		posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, typed ? "application/msgpack" : NULL);
		posta_envelope_set_body(envelope, packed, len);
		has_the_sample(envelope);
		posta_envelope_unref(envelope);
	}
	free(packed);
}

static void field__event_in_the_body__data_is_its_member(void **state)
{
	static const char *const bodies[] = {
		"{\"specversion\":\"1.0\",\"id\":\"7\",\"type\":\"t\",\"data\":{\"a\":\"x\"}}",
		"{\"id\":\"7\",\"type\":\"t\",\"timestamp\":\"2026-11-24T10:00:00Z\",\"data\":{\"a\":\"x\"}}",
	};
	for (size_t i = 0; i < 2; i++) {
		struct posta_envelope *envelope = with_body("application/cloudevents+json", bodies[i]);
		assert_text(envelope, "type", "t");
		assert_text(envelope, "id", "7");
		assert_text(envelope, "data.a", "x");
		assert_kind(envelope, "data", POSTA_VALUE_JSON);
		posta_envelope_unref(envelope);
	}
	struct posta_envelope *envelope = with_body(NULL, "{\"data\":{\"a\":\"x\"}}");
	assert_text(envelope, "data.data.a", "x");
	posta_envelope_unref(envelope);
}

static void field__other_bodies__have_none(void **state)
{
	static const char *const bodies[] = { "", "plain", "{\"a\":", "\xFF\xFE", "{\"a\":1} x" };
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct posta_envelope *envelope = with_body("application/json", bodies[i]);
		assert_kind(envelope, "data.a", POSTA_VALUE_NONE);
		assert_kind(envelope, "a", POSTA_VALUE_NONE);
		posta_envelope_unref(envelope);
	}
	struct posta_envelope *envelope = with_body("text/plain", "hola");
	assert_text(envelope, "data", "hola");
	posta_envelope_set_body(envelope, "\xFF", 1);
	assert_kind(envelope, "data", POSTA_VALUE_NONE);
	posta_envelope_unref(envelope);
}

static void field__body_changes__answers_change(void **state)
{
	struct posta_envelope *envelope = with_body(NULL, "{\"a\":1}");
	assert_int_equal(posta_envelope_field(envelope, "data.a").integer, 1);
	posta_envelope_set_body(envelope, "{\"a\":2}", 7);
	assert_int_equal(posta_envelope_field(envelope, "data.a").integer, 2);
	posta_envelope_unref(envelope);
}

static void *ask(void *context)
{
	struct posta_envelope *envelope = context;
	for (int i = 0; i < 200; i++) {
		assert_text(envelope, "data.esc", "a\nñ");
		assert_text(envelope, "time", "2026-11-24T10:00:00.000Z");
	}
	posta_envelope_unref(envelope);
	return NULL;
}

static void field__shared__may_be_asked_by_many(void **state)
{
	for (int round = 0; round < 20; round++) {
		pthread_t threads[4];
		struct posta_envelope *envelope = with_body("application/json", sample);
		posta_envelope_set_time(envelope, INT64_C(1795514400000));
		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, ask, posta_envelope_ref(envelope)), 0);
		posta_envelope_unref(envelope);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(field__attributes__come_first),
		cmocka_unit_test(field__times__are_text),
		cmocka_unit_test(field__json_body__is_walked),
		cmocka_unit_test(field__msgpack_body__is_walked),
		cmocka_unit_test(field__event_in_the_body__data_is_its_member),
		cmocka_unit_test(field__other_bodies__have_none),
		cmocka_unit_test(field__body_changes__answers_change),
		cmocka_unit_test(field__shared__may_be_asked_by_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
