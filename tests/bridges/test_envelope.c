/* SPDX-License-Identifier: MIT */
#include <posta/envelope.h>

#include "bridges/codec/cloudevents.h"
#include "bridges/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void count(void *context)
{
	++*(int *)context;
}

static void set__text__is_copied_and_terminated(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	char type[] = "reserva.creada";
	assert_int_equal(posta_envelope_set(envelope, POSTA_ATTR_TYPE, type, 7), POSTA_OK);
	memset(type, 'x', sizeof type);
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_TYPE), "reserva");
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_ID), "");
	assert_null(posta_envelope_get(envelope, POSTA_ATTR_ID).data);
	assert_int_equal(posta_envelope_set(envelope, POSTA_ATTR_TYPE, NULL, 0), POSTA_OK);
	assert_null(posta_envelope_get(envelope, POSTA_ATTR_TYPE).data);
	posta_envelope_unref(envelope);
}

static void set__empty__is_not_absent(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	assert_int_equal(posta_envelope_set(envelope, POSTA_ATTR_KEY, "", 0), POSTA_OK);
	assert_non_null(posta_envelope_get(envelope, POSTA_ATTR_KEY).data);
	assert_int_equal(posta_envelope_set_body(envelope, "", 0), POSTA_OK);
	assert_non_null(posta_envelope_body(envelope).data);
	assert_int_equal(posta_envelope_set_body(envelope, NULL, 0), POSTA_OK);
	assert_null(posta_envelope_body(envelope).data);
	posta_envelope_unref(envelope);
}

static void set__out_of_bounds__is_refused(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	char *big = calloc(1, POSTA_ATTRIBUTE_MAX + 1);
	assert_int_equal(posta_envelope_set(envelope, POSTA_ATTR_KEY, big, POSTA_ATTRIBUTE_MAX + 1), POSTA_ETOOBIG);
	assert_int_equal(posta_envelope_set(envelope, POSTA_ATTR_KEY, big, POSTA_ATTRIBUTE_MAX), POSTA_OK);
	assert_int_equal(posta_envelope_get(envelope, POSTA_ATTR_KEY).len, POSTA_ATTRIBUTE_MAX);
	assert_int_equal(posta_envelope_set(envelope, POSTA_ATTR_COUNT, "x", 1), POSTA_EINVAL);
	assert_int_equal(posta_envelope_add_header(envelope, "x", big, POSTA_ATTRIBUTE_MAX + 1), POSTA_ETOOBIG);
	for (unsigned i = 0; i < POSTA_HEADERS_MAX; i++)
		assert_int_equal(posta_envelope_add_header(envelope, "x", "y", 1), POSTA_OK);
	assert_int_equal(posta_envelope_add_header(envelope, "x", "y", 1), POSTA_ETOOBIG);
	assert_int_equal(posta_envelope_put_header(envelope, "z", "y", 1), POSTA_ETOOBIG);
	assert_int_equal(posta_envelope_put_header(envelope, "x", "only", 4), POSTA_OK);
	assert_int_equal(posta_envelope_header_count(envelope), 1);
	free(big);
	posta_envelope_unref(envelope);
}

static void set__replaced_for_ever__memory_stays_bounded(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	char value[300];
	memset(value, 'v', sizeof value);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_ID, "stays"), POSTA_OK);
	assert_int_equal(posta_envelope_add_header(envelope, "stays", "too", 3), POSTA_OK);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(posta_envelope_set(envelope, POSTA_ATTR_SUBJECT, value, i % sizeof value), POSTA_OK);
	assert_true(envelope->used < 16384);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(posta_envelope_put_header(envelope, "hops", value, i % 7), POSTA_OK);
	assert_true(envelope->used < 16384);
	assert_true(posta_envelope_size(envelope) < 1024);
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_ID), "stays");
	assert_string_equal(posta_envelope_header(envelope, "stays").data, "too");
	assert_int_equal(posta_envelope_header_count(envelope), 2);
	posta_envelope_unref(envelope);
}

static void set__value_of_its_own__is_safe(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_SUBJECT, "abcdef"), POSTA_OK);
	struct posta_bytes own = posta_envelope_get(envelope, POSTA_ATTR_SUBJECT);
	assert_int_equal(posta_envelope_set(envelope, POSTA_ATTR_SUBJECT, (const char *)own.data + 2, 3), POSTA_OK);
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_SUBJECT), "cde");
	assert_int_equal(posta_envelope_set_body(envelope, "0123456789", 10), POSTA_OK);
	own = posta_envelope_body(envelope);
	assert_int_equal(posta_envelope_set_body(envelope, (const char *)own.data + 5, 5), POSTA_OK);
	assert_memory_equal(posta_envelope_body(envelope).data, "56789", 5);
	posta_envelope_unref(envelope);
}

static void headers__repeat__keep_order(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	struct posta_bytes value;
	assert_int_equal(posta_envelope_add_header(envelope, "a", "1", 1), POSTA_OK);
	assert_int_equal(posta_envelope_add_header(envelope, "b", "2", 1), POSTA_OK);
	assert_int_equal(posta_envelope_add_header(envelope, "a", "3\0x", 3), POSTA_OK);
	assert_int_equal(posta_envelope_header_count(envelope), 3);
	assert_string_equal(posta_envelope_header(envelope, "a").data, "1");
	assert_string_equal(posta_envelope_header_at(envelope, 2, &value), "a");
	assert_int_equal(value.len, 3);
	assert_int_equal(posta_envelope_put_header(envelope, "a", "4", 1), POSTA_OK);
	assert_int_equal(posta_envelope_header_count(envelope), 2);
	assert_string_equal(posta_envelope_header_at(envelope, 1, NULL), "a");
	assert_int_equal(posta_envelope_remove_header(envelope, "b"), POSTA_OK);
	assert_null(posta_envelope_header(envelope, "b").data);
	posta_envelope_unref(envelope);
}

static void shared__is_read_only__edit_copies(void **state)
{
	int released = 0;
	struct posta_envelope *first = posta_envelope_new();
	assert_int_equal(posta_envelope_set_text(first, POSTA_ATTR_ID, "1"), POSTA_OK);
	assert_int_equal(posta_envelope_add_header(first, "h", "v", 1), POSTA_OK);
	assert_int_equal(posta_envelope_wrap_body(first, "body", 4, count, &released), POSTA_OK);
	struct posta_envelope *second = posta_envelope_ref(first);
	assert_int_equal(posta_envelope_set_text(second, POSTA_ATTR_ID, "2"), POSTA_ESTATE);
	assert_int_equal(posta_envelope_add_header(second, "h", "v", 1), POSTA_ESTATE);
	assert_int_equal(posta_envelope_set_body(second, "x", 1), POSTA_ESTATE);
	posta_envelope_set_time(second, 5);
	assert_int_equal(posta_envelope_time(second), POSTA_TIME_NONE);
	assert_int_equal(posta_envelope_edit(&second), POSTA_OK);
	assert_ptr_not_equal(first, second);
	assert_ptr_equal(posta_envelope_body(second).data, posta_envelope_body(first).data);
	assert_int_equal(posta_envelope_set_text(second, POSTA_ATTR_ID, "2"), POSTA_OK);
	assert_string_equal(posta_envelope_text(first, POSTA_ATTR_ID), "1");
	struct posta_envelope *same = second;
	assert_int_equal(posta_envelope_edit(&second), POSTA_OK);
	assert_ptr_equal(same, second);
	posta_envelope_unref(first);
	assert_int_equal(released, 0);
	assert_memory_equal(posta_envelope_body(second).data, "body", 4);
	posta_envelope_unref(second);
	assert_int_equal(released, 1);
}

static void wrap_body__shared__still_releases(void **state)
{
	int released = 0;
	struct posta_envelope *envelope = posta_envelope_ref(posta_envelope_new());
	assert_int_equal(posta_envelope_wrap_body(envelope, "b", 1, count, &released), POSTA_ESTATE);
	assert_int_equal(released, 1);
	posta_envelope_unref(envelope);
	posta_envelope_unref(envelope);
	posta_envelope_unref(NULL);
}

static void set_body__over_another__releases_it(void **state)
{
	int released = 0;
	struct posta_envelope *envelope = posta_envelope_new();
	assert_int_equal(posta_envelope_wrap_body(envelope, "b", 1, count, &released), POSTA_OK);
	assert_int_equal(posta_envelope_set_body(envelope, "c", 1), POSTA_OK);
	assert_int_equal(released, 1);
	posta_envelope_unref(envelope);
	assert_int_equal(released, 1);
}

static void complete__lacks_id_and_time__fills_them_once(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	assert_int_equal(posta_envelope_complete(envelope), POSTA_OK);
	assert_int_equal(posta_envelope_get(envelope, POSTA_ATTR_ID).len, 36);
	char id[37];
	strcpy(id, posta_envelope_text(envelope, POSTA_ATTR_ID));
	int64_t time_ms = posta_envelope_time(envelope);
	assert_true(time_ms > INT64_C(1700000000000));
	assert_int_equal(posta_envelope_complete(envelope), POSTA_OK);
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_ID), id);
	posta_envelope_unref(envelope);
}

static void uuid7__many__are_distinct_and_of_version_7(void **state)
{
	enum { N = 2000 };
	static char ids[N][37];
	for (int i = 0; i < N; i++) {
		posta_uuid7(ids[i]);
		assert_int_equal(strlen(ids[i]), 36);
		assert_int_equal(ids[i][14], '7');
		assert_non_null(strchr("89ab", ids[i][19]));
	}
	/* Not only by their time. */
	for (int i = 1; i < N; i++)
		assert_string_not_equal(ids[i - 1] + 24, ids[i] + 24);
	qsort(ids, N, sizeof ids[0], (int (*)(const void *, const void *))strcmp);
	for (int i = 1; i < N; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
}

static void time__known_moments__format_and_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
		const char *formatted;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z" },
		{ "2026-11-24T10:00:00.000Z", INT64_C(1795514400000), "2026-11-24T10:00:00.000Z" },
		{ "1990-12-31T23:59:60Z", INT64_C(662687999000), "1990-12-31T23:59:59.000Z" },
		{ "1990-12-31T15:59:59.5-08:00", INT64_C(662687999500), "1990-12-31T23:59:59.500Z" },
		{ "1937-01-01t12:00:27.87654321+00:20", INT64_C(-1041337172124), "1937-01-01T11:40:27.876Z" },
		{ "2000-02-29T00:00:00z", INT64_C(951782400000), "2000-02-29T00:00:00.000Z" },
		{ "0000-01-01T00:00:00Z", INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = 1;
		char out[25];
		assert_int_equal(posta_time_parse(rows[i].text, strlen(rows[i].text), &ms), POSTA_OK);
		assert_int_equal(ms, rows[i].ms);
		posta_time_format(ms, out);
		assert_string_equal(out, rows[i].formatted);
	}
}

static void time__malformed__is_refused(void **state)
{
	static const char *const rows[] = { "",
					    "2026",
					    "2026-13-01T00:00:00Z",
					    "2026-02-29T00:00:00Z",
					    "2026-01-01T24:00:00Z",
					    "2026-01-01T00:00:00",
					    "2026-01-01T00:00:00.Z",
					    "2026-01-01T00:00:00+1:00",
					    "2026-01-01T00:00:00Zx",
					    "-026-01-01T00:00:00Z",
					    "1795514400000" };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = 7;
		assert_int_equal(posta_time_parse(rows[i], strlen(rows[i]), &ms), POSTA_EFORMAT);
		assert_int_equal(ms, 7);
	}
	char out[25];
	posta_time_format(INT64_MAX, out);
	assert_string_equal(out, "9999-12-31T23:59:59.999Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set__text__is_copied_and_terminated),
		cmocka_unit_test(set__empty__is_not_absent),
		cmocka_unit_test(set__out_of_bounds__is_refused),
		cmocka_unit_test(set__replaced_for_ever__memory_stays_bounded),
		cmocka_unit_test(set__value_of_its_own__is_safe),
		cmocka_unit_test(headers__repeat__keep_order),
		cmocka_unit_test(shared__is_read_only__edit_copies),
		cmocka_unit_test(wrap_body__shared__still_releases),
		cmocka_unit_test(set_body__over_another__releases_it),
		cmocka_unit_test(complete__lacks_id_and_time__fills_them_once),
		cmocka_unit_test(uuid7__many__are_distinct_and_of_version_7),
		cmocka_unit_test(time__known_moments__format_and_parse),
		cmocka_unit_test(time__malformed__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
