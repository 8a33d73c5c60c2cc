/* SPDX-License-Identifier: MIT */
#include "random_envelope.h"

#include "bridges/codec/msgpack.h"
#include "bridges/codec/scan.h"

static void scan__hostile__is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum posta_err expected;
	} rows[] = {
		{ "", 0, POSTA_EFORMAT },
		{ "\xDD\xFF\xFF\xFF\xFF", 5, POSTA_EFORMAT }, /* 4 Gi elements, none there */
		{ "\xDF\xFF\xFF\xFF\xFF", 5, POSTA_EFORMAT },
		{ "\xDB\xFF\xFF\xFF\xFF", 5, POSTA_EFORMAT },
		{ "\xC6\xFF\xFF\xFF\xFF", 5, POSTA_EFORMAT },
		{ "\xC9\xFF\xFF\xFF\xFF", 5, POSTA_EFORMAT },
		{ "\xDD\xFF", 2, POSTA_EFORMAT },
		{ "\xC1", 1, POSTA_EFORMAT },         /* never used */
		{ "\xA2\xC3\x28", 3, POSTA_EFORMAT }, /* no UTF-8 */
		{ "\x01\x02", 2, POSTA_EFORMAT },     /* two objects */
		{ "\x81\x01", 2, POSTA_EFORMAT },     /* half a pair */
		{ "\x82\xA1\x61\x01\xA1\x62\xC0", 7, POSTA_OK },
		{ "\xD6\xFF\x00\x00\x00\x01", 6, POSTA_OK },
		{ "\xD8\xFF\x00", 3, POSTA_EFORMAT },
		{ "\xC4\x00", 2, POSTA_OK },
		{ "\xCB\x00\x00\x00\x00\x00\x00\x00\x00", 9, POSTA_OK },
		{ "\x90", 1, POSTA_OK },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (posta__msgpack_scan(rows[i].bytes, rows[i].len, NULL) != rows[i].expected)
			fail_msg("row %zu", i);
}

static void scan__depth__is_bounded(void **state)
{
	char json[] = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";
	char pack[40];
	char *out;
	void *packed;
	size_t len;
	memset(pack, 0x91, sizeof pack);
	pack[POSTA__DEPTH_MAX] = 0;
	assert_int_equal(posta__msgpack_scan(pack, POSTA__DEPTH_MAX + 1, NULL), POSTA_OK);
	assert_int_equal(posta__msgpack_to_json(pack, POSTA__DEPTH_MAX + 1, &out, &len, NULL), POSTA_OK);
	assert_int_equal(posta__json_to_msgpack(out, len, &packed, &len, NULL), POSTA_OK);
	assert_int_equal(len, POSTA__DEPTH_MAX + 1);
	free(packed);
	free(out);
	pack[POSTA__DEPTH_MAX] = (char)0x91;
	pack[POSTA__DEPTH_MAX + 1] = 0;
	assert_int_equal(posta__msgpack_scan(pack, POSTA__DEPTH_MAX + 2, NULL), POSTA_ETOOBIG);
	assert_int_equal(posta__json_scan(json, sizeof json - 1, NULL), POSTA_ETOOBIG);
	assert_int_equal(posta__json_scan(json + 1, sizeof json - 3, NULL), POSTA_OK);
}

static void scan__too_many_objects__is_refused(void **state)
{
	size_t count = POSTA__OBJECTS_MAX + 1;
	unsigned char *bytes = calloc(1, count + 5);
	bytes[0] = 0xDD;
	bytes[1] = (unsigned char)(count >> 24);
	bytes[2] = (unsigned char)(count >> 16);
	bytes[3] = (unsigned char)(count >> 8);
	bytes[4] = (unsigned char)count;
	assert_int_equal(posta__msgpack_scan(bytes, count + 5, NULL), POSTA_ETOOBIG);
	free(bytes);
}

static void json_scan__grammar__by_the_book(void **state)
{
	static const char *const good[] = { "0",    "-0",           "1.5e+3", "\"\\u00f1\\/\"", " [ ] ", "{\"a\":[{}]}",
					    "null", "\"\xC3\xB1\"", "[1,2]" };
	static const char *const bad[] = { "",
					   " ",
					   "01",
					   "1.",
					   ".5",
					   "+1",
					   "-",
					   "1e",
					   "NaN",
					   "'a'",
					   "[1,]",
					   "[,1]",
					   "{\"a\"}",
					   "{a:1}",
					   "{\"a\":1,}",
					   "\"\t\"",
					   "\"\\x\"",
					   "\"\\u12g4\"",
					   "\"a",
					   "[1",
					   "nul",
					   "true false",
					   "\"\xC3\"",
					   "\"\xED\xA0\x80\"",
					   "\"\xC0\x80\"",
					   "\"\xF4\x90\x80\x80\"",
					   "[1}",
					   "{\"a\":1]",
					   "/*x*/1",
					   "1 ]" };
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (posta__json_scan(good[i], strlen(good[i]), NULL))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (posta__json_scan(bad[i], strlen(bad[i]), NULL) != POSTA_EFORMAT)
			fail_msg("%s", bad[i]);
}

static void becomes(const char *json, const char *expected)
{
	void *packed;
	char *back;
	size_t len;
	assert_int_equal(posta__json_to_msgpack(json, strlen(json), &packed, &len, NULL), POSTA_OK);
	assert_int_equal(posta__msgpack_scan(packed, len, NULL), POSTA_OK);
	assert_int_equal(posta__msgpack_to_json(packed, len, &back, &len, NULL), POSTA_OK);
	assert_string_equal(back, expected);
	free(packed);
	free(back);
}

static void json_to_msgpack__and_back__keeps_values(void **state)
{
	static const char *const same[] = {
		"9223372036854775807",
		"-9223372036854775808",
		"18446744073709551615",
		"0.1",
		"1e+300",
		"-0.0",
		"1.0",
		"{\"b\":1,\"a\":[true,false,null,\"ñ\\n\\\"\"],\"\":{}}",
		"[]",
		"\"\\u0001\"",
	};
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		becomes(same[i], same[i]);
	becomes("5e-324", "4.94065645841247e-324");
	becomes("18446744073709551616", "1.8446744073709552e+19");
	becomes("-9223372036854775809", "-9.223372036854776e+18");
	becomes("\"\\ud834\\udd1e\\ud800\"", "\"𝄞\xEF\xBF\xBD\"");
}

static void msgpack_to_json__what_json_lacks__has_a_form(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *json;
	} rows[] = {
		{ "\xC4\x02\x01\x02", 4, "\"AQI=\"" },
		{ "\xD6\xFF\x6B\x05\x76\xE0", 6, "\"2026-11-24T11:37:04.000Z\"" },
		{ "\xD4\x05\x01", 3, "\"AQ==\"" },
		{ "\xCB\x7F\xF0\x00\x00\x00\x00\x00\x00", 9, "null" },
		{ "\xCA\x3D\xCC\xCC\xCD", 5, "0.1" },
		{ "\x82\x01\xC0\x91\x02\xC3", 6, "{\"1\":null,\"[2]\":true}" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *json;
		size_t len;
		assert_int_equal(posta__msgpack_to_json(rows[i].bytes, rows[i].len, &json, &len, NULL), POSTA_OK);
		assert_string_equal(json, rows[i].json);
		free(json);
	}
}

static void envelope__msgpack_round_trip__is_lossless(void **state)
{
	uint64_t seed = 11;
	for (int i = 0; i < 3000; i++) {
		void *data;
		size_t len;
		struct posta_envelope *to = NULL;
		struct posta_envelope *from = random_envelope(&seed);
		assert_int_equal(posta_envelope_to_msgpack(from, &data, &len), POSTA_OK);
		assert_int_equal(posta_envelope_from_msgpack(data, len, &to, NULL), POSTA_OK);
		free(data);
		assert_same_envelope(from, to, false);
		posta_envelope_unref(from);
		posta_envelope_unref(to);
	}
}

static void envelope__from_other_msgpack__is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum posta_err expected;
	} rows[] = {
		{ "\x90", 1, POSTA_EFORMAT },
		{ "\x81\xA2id\x01", 5, POSTA_EFORMAT },
		{ "\x81\x01\x01", 3, POSTA_EFORMAT },
		{ "\x81\xA4time\xA1x", 8, POSTA_EFORMAT },
		{ "\x81\xA8priority\x0A", 11, POSTA_EFORMAT },
		{ "\x81\xA7headers\x91\x91\xA1x", 13, POSTA_EFORMAT },
		{ "\x81\xA7headers\x91\x93\xA1x\xA1y\xA1z", 17, POSTA_EFORMAT },
		{ "\x81\xDF\xFF\xFF\xFF\xFF", 6, POSTA_EFORMAT },
		{ "\x81\xA6"
		  "future\x01",
		  9, POSTA_OK },
		{ "\x80", 1, POSTA_OK },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct posta_envelope *envelope = NULL;
		struct posta_error error;
		if (posta_envelope_from_msgpack(rows[i].bytes, rows[i].len, &envelope, &error) != rows[i].expected)
			fail_msg("row %zu", i);
		posta_envelope_unref(envelope);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scan__hostile__is_refused),
		cmocka_unit_test(scan__depth__is_bounded),
		cmocka_unit_test(scan__too_many_objects__is_refused),
		cmocka_unit_test(json_scan__grammar__by_the_book),
		cmocka_unit_test(json_to_msgpack__and_back__keeps_values),
		cmocka_unit_test(msgpack_to_json__what_json_lacks__has_a_form),
		cmocka_unit_test(envelope__msgpack_round_trip__is_lossless),
		cmocka_unit_test(envelope__from_other_msgpack__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
