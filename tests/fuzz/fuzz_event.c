/* SPDX-License-Identifier: MIT */
/* Input: the body of an event or of a task, as any service may send it. What is read can be written and read again. */
#include "check.h"

#include "actors/event.h"
#include "actors/task.h"
#include "bridges/codec/scan.h"

static void check_json(const char *json, size_t len)
{
	CHECK(strlen(json) == len);
	CHECK(posta__json_scan(json, len, NULL) == POSTA_OK);
}

static void check_event(const struct posta_event *event)
{
	struct posta_event *again = NULL;
	char *json, text[32];
	size_t len;

	check_json(posta_event_data(event, &len), strlen(posta_event_data(event, NULL)));
	CHECK(len == strlen(posta_event_data(event, NULL)));
	posta_event_data_text(event, "a.b", text, sizeof text);
	CHECK(posta_event_to_json(event, &json, &len) == POSTA_OK);
	if (posta__json_scan(json, len, NULL) == POSTA_ETOOBIG) { /* only because the data went one level deeper */
		free(json);
		return;
	}
	check_json(json, len);
	CHECK(posta_event_from_json(json, len, &again, NULL) == POSTA_OK);
	CHECK(strcmp(posta_event_id(event), posta_event_id(again)) == 0);
	CHECK(strcmp(posta_event_type(event), posta_event_type(again)) == 0);
	CHECK(strcmp(posta_event_data(event, NULL), posta_event_data(again, NULL)) == 0);
	posta_event_unref(again);
	free(json);
}

/* As it comes from a bridge: with a type, which makes the body its data, or without. */
static void delivered(const uint8_t *data, size_t size, const char *type)
{
	struct posta_envelope *envelope = posta_envelope_new(), *published;
	struct posta_event *event = NULL;

	CHECK(envelope && posta_envelope_set_body(envelope, data, size) == POSTA_OK);
	CHECK(posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, type) == POSTA_OK);
	if (posta__event_from_envelope(envelope, &event, NULL) == POSTA_OK) {
		check_event(event);
		CHECK(posta__event_to_envelope(event, &published) == POSTA_OK);
		posta_envelope_unref(published);
	}
	posta_event_unref(event);
	posta_envelope_unref(envelope);
}

static void check_task(const uint8_t *data, size_t size)
{
	struct posta_task *task = NULL, *again = NULL;
	struct posta_error error = { 0 };
	size_t len;

	if (posta_task_from_json((const char *)data, size, &task, &error)) {
		CHECK(error.text[0] && !task);
		return;
	}
	CHECK(posta_task_max_attempts(task) >= 1);
	check_json(posta_task_payload(task, NULL), strlen(posta_task_payload(task, NULL)));
	posta__task_count_attempt(task);
	char *json = posta_task_to_json(task, &len);
	CHECK(json);
	check_json(json, len);
	CHECK(posta_task_from_json(json, len, &again, NULL) == POSTA_OK);
	CHECK(strcmp(posta_task_id(task), posta_task_id(again)) == 0);
	CHECK(strcmp(posta_task_payload(task, NULL), posta_task_payload(again, NULL)) == 0);
	CHECK(posta_task_priority(task) == posta_task_priority(again));
	posta_task_unref(again);
	posta_task_unref(task);
	free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	delivered(data, size, NULL);
	delivered(data, size, "reserva.creada");
	check_task(data, size);
	return 0;
}
