/* SPDX-License-Identifier: MIT */
#include "actors/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct posta_task *read(const char *json)
{
	struct posta_task *task = NULL;
	struct posta_error error = { 0 };
	if (posta_task_from_json(json, strlen(json), &task, &error))
		fail_msg("%s: %s", json, error.text);
	return task;
}

static void create__has_the_seeds_fields(void **state)
{
	(void)state;
	struct posta_task *task = posta_task_create(POSTA_TASK_ENVIAR_EMAIL, "{\"to\":\"a@b\"}", POSTA_TASK_HIGH);
	char *json = posta_task_to_json(task, NULL);
	assert_int_equal(strlen(posta_task_id(task)), 36);
	assert_non_null(strstr(
		json,
		"\"type\":\"task.enviar-email\",\"payload\":{\"to\":\"a@b\"},\"priority\":\"high\",\"createdAt\":\"2"));
	assert_non_null(strstr(json, ",\"attempts\":0,\"maxAttempts\":3}"));
	free(json);
	posta_task_unref(task);
	assert_null(posta_task_create("", "{}", POSTA_TASK_LOW));
	assert_null(posta_task_create("t", "{", POSTA_TASK_LOW));
}

static void ref__lives_until_the_last_unref(void **state)
{
	(void)state;
	struct posta_task *task = posta_task_create("t", "{\"a\":1}", POSTA_TASK_LOW);
	assert_ptr_equal(posta_task_ref(task), task);
	posta_task_unref(task);
	assert_string_equal(posta_task_payload(task, NULL), "{\"a\":1}");
	posta_task_unref(task);
	posta_task_unref(NULL);
}

static void read__node_task__keeps_unknown_fields(void **state)
{
	(void)state;
	struct posta_task *task =
		read("{\"type\":\"t\",\"payload\":{\"a\":1},\"priority\":\"low\",\"createdAt\":1764000000123,"
		     "\"attempts\":1,\"maxAttempts\":7,\"id\":\"x\",\"tags\":[1,{\"b\":2}]}");
	assert_string_equal(posta_task_id(task), "x");
	assert_int_equal(posta_task_priority(task), POSTA_TASK_LOW);
	assert_int_equal(posta_task_created_at(task), 1764000000123);
	assert_int_equal(posta_task_max_attempts(task), 7);
	posta__task_count_attempt(task);
	char *json = posta_task_to_json(task, NULL);
	assert_non_null(strstr(json, "\"attempts\":2,\"maxAttempts\":7,\"tags\":[1,{\"b\":2}]}"));
	free(json);
	posta_task_unref(task);
}

static void read__what_lacks__is_filled(void **state)
{
	(void)state;
	struct posta_task *task = read("{\"type\":\"t\"}");
	assert_int_equal(strlen(posta_task_id(task)), 36);
	assert_string_equal(posta_task_payload(task, NULL), "{}");
	assert_int_equal(posta_task_priority(task), POSTA_TASK_NORMAL);
	assert_int_equal(posta_task_max_attempts(task), 3);
	assert_true(posta_task_created_at(task) > 0);
	posta_task_unref(task);
	task = read("{\"priority\":9,\"attempts\":\"many\",\"maxAttempts\":-1,\"createdAt\":{}}");
	assert_int_equal(posta_task_priority(task), POSTA_TASK_HIGH);
	assert_int_equal(posta_task_attempts(task), 0);
	assert_int_equal(posta_task_max_attempts(task), 3);
	posta_task_unref(task);
}

static void read__no_task__says_why(void **state)
{
	(void)state;
	struct posta_task *task;
	struct posta_error error = { 0 };
	assert_int_equal(posta_task_from_json("hola", 4, &task, &error), POSTA_EFORMAT);
	assert_non_null(strstr(error.text, "at byte 0"));
	assert_int_equal(posta_task_from_json("[1]", 3, &task, &error), POSTA_EFORMAT);
	assert_non_null(strstr(error.text, "object"));
}

static void publish_form__carries_the_priority_and_seals(void **state)
{
	(void)state;
	struct posta_task *task = posta_task_create("t", NULL, POSTA_TASK_HIGH);
	struct posta_envelope *envelope;
	assert_int_equal(posta_task_set_max_attempts(task, 0), POSTA_EINVAL);
	assert_int_equal(posta_task_set_max_attempts(task, 2), POSTA_OK);
	assert_int_equal(posta__task_to_envelope(task, &envelope), POSTA_OK);
	assert_int_equal(posta_envelope_priority(envelope), 9);
	assert_int_equal(posta_task_set_max_attempts(task, 5), POSTA_ESTATE);
	posta_envelope_unref(envelope);
	posta_task_unref(task);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create__has_the_seeds_fields),
		cmocka_unit_test(ref__lives_until_the_last_unref),
		cmocka_unit_test(read__node_task__keeps_unknown_fields),
		cmocka_unit_test(read__what_lacks__is_filled),
		cmocka_unit_test(read__no_task__says_why),
		cmocka_unit_test(publish_form__carries_the_priority_and_seals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
