/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <string.h>

static void every_code__has_name_and_text(void **state)
{
	(void)state;
	for (int code = -30; code <= 0; code++) {
		assert_string_not_equal(posta_err_name((enum posta_err)code), "?");
		assert_string_not_equal(posta_strerror((enum posta_err)code), "unknown error");
	}
	assert_string_equal(posta_err_name((enum posta_err) - 9999), "?");
}

static void error_set__no_error_given__returns_code(void **state)
{
	(void)state;
	assert_int_equal(posta_error_set(NULL, POSTA_EFULL, "x"), POSTA_EFULL);
}

static void error_set__long_text__is_cut(void **state)
{
	(void)state;
	struct posta_error error;
	posta_error_set(&error, POSTA_EFULL, "%01000d", 1);
	assert_int_equal(strlen(error.text), POSTA_ERROR_TEXT_MAX - 1);
	assert_true(error.retriable);
}

static void redact__credentials__are_hidden(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "amqp://guest:s3cret@h:5672/v", "amqp://***@h:5672/v" },
		{ "amqp://u:p@ss@h/v", "amqp://***@h/v" },
		{ "mqtt://h:1883", "mqtt://h:1883" },
		{ "amqp://u:base64/with/slashes@h/v", "amqp://***@h/v" },
		{ "amqp://u:p@ss/w?rd#@h", "amqp://***@h" },
		{ "u:s3cret@h:5672", "***@h:5672" },
		{ "amqp:u:s3cret@h", "***@h" },
		{ "u:a://b@h", "***@h" },
		{ "kafka://h1,h2/a@b", "kafka://***@b" }, /* it could be one */
		{ "memory:", "memory:" },
		{ "", "" },
	};
	char out[64];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(posta_url_redact(cases[i][0], out, sizeof out), cases[i][1]);
	assert_string_equal(posta_url_redact(NULL, out, sizeof out), "");
	assert_string_equal(posta_url_redact("amqp://u:p@host", out, 8), "amqp://");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code__has_name_and_text),
		cmocka_unit_test(error_set__no_error_given__returns_code),
		cmocka_unit_test(error_set__long_text__is_cut),
		cmocka_unit_test(redact__credentials__are_hidden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
