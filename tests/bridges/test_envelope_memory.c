/* SPDX-License-Identifier: MIT */
/* Every allocation fails once, in turn: nothing leaks, nothing half-done is left, and the error says so. */
#include "random_envelope.h"

#include "bridges/codec/cloudevents.h"
#include "bridges/codec/msgpack.h"

#define ALLOCATIONS_MAX 2000

static int left = -1; /* allocations until one fails; -1: none does */

static int fails(void)
{
	return left >= 0 && left-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

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

static struct posta_envelope *sample(void)
{
	struct posta_envelope *envelope = posta_envelope_new();
	static char big[3000];
	memset(big, 'b', sizeof big);
	posta_envelope_set_text(envelope, POSTA_ATTR_ID, "1");
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "t");
	posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "s");
	posta_envelope_set(envelope, POSTA_ATTR_KEY, "\xFF", 1);
	posta_envelope_set(envelope, POSTA_ATTR_SUBJECT, big, sizeof big);
	posta_envelope_add_header(envelope, "a\tb", "\xFF", 1);
	posta_envelope_add_header(envelope, "id", big, sizeof big);
	posta_envelope_add_header(envelope, "id", "x", 1);
	posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json");
	posta_envelope_set_body(envelope, "{\"a\":\"x\\n\",\"b\":[1,2.5]}", 23);
	return envelope;
}

typedef enum posta_err operation(struct posta_envelope *envelope);

static enum posta_err edit(struct posta_envelope *envelope)
{
	struct posta_envelope *copy = posta_envelope_ref(envelope);
	enum posta_err err = posta_envelope_edit(&copy);
	if (err)
		assert_ptr_equal(copy, envelope);
	posta_envelope_unref(copy);
	return err;
}

static enum posta_err change(struct posta_envelope *envelope)
{
	char value[2000] = "v";
	enum posta_err err = posta_envelope_set(envelope, POSTA_ATTR_TRACESTATE, value, sizeof value);
	if (!err)
		err = posta_envelope_put_header(envelope, "id", value, sizeof value);
	if (!err)
		err = posta_envelope_set_body(envelope, value, sizeof value);
	return err;
}

static enum posta_err receive(void *context, const char *name, const struct posta_bytes *values, size_t count)
{
	struct posta_envelope *to = context;
	enum posta_err err = POSTA_OK;
	for (size_t i = 0; !err && i < count; i++)
		err = posta__wire_header_in(to, POSTA__MQTT5, name, strlen(name), values[i].data, values[i].len);
	return err;
}

static enum posta_err pass(struct posta_envelope *envelope, enum posta__protocol protocol, enum posta_format format)
{
	struct posta__wire_body body;
	struct posta_envelope *to = posta_envelope_new();
	enum posta_err err = to ? posta__wire_encode(envelope, protocol, format, receive, to, &body) : POSTA_ENOMEM;
	if (err) {
		posta_envelope_unref(to);
		return err;
	}
	err = posta_envelope_set(to, POSTA_ATTR_CONTENT_TYPE, body.content_type.data, body.content_type.len);
	if (!err)
		err = posta_envelope_set_body(to, body.data, body.len);
	posta__wire_body_fini(&body);
	if (!err)
		err = posta__wire_finish(&to, protocol);
	posta_envelope_unref(to);
	return err;
}

static enum posta_err binary(struct posta_envelope *envelope)
{
	return pass(envelope, POSTA__MQTT5, POSTA_FORMAT_BINARY);
}

static enum posta_err structured(struct posta_envelope *envelope)
{
	return pass(envelope, POSTA__MQTT5, POSTA_FORMAT_STRUCTURED);
}

static enum posta_err json(struct posta_envelope *envelope)
{
	char *text;
	size_t len;
	struct posta_envelope *to = NULL;
	struct posta_error error;
	enum posta_err err = posta_envelope_to_json(envelope, &text, &len);
	if (err)
		return err;
	err = posta_envelope_from_json(text, len, &to, &error);
	if (err)
		assert_null(to);
	free(text);
	posta_envelope_unref(to);
	return err;
}

static enum posta_err msgpack(struct posta_envelope *envelope)
{
	void *data;
	size_t len;
	struct posta_envelope *to = NULL;
	enum posta_err err = posta_envelope_to_msgpack(envelope, &data, &len);
	if (err)
		return err;
	err = posta_envelope_from_msgpack(data, len, &to, NULL);
	free(data);
	posta_envelope_unref(to);
	return err;
}

static enum posta_err convert(struct posta_envelope *envelope)
{
	void *packed;
	char *text;
	size_t len;
	struct posta_bytes body = posta_envelope_body(envelope);
	enum posta_err err = posta__json_to_msgpack(body.data, body.len, &packed, &len, NULL);
	if (err)
		return err;
	err = posta__msgpack_to_json(packed, len, &text, &len, NULL);
	if (!err)
		free(text);
	free(packed);
	return err;
}

/* A field that memory is short for is none. */
static enum posta_err field(struct posta_envelope *envelope)
{
	return posta_envelope_field(envelope, "data.a").kind == POSTA_VALUE_TEXT ? POSTA_OK : POSTA_ENOMEM;
}

static void sweep(operation *run)
{
	for (int n = 0; n < ALLOCATIONS_MAX; n++) {
		left = -1;
		struct posta_envelope *envelope = sample();
		left = n;
		enum posta_err err = run(envelope);
		bool done = left >= 0;
		left = -1;
		assert_int_equal(err, done ? POSTA_OK : POSTA_ENOMEM);
		assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_ID), "1");
		posta_envelope_unref(envelope);
		if (done) {
			assert_true(n > 0);
			return;
		}
	}
	fail();
}

static void every_operation__memory_short__fails_whole(void **state)
{
	static operation *const operations[] = { edit, change, binary, structured, json, msgpack, convert, field };
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
		sweep(operations[i]);
}

static void new__memory_short__is_null(void **state)
{
	left = 0;
	struct posta_envelope *envelope = posta_envelope_new();
	left = -1;
	assert_null(envelope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new__memory_short__is_null),
		cmocka_unit_test(every_operation__memory_short__fails_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
