/* SPDX-License-Identifier: MIT */
#include "actors/router/expression.h"
#include "actors/router/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct posta_envelope *event(const char *body)
{
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "reserva.creada");
	posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "micro-estudiantes");
	posta_envelope_set_text(envelope, POSTA_ATTR_TOPIC, "reservas");
	posta_envelope_add_header(envelope, "origen", "web", 3);
	if (body)
		posta_envelope_set_body(envelope, body, strlen(body));
	return envelope;
}

/* 1, 0, or an error. */
static int ask(const char *text, const char *body)
{
	struct posta_error error = { POSTA_OK, false, "" };
	unsigned column;
	bool result = false;
	struct posta__expression *expression = posta__expression_compile(text, &column, &error);
	if (!expression)
		fail_msg("%s: column %u: %s", text, column, error.text);
	struct posta_envelope *envelope = event(body);
	enum posta_err err = posta__expression_test(expression, envelope, &result, &error);
	posta_envelope_unref(envelope);
	posta__expression_free(expression);
	return err ? (int)err : result;
}

#define BODY "{\"n\": 5, \"x\": 2.5, \"tenth\": 0.1, \"ok\": true, \"none\": null, \"a\": {\"b\": [\"c\", 7]}}"

static void test__each_operator__says_what_the_guide_says(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{ "type == \"reserva.creada\"", 1 },
		{ "type != 'reserva.creada'", 0 },
		{ "type == \"x\" or source == \"micro-estudiantes\"", 1 },
		{ "type == \"x\" and source == \"micro-estudiantes\"", 0 },
		{ "not type == \"x\"", 1 },
		{ "not (type == \"x\" or topic == \"reservas\")", 0 },
		{ "type =~ \"reserva.*\"", 1 },
		{ "type matches \"*.borrada\"", 0 },
		{ "topic in [\"a\", \"reservas\"]", 1 },
		{ "data.n in [1, 2]", 0 },
		{ "data.n == 5", 1 },
		{ "data.n == 5.0", 1 },
		{ "data.n > 4.5 and data.n <= 5", 1 },
		{ "data.n < 5", 0 },
		{ "data.n >= 5", 1 },
		{ "data.x == 2.5", 1 },
		{ "data.n == \"5\"", 0 },
		{ "data.n > \"4\"", 0 },
		{ "data.ok", 1 },
		{ "data.n", 0 },
		{ "data.missing", 0 },
		{ "data.missing == null", 1 },
		{ "data.none == null", 1 },
		{ "exists data.none", 1 },
		{ "exists data.missing", 0 },
		{ "exists header.origen", 1 },
		{ "header.origen == \"web\"", 1 },
		{ "data.a.b.0 == \"c\"", 1 },
		{ "data.a.b.1 == 7", 1 },
		{ "\"b\" > \"a\"", 1 },
		{ "true and not false", 1 },
		{ "-1 < 0", 1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (ask(cases[i].text, BODY) != cases[i].result)
			fail_msg("%s is not %d", cases[i].text, cases[i].result);
}

static void test__body_not_json__is_an_error_only_where_it_is_asked(void **state)
{
	assert_int_equal(ask("data.n == 5", "plain words"), POSTA_EFORMAT);
	assert_int_equal(ask("type == \"x\" and data.n == 5", "plain words"), 0);
	assert_int_equal(ask("type == \"reserva.creada\" or data.n == 5", "plain words"), 1);
	assert_int_equal(ask("data == \"plain words\"", "plain words"), 1);
	assert_int_equal(ask("data.n == null", NULL), 1);
}

static void compile__wrong__names_the_column(void **state)
{
	static const struct {
		const char *text;
		unsigned column;
	} cases[] = {
		{ "type = \"a\"", 6 },    { "type ==", 8 },
		{ "type == \"a", 9 },     { "typo == 1", 1 },
		{ "(type == \"a\"", 13 }, { "type == \"a\" x", 13 },
		{ "type in \"a\"", 9 },   { "", 1 },
		{ "data. == 1", 1 },      { "and", 1 },
		{ "type in [type]", 10 }, { "1.2.3 == 1", 1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct posta_error error = { POSTA_OK, false, "" };
		unsigned column = 0;
		assert_null(posta__expression_compile(cases[i].text, &column, &error));
		assert_true(*error.text);
		if (column != cases[i].column)
			fail_msg("\"%s\": column %u, not %u: %s", cases[i].text, column, cases[i].column, error.text);
	}
}

static void compile__too_deep_or_too_long__is_refused(void **state)
{
	static char text[20000];
	struct posta_error error = { POSTA_OK, false, "" };
	unsigned column;
	memset(text, '(', 5000);
	assert_null(posta__expression_compile(text, &column, &error));
	assert_int_equal(error.code, POSTA_ETOOBIG);
	memset(text, '1', sizeof text - 1);
	assert_null(posta__expression_compile(text, &column, &error));
	assert_int_equal(error.code, POSTA_ETOOBIG);
	text[0] = '\0';
	for (int i = 0; i < 1100; i++)
		strcat(text, i ? "or 1 " : "1 ");
	assert_null(posta__expression_compile(text, &column, &error));
	assert_int_equal(error.code, POSTA_ETOOBIG);
}

/* Whatever the bytes, it answers: in sanitizer builds this is worth more. */
static void compile__random_bytes__never_crashes(void **state)
{
	static const char *const words[] = { "type",   "data.n", "==", "(",  ")",        "and", "not",
					     "\"a\"",  "[",      "]",  "in", ",",        "5",   "=~",
					     "exists", "\\",     "'",  "-",  "header.x", "\xC3" };
	uint64_t random = 88172645463325252u;
	for (int i = 0; i < 20000; i++) {
		char text[256] = "";
		struct posta_error error = { POSTA_OK, false, "" };
		unsigned column;
		bool result;
		for (int j = 0; j < 12; j++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			strcat(text, words[random % (sizeof words / sizeof words[0])]);
			strcat(text, random & 1024 ? " " : "");
		}
		struct posta__expression *expression = posta__expression_compile(text, &column, &error);
		if (expression) {
			struct posta_envelope *envelope = event(BODY);
			posta__expression_test(expression, envelope, &result, &error);
			posta_envelope_unref(envelope);
		} else {
			assert_true(column >= 1 && column <= strlen(text) + 1);
		}
		posta__expression_free(expression);
	}
}

static void template__fields__are_filled(void **state)
{
	static const char *const cases[][2] = {
		{ "{source}", "micro-estudiantes" },
		{ "a/{topic}/{data.n}", "a/reservas/5" },
		{ "{{{data.ok}}}", "{true}" },
		{ "{data.missing}", "" },
		{ "{data.a}", "{\"b\": [\"c\", 7]}" },
		{ "{data.x}", "2.5" },
		{ "{data.tenth}", "0.1" },
		{ "", "" },
	};
	char *buffer = NULL;
	size_t room = 0, len;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct posta_error error = { POSTA_OK, false, "" };
		unsigned column;
		struct posta__template *tmpl = posta__template_compile(cases[i][0], &column, &error);
		struct posta_envelope *envelope = event(BODY);
		assert_non_null(tmpl);
		assert_int_equal(posta__template_fill(tmpl, envelope, &buffer, &room, &len, &error), POSTA_OK);
		assert_string_equal(buffer, cases[i][1]);
		assert_int_equal(len, strlen(cases[i][1]));
		posta_envelope_unref(envelope);
		posta__template_free(tmpl);
	}
	free(buffer);
}

static void template__wrong__names_the_column(void **state)
{
	struct posta_error error = { POSTA_OK, false, "" };
	unsigned column;
	assert_null(posta__template_compile("ab{source", &column, &error));
	assert_int_equal(column, 3);
	assert_null(posta__template_compile("ab}", &column, &error));
	assert_int_equal(column, 3);
	assert_null(posta__template_compile("{nothing}", &column, &error));
	assert_int_equal(column, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test__each_operator__says_what_the_guide_says),
		cmocka_unit_test(test__body_not_json__is_an_error_only_where_it_is_asked),
		cmocka_unit_test(compile__wrong__names_the_column),
		cmocka_unit_test(compile__too_deep_or_too_long__is_refused),
		cmocka_unit_test(compile__random_bytes__never_crashes),
		cmocka_unit_test(template__fields__are_filled),
		cmocka_unit_test(template__wrong__names_the_column),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
