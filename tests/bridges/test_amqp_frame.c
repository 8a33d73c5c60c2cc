/* SPDX-License-Identifier: MIT */
/*
 * The pure parts of the AMQP bridge: the look at hostile bytes, properties and envelopes, which acknowledgements are
 * written.
 */
#include "bridges/amqp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct posta__amqp_limits limits = { .frame_max = 4096, .channel_max = 10 };

static enum posta__amqp_cut cut(const uint8_t *bytes, size_t len, struct posta__amqp_frame *frame)
{
	const char *why = NULL;

	return posta__amqp_frame_cut(bytes, len, &limits, frame, &why);
}

/* -- frames */

static void cut__byte_by_byte__one_frame_at_its_end(void **state)
{
	(void)state;
	uint8_t bytes[64] = { 0 };
	struct posta__amqp_frame frame;

	memcpy(bytes + 7, "payload", 7);
	posta__amqp_frame_close(bytes, AMQP_FRAME_BODY, 3, 7);
	for (size_t len = 0; len < 15; len++)
		assert_int_equal(cut(bytes, len, &frame), POSTA__AMQP_CUT_MORE);
	assert_int_equal(cut(bytes, 15, &frame), POSTA__AMQP_CUT_FRAME);
	assert_int_equal(cut(bytes, 64, &frame), POSTA__AMQP_CUT_FRAME);
	assert_int_equal(frame.type, AMQP_FRAME_BODY);
	assert_int_equal(frame.channel, 3);
	assert_int_equal(frame.size, 7);
	assert_memory_equal(frame.payload, "payload", 7);
}

static void cut__hostile_head__refused_before_its_payload(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint8_t bytes[8];
	} heads[] = {
		{ "type", { 7, 0, 1, 0, 0, 0, 0 } },
		{ "channel", { 1, 0, 11, 0, 0, 0, 4 } },
		{ "size", { 3, 0, 1, 0, 0, 0x0F, 0xF9 } },
		{ "huge", { 3, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF } },
		{ "heartbeat with a payload", { 8, 0, 0, 0, 0, 0, 1 } },
		{ "heartbeat of a channel", { 8, 0, 1, 0, 0, 0, 0 } },
		{ "another protocol", { 'A', 'M', 'Q', 'P', 0, 1, 0, 0 } },
		{ "http", { 'H', 'T', 'T', 'P', '/', '1', '.', '1' } },
	};
	struct posta__amqp_frame frame;

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
		if (cut(heads[i].bytes, 7, &frame) != POSTA__AMQP_CUT_BAD)
			fail_msg("%s was let through", heads[i].name);
	static const uint8_t largest[7] = { 3, 0, 1, 0, 0, 0x0F, 0xF8 };

	assert_int_equal(cut(largest, 7, &frame), POSTA__AMQP_CUT_MORE);
}

static void cut__no_end_byte__refused(void **state)
{
	(void)state;
	uint8_t bytes[8] = { 8, 0, 0, 0, 0, 0, 0, 0xCD };
	struct posta__amqp_frame frame;

	assert_int_equal(cut(bytes, 8, &frame), POSTA__AMQP_CUT_BAD);
}

/* -- tables */

/* A table in a table, depth times. Returns: its length. */
static size_t nest(uint8_t *out, unsigned depth)
{
	size_t inner = depth > 1 ? nest(out + 6, depth - 1) : 0;

	if (!inner) {
		posta__amqp_put32(out, 0);
		return 4;
	}
	posta__amqp_put32(out, (uint32_t)inner + 2);
	out[4] = 0;
	out[5] = 'F';
	return inner + 6;
}

static void table__as_deep_as_allowed__passes_and_no_deeper(void **state)
{
	(void)state;
	static uint8_t bytes[60000];
	size_t len = nest(bytes, POSTA__AMQP_TABLE_DEPTH_MAX);

	assert_true(posta__amqp_table_ok(bytes, len));
	len = nest(bytes, POSTA__AMQP_TABLE_DEPTH_MAX + 1);
	assert_false(posta__amqp_table_ok(bytes, len));
	len = nest(bytes, 9000);
	assert_false(posta__amqp_table_ok(bytes, len));
}

static void table__cut_short_anywhere__refused(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0,   0,   0, 23, 1, 'a', 'S', 0,   0,   0, 2, 'x', 'y', 1,
					 'b', 'I', 0, 0,  0, 7,   1,   'c', 't', 1, 1, 'd', 'V' };

	assert_true(posta__amqp_table_ok(bytes, sizeof bytes));
	for (size_t len = 0; len < sizeof bytes; len++)
		assert_false(posta__amqp_table_ok(bytes, len));
}

static void table__unknown_kind_or_inner_length__refused(void **state)
{
	(void)state;
	static const uint8_t kind[] = { 0, 0, 0, 3, 1, 'a', '?' };
	static const uint8_t longer[] = { 0, 0, 0, 8, 1, 'a', 'S', 0, 0, 0, 2, 'x', 'y', 'z' };
	static const uint8_t array[] = { 0, 0, 0, 9, 1, 'a', 'A', 0, 0, 0, 9, 't', 1 };

	assert_false(posta__amqp_table_ok(kind, sizeof kind));
	assert_false(posta__amqp_table_ok(longer, sizeof longer));
	assert_false(posta__amqp_table_ok(array, sizeof array));
}

static void properties__second_word_of_flags__refused(void **state)
{
	(void)state;
	static const uint8_t more[] = { 0x80, 0x01, 0x00, 0x00, 1, 'a' };
	static const uint8_t fine[] = { 0x80, 0x00, 1, 'a' };
	static const uint8_t cut_off[] = { 0x80, 0x00, 2, 'a' };

	assert_true(posta__amqp_properties_ok(fine, sizeof fine));
	assert_false(posta__amqp_properties_ok(more, sizeof more));
	assert_false(posta__amqp_properties_ok(cut_off, sizeof cut_off));
	assert_false(posta__amqp_properties_ok(fine, 1));
}

static void method__not_for_a_client__refused(void **state)
{
	(void)state;
	uint8_t payload[64] = { 0 };
	struct posta__amqp_frame frame = { .type = AMQP_FRAME_METHOD, .payload = payload, .size = sizeof payload };
	amqp_method_number_t method;

	posta__amqp_put32(payload, AMQP_QUEUE_DECLARE_METHOD);
	assert_false(posta__amqp_method_ok(&frame, &method));
	posta__amqp_put32(payload, 0xFFFFFFFF);
	assert_false(posta__amqp_method_ok(&frame, &method));
	posta__amqp_put32(payload, AMQP_BASIC_ACK_METHOD);
	assert_true(posta__amqp_method_ok(&frame, &method));
	frame.size = 3;
	assert_false(posta__amqp_method_ok(&frame, &method));
}

/* -- properties and envelopes */

static enum posta_err encode(const struct posta_envelope *envelope, enum posta_format format, uint8_t *out, size_t size,
			     size_t *len)
{
	uint8_t scratch_bytes[4096];
	struct posta__amqp_scratch scratch = { scratch_bytes, sizeof scratch_bytes, 0 };
	struct posta__wire_body body = { 0 };
	const char *why = NULL;
	enum posta_err code = posta__amqp_properties_encode(envelope, format, INT64_C(1000000), &scratch, out, size,
							    len, &body, &why);

	if (!code)
		posta__wire_body_fini(&body);
	return code;
}

static struct posta_envelope *decode(const void *bytes, size_t len, enum posta_err expected)
{
	amqp_pool_t pool;
	struct posta_envelope *envelope = NULL;
	const char *why = "";

	init_amqp_pool(&pool, 4096);
	enum posta_err code =
		posta__amqp_properties_decode((amqp_bytes_t){ len, (void *)(uintptr_t)bytes }, amqp_cstring_bytes("rk"),
					      INT64_C(1000000), &pool, &envelope, &why);

	assert_int_equal(code, expected);
	empty_amqp_pool(&pool);
	return envelope;
}

static void encode__native_fields__are_the_protocols_own(void **state)
{
	(void)state;
	struct posta_envelope *e = posta_envelope_new();
	uint8_t out[2000];
	size_t len = 0;
	amqp_pool_t pool;
	void *decoded;

	posta_envelope_set_text(e, POSTA_ATTR_ID, "id");
	posta_envelope_set_text(e, POSTA_ATTR_TYPE, "type");
	posta_envelope_set_text(e, POSTA_ATTR_CONTENT_TYPE, "text/plain");
	posta_envelope_set_time(e, 1764000000123);
	posta_envelope_set_priority(e, 9);
	posta_envelope_set_expiry(e, 1000000 + 1500);
	assert_int_equal(encode(e, POSTA_FORMAT_BINARY, out, sizeof out, &len), POSTA_OK);
	init_amqp_pool(&pool, 4096);
	assert_true(amqp_decode_properties(AMQP_BASIC_CLASS, &pool, (amqp_bytes_t){ len, out }, &decoded) >= 0);
	const amqp_basic_properties_t *p = decoded;

	assert_int_equal(p->delivery_mode, 2);
	assert_int_equal(p->priority, 9);
	assert_int_equal(p->timestamp, 1764000000);
	assert_memory_equal(p->expiration.bytes, "1500", 4);
	assert_int_equal(p->expiration.len, 4);
	assert_memory_equal(p->message_id.bytes, "id", 2);
	assert_memory_equal(p->type.bytes, "type", 4);
	assert_memory_equal(p->content_type.bytes, "text/plain", 10);
	empty_amqp_pool(&pool);
	posta_envelope_unref(e);
}

static void encode__more_than_a_frame__too_big(void **state)
{
	(void)state;
	struct posta_envelope *e = posta_envelope_new();
	char value[3000] = { 0 };
	uint8_t out[4000];
	size_t len;

	memset(value, 'v', sizeof value - 1);
	posta_envelope_add_header(e, "a", value, sizeof value - 1);
	assert_int_equal(encode(e, POSTA_FORMAT_BINARY, out, sizeof out, &len), POSTA_OK);
	assert_int_equal(encode(e, POSTA_FORMAT_BINARY, out, 2000, &len), POSTA_ETOOBIG);
	posta_envelope_add_header(e, "b", value, sizeof value - 1);
	assert_int_equal(encode(e, POSTA_FORMAT_BINARY, out, sizeof out, &len), POSTA_ETOOBIG);
	posta_envelope_unref(e);
}

static void encode__past_its_expiry__expired(void **state)
{
	(void)state;
	struct posta_envelope *e = posta_envelope_new();
	uint8_t out[100];
	size_t len;

	posta_envelope_set_expiry(e, 1000000);
	assert_int_equal(encode(e, POSTA_FORMAT_BINARY, out, sizeof out, &len), POSTA_EEXPIRED);
	posta_envelope_unref(e);
}

static void decode__headers_of_every_kind__become_text(void **state)
{
	(void)state;
	amqp_table_entry_t inner = { amqp_cstring_bytes("n"), { AMQP_FIELD_KIND_I32, { .i32 = 3 } } };
	amqp_field_value_t list[2] = { { AMQP_FIELD_KIND_UTF8, { .bytes = amqp_cstring_bytes("p") } },
				       { AMQP_FIELD_KIND_TABLE, { .table = { 1, &inner } } } };
	amqp_table_entry_t entries[] = {
		{ amqp_cstring_bytes("bool"), { AMQP_FIELD_KIND_BOOLEAN, { .boolean = 1 } } },
		{ amqp_cstring_bytes("int"), { AMQP_FIELD_KIND_I64, { .i64 = -5 } } },
		{ amqp_cstring_bytes("double"), { AMQP_FIELD_KIND_F64, { .f64 = 1.5 } } },
		{ amqp_cstring_bytes("time"), { AMQP_FIELD_KIND_TIMESTAMP, { .u64 = 0 } } },
		{ amqp_cstring_bytes("table"), { AMQP_FIELD_KIND_TABLE, { .table = { 1, &inner } } } },
		{ amqp_cstring_bytes("list"), { AMQP_FIELD_KIND_ARRAY, { .array = { 2, list } } } },
		{ amqp_cstring_bytes("void"), { AMQP_FIELD_KIND_VOID, { .u64 = 0 } } },
	};
	amqp_basic_properties_t p = { ._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_PRIORITY_FLAG,
				      .headers = { 7, entries },
				      .priority = 200 };
	uint8_t bytes[1000];
	int len = amqp_encode_properties(AMQP_BASIC_CLASS, &p, (amqp_bytes_t){ sizeof bytes, bytes });
	static const char *const expected[][2] = { { "bool", "true" },       { "int", "-5" },
						   { "double", "1.5" },      { "time", "1970-01-01T00:00:00.000Z" },
						   { "table", "{\"n\":3}" }, { "list", "p" },
						   { "list", "{\"n\":3}" },  { "void", "" } };

	assert_true(len > 0);
	struct posta_envelope *e = decode(bytes, (size_t)len, POSTA_OK);

	assert_int_equal(posta_envelope_header_count(e), 8);
	for (size_t i = 0; i < 8; i++) {
		struct posta_bytes value;

		assert_string_equal(posta_envelope_header_at(e, i, &value), expected[i][0]);
		assert_int_equal(value.len, strlen(expected[i][1]));
		assert_memory_equal(value.data, expected[i][1], value.len);
	}
	assert_int_equal(posta_envelope_priority(e), 9);
	assert_string_equal(posta_envelope_text(e, POSTA_ATTR_TOPIC), "rk");
	posta_envelope_unref(e);
}

static void decode__timestamp_in_milliseconds__is_understood(void **state)
{
	(void)state;
	static const struct {
		uint64_t stamp;
		int64_t time_ms;
	} cases[] = { { 1764000000, 1764000000000 },
		      { 1764000000123, 1764000000123 },
		      { UINT64_MAX, POSTA_TIME_NONE } };

	for (size_t i = 0; i < 3; i++) {
		amqp_basic_properties_t p = { ._flags = AMQP_BASIC_TIMESTAMP_FLAG, .timestamp = cases[i].stamp };
		uint8_t bytes[100];
		int len = amqp_encode_properties(AMQP_BASIC_CLASS, &p, (amqp_bytes_t){ sizeof bytes, bytes });
		struct posta_envelope *e = decode(bytes, (size_t)len, POSTA_OK);

		assert_int_equal(posta_envelope_time(e), cases[i].time_ms);
		posta_envelope_unref(e);
	}
}

static void decode__malformed__is_a_format_error(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0x20, 0x00, 0, 0, 0, 9, 1, 'a', 'S', 0, 0, 0, 200, 'x', 'y' };

	assert_null(decode(bytes, sizeof bytes, POSTA_EFORMAT));
}

static void decode__headers_nested_too_deep__is_a_format_error(void **state)
{
	(void)state;
	static uint8_t bytes[60000];
	size_t len = nest(bytes + 2, POSTA__AMQP_TABLE_DEPTH_MAX + 1);

	bytes[0] = 0x20;
	assert_null(decode(bytes, len + 2, POSTA_EFORMAT));
	len = nest(bytes + 2, POSTA__AMQP_TABLE_DEPTH_MAX);
	posta_envelope_unref(decode(bytes, len + 2, POSTA_OK));
}

/* -- acknowledgements */

struct written {
	int count, multiples;
	int outcome[4096]; /* by tag: 0 none, else outcome + 1 */
	uint64_t tags;
};

static bool on_ack(void *context, uint64_t tag, bool multiple, enum posta_outcome outcome)
{
	struct written *written = context;

	written->count++;
	written->multiples += multiple;
	assert_int_equal(written->outcome[tag], 0); /* a second one closes the channel */
	for (uint64_t t = multiple ? 1 : tag; t <= tag; t++)
		if (!written->outcome[t])
			written->outcome[t] = (int)outcome + 1;
	return true;
}

static void unsettled__contiguous__one_multiple(void **state)
{
	(void)state;
	struct posta__amqp_unsettled unsettled = { 0 };
	struct written written = { 0 };

	for (uint64_t tag = 1; tag <= 100; tag++)
		assert_true(posta__amqp_unsettled_add(&unsettled, tag));
	for (uint64_t tag = 50; tag >= 1; tag--)
		assert_true(posta__amqp_unsettled_settle(&unsettled, tag, POSTA_ACK));
	posta__amqp_unsettled_write(&unsettled, on_ack, &written);
	assert_int_equal(written.count, 1);
	assert_int_equal(written.multiples, 1);
	assert_int_equal(written.outcome[50], 1);
	assert_int_equal(written.outcome[51], 0);
	assert_int_equal(unsettled.open, 50);
	assert_int_equal(unsettled.unacked, 50);
	assert_false(posta__amqp_unsettled_settle(&unsettled, 50, POSTA_ACK));
	assert_false(posta__amqp_unsettled_settle(&unsettled, 101, POSTA_ACK));
	posta__amqp_unsettled_fini(&unsettled);
}

/* Deliveries settled at random, against a plain table of what was meant for each. */
static void unsettled__at_random__each_has_its_own_outcome_once(void **state)
{
	(void)state;
	static struct written written;
	static int meant[4096];
	struct posta__amqp_unsettled unsettled = { 0 };
	unsigned seed = 7;
	uint64_t delivered = 0;

	memset(&written, 0, sizeof written);
	memset(meant, 0, sizeof meant);
	for (int step = 0; step < 40000; step++) {
		unsigned dice = (unsigned)rand_r(&seed);

		if (dice % 3 == 0 && delivered < 4000 && unsettled.open < 50)
			assert_true(posta__amqp_unsettled_add(&unsettled, ++delivered));
		else if (dice % 3 == 1 && delivered) {
			uint64_t tag = 1 + (unsigned)rand_r(&seed) % delivered;
			enum posta_outcome outcome = dice % 7 < 5    ? POSTA_ACK
						     : dice % 7 == 5 ? POSTA_REQUEUE
								     : POSTA_REJECT;

			if (posta__amqp_unsettled_settle(&unsettled, tag, outcome)) {
				assert_int_equal(meant[tag], 0);
				meant[tag] = (int)outcome + 1;
			}
		} else if (dice % 30 == 2) {
			posta__amqp_unsettled_write(&unsettled, on_ack, &written);
			for (uint64_t tag = 1; tag <= delivered; tag++)
				assert_int_equal(written.outcome[tag], meant[tag]);
			assert_true(unsettled.capacity <= 512);
		}
	}
	posta__amqp_unsettled_fini(&unsettled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut__byte_by_byte__one_frame_at_its_end),
		cmocka_unit_test(cut__hostile_head__refused_before_its_payload),
		cmocka_unit_test(cut__no_end_byte__refused),
		cmocka_unit_test(table__as_deep_as_allowed__passes_and_no_deeper),
		cmocka_unit_test(table__cut_short_anywhere__refused),
		cmocka_unit_test(table__unknown_kind_or_inner_length__refused),
		cmocka_unit_test(properties__second_word_of_flags__refused),
		cmocka_unit_test(method__not_for_a_client__refused),
		cmocka_unit_test(encode__native_fields__are_the_protocols_own),
		cmocka_unit_test(encode__more_than_a_frame__too_big),
		cmocka_unit_test(encode__past_its_expiry__expired),
		cmocka_unit_test(decode__headers_of_every_kind__become_text),
		cmocka_unit_test(decode__timestamp_in_milliseconds__is_understood),
		cmocka_unit_test(decode__malformed__is_a_format_error),
		cmocka_unit_test(decode__headers_nested_too_deep__is_a_format_error),
		cmocka_unit_test(unsettled__contiguous__one_multiple),
		cmocka_unit_test(unsettled__at_random__each_has_its_own_outcome_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
