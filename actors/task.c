/* SPDX-License-Identifier: MIT */
/* Members of a received task that we don't know are kept as the text that came, and written again behind ours. */
#include "task.h"

#include "bridges/codec/cloudevents.h"
#include "bridges/codec/number.h"
#include "bridges/codec/scan.h"
#include "bridges/codec/text.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ATTEMPTS 3u
#define ATTEMPTS_LIMIT 1000000

struct posta_task {
	_Atomic uint32_t refs;
	_Atomic bool sealed;
	char *id;
	char *type;
	char *payload; /* JSON text */
	size_t payload_len;
	enum posta_task_priority priority;
	int64_t created_at;
	_Atomic uint32_t attempts;
	uint32_t max_attempts;
	struct posta__buffer unknown; /* ,"name":value ... */
};

static struct posta_task *task_new(void)
{
	struct posta_task *task = calloc(1, sizeof *task);
	if (!task)
		return NULL;
	atomic_init(&task->refs, 1);
	atomic_init(&task->sealed, false);
	atomic_init(&task->attempts, 0);
	task->priority = POSTA_TASK_NORMAL;
	task->max_attempts = MAX_ATTEMPTS;
	task->created_at = POSTA_TIME_NONE;
	return task;
}

struct posta_task *posta_task_ref(const struct posta_task *task)
{
	struct posta_task *mine = (struct posta_task *)(uintptr_t)task;
	atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
	return mine;
}

void posta_task_unref(const struct posta_task *task)
{
	struct posta_task *mine = (struct posta_task *)(uintptr_t)task;
	if (!mine || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(mine->id);
	free(mine->type);
	free(mine->payload);
	free(mine->unknown.data);
	free(mine);
}

static char *copy(const void *text, size_t len)
{
	char *out = malloc(len + 1);
	if (out) {
		memcpy(out, text, len);
		out[len] = 0;
	}
	return out;
}

static bool set_payload(struct posta_task *task, struct posta_bytes value)
{
	free(task->payload);
	task->payload = copy(value.data, value.len);
	task->payload_len = value.len;
	return task->payload != NULL;
}

/* What a task must have and lacks. */
static bool complete(struct posta_task *task)
{
	char id[37];
	posta_uuid7(id);
	if (!task->id)
		task->id = copy(id, sizeof id - 1);
	if (!task->type)
		task->type = copy("", 0);
	if (!task->payload)
		set_payload(task, (struct posta_bytes){ "{}", 2 });
	if (task->created_at == POSTA_TIME_NONE)
		task->created_at = posta__wall_ms();
	return task->id && task->type && task->payload;
}

struct posta_task *posta_task_create(const char *type, const char *payload_json, enum posta_task_priority priority)
{
	size_t len = payload_json ? strlen(payload_json) : 0;
	if (!type || !*type || !posta__utf8_valid(type, strlen(type)) ||
	    (payload_json && posta__json_scan(payload_json, len, NULL)))
		return NULL;
	struct posta_task *task = task_new();
	if (!task)
		return NULL;
	task->type = copy(type, strlen(type));
	task->priority = priority < 0 ? POSTA_TASK_LOW : priority > POSTA_TASK_HIGH ? POSTA_TASK_HIGH : priority;
	bool made = task->type && (!payload_json || set_payload(task, posta__json_value(payload_json, len)));
	if (made && complete(task))
		return task;
	posta_task_unref(task);
	return NULL;
}

enum posta_err posta_task_set_max_attempts(struct posta_task *task, uint32_t max_attempts)
{
	if (atomic_load_explicit(&task->sealed, memory_order_acquire))
		return POSTA_ESTATE;
	if (!max_attempts || max_attempts > ATTEMPTS_LIMIT)
		return POSTA_EINVAL;
	task->max_attempts = max_attempts;
	return POSTA_OK;
}

const char *posta_task_id(const struct posta_task *task)
{
	return task->id;
}

const char *posta_task_type(const struct posta_task *task)
{
	return task->type;
}

const char *posta_task_payload(const struct posta_task *task, size_t *len)
{
	if (len)
		*len = task->payload_len;
	return task->payload;
}

enum posta_task_priority posta_task_priority(const struct posta_task *task)
{
	return task->priority;
}

int64_t posta_task_created_at(const struct posta_task *task)
{
	return task->created_at;
}

uint32_t posta_task_attempts(const struct posta_task *task)
{
	return atomic_load_explicit(&((struct posta_task *)(uintptr_t)task)->attempts, memory_order_relaxed);
}

uint32_t posta_task_max_attempts(const struct posta_task *task)
{
	return task->max_attempts;
}

void posta__task_count_attempt(struct posta_task *task)
{
	atomic_fetch_add_explicit(&task->attempts, 1, memory_order_relaxed);
}

/* -- On the wire */

static const char *priority_name(enum posta_task_priority priority)
{
	return priority >= POSTA_TASK_HIGH ? "high" : priority >= POSTA_TASK_NORMAL ? "normal" : "low";
}

char *posta_task_to_json(const struct posta_task *task, size_t *len)
{
	struct posta__buffer buffer = { 0 };
	char time[25], rest[160];
	posta_time_format(task->created_at, time);
	snprintf(rest, sizeof rest,
		 ",\"priority\":\"%s\",\"createdAt\":\"%s\",\"attempts\":%" PRIu32 ",\"maxAttempts\":%" PRIu32,
		 priority_name(task->priority), time, posta_task_attempts(task), task->max_attempts);
	posta__buffer_reserve(&buffer, task->payload_len + task->unknown.len + 256);
	posta__buffer_text(&buffer, "{\"id\":");
	posta__buffer_json(&buffer, task->id, strlen(task->id));
	posta__buffer_text(&buffer, ",\"type\":");
	posta__buffer_json(&buffer, task->type, strlen(task->type));
	posta__buffer_text(&buffer, ",\"payload\":");
	posta__buffer_add(&buffer, task->payload, task->payload_len);
	posta__buffer_text(&buffer, rest);
	posta__buffer_add(&buffer, task->unknown.data, task->unknown.len);
	posta__buffer_text(&buffer, "}");
	if (!posta__buffer_finish(&buffer))
		return NULL;
	if (len)
		*len = buffer.len;
	return buffer.data;
}

static bool is_number(struct posta_bytes raw)
{
	char first = raw.len ? *(const char *)raw.data : 0;
	return first == '-' || (first >= '0' && first <= '9');
}

static bool read_text(struct posta_bytes raw, char **to)
{
	if (!posta__json_is_text(raw))
		return true;
	free(*to);
	*to = malloc(raw.len + 1);
	if (!*to)
		return false;
	(*to)[posta__json_unescape(raw, *to)] = 0;
	return true;
}

static uint32_t read_count(struct posta_bytes raw, uint32_t otherwise)
{
	double number = is_number(raw) ? posta__number_parse(raw).number : -1;
	return number >= 0 && number <= ATTEMPTS_LIMIT ? (uint32_t)number : otherwise;
}

/* "high", or the number it stands for. */
static enum posta_task_priority read_priority(struct posta_bytes raw)
{
	if (posta__json_is_text(raw) && posta__json_equal(raw, "high", 4))
		return POSTA_TASK_HIGH;
	if (posta__json_is_text(raw) && posta__json_equal(raw, "low", 3))
		return POSTA_TASK_LOW;
	double number = is_number(raw) ? posta__number_parse(raw).number : POSTA_TASK_NORMAL;
	return number >= POSTA_TASK_HIGH     ? POSTA_TASK_HIGH
	       : number >= POSTA_TASK_NORMAL ? POSTA_TASK_NORMAL
					     : POSTA_TASK_LOW;
}

/* RFC 3339, or milliseconds as Date.now() gives them. */
static int64_t read_time(struct posta_bytes raw)
{
	int64_t time;
	if (posta__json_is_text(raw) && posta_time_parse((const char *)raw.data + 1, raw.len - 2, &time) == POSTA_OK)
		return time;
	double number = is_number(raw) ? posta__number_parse(raw).number : -1;
	return number >= 0 && number < 8.64e15 ? (int64_t)number : POSTA_TIME_NONE;
}

static bool keep_unknown(struct posta_task *task, const struct posta__json_walk *walk)
{
	posta__buffer_text(&task->unknown, ",");
	posta__buffer_add(&task->unknown, walk->name.data, walk->name.len);
	posta__buffer_text(&task->unknown, ":");
	posta__buffer_add(&task->unknown, walk->value.data, walk->value.len);
	return !task->unknown.failed;
}

static bool take_member(struct posta_task *task, const struct posta__json_walk *walk)
{
	struct posta_bytes name = walk->name, value = walk->value;
	if (posta__json_equal(name, "id", 2))
		return read_text(value, &task->id);
	if (posta__json_equal(name, "type", 4))
		return read_text(value, &task->type);
	if (posta__json_equal(name, "payload", 7))
		return set_payload(task, value);
	if (posta__json_equal(name, "priority", 8))
		task->priority = read_priority(value);
	else if (posta__json_equal(name, "createdAt", 9))
		task->created_at = read_time(value);
	else if (posta__json_equal(name, "attempts", 8))
		atomic_store_explicit(&task->attempts, read_count(value, 0), memory_order_relaxed);
	else if (posta__json_equal(name, "maxAttempts", 11))
		task->max_attempts = read_count(value, MAX_ATTEMPTS);
	else
		return keep_unknown(task, walk);
	return true;
}

static enum posta_err read_members(struct posta_task *task, struct posta_bytes object)
{
	struct posta__json_walk walk;
	bool enough = true;
	posta__json_walk(&walk, object);
	while (enough && posta__json_next(&walk))
		enough = take_member(task, &walk);
	if (!task->max_attempts)
		task->max_attempts = 1;
	return enough && complete(task) ? POSTA_OK : POSTA_ENOMEM;
}

enum posta_err posta_task_from_json(const char *json, size_t len, struct posta_task **task, struct posta_error *error)
{
	enum posta_err err = posta__json_check(json, len, error);
	if (err)
		return err;
	struct posta_bytes object = posta__json_value(json, len);
	if (*(const char *)object.data != '{')
		return posta_error_set(error, POSTA_EFORMAT, "a task is a JSON object with \"type\" and \"payload\"");
	struct posta_task *made = task_new();
	err = made ? read_members(made, object) : POSTA_ENOMEM;
	if (err) {
		posta_task_unref(made);
		return posta_error_set(error, err, "out of memory for a task");
	}
	*task = made;
	return POSTA_OK;
}

enum posta_err posta__task_to_envelope(struct posta_task *task, struct posta_envelope **envelope)
{
	struct posta_envelope *made = posta_envelope_new();
	size_t len;
	char *json = made ? posta_task_to_json(task, &len) : NULL;
	enum posta_err err = json ? posta_envelope_wrap_body(made, json, len, free, json) : POSTA_ENOMEM;
	if (!err)
		err = posta_envelope_set_text(made, POSTA_ATTR_CONTENT_TYPE, "application/json");
	if (err) {
		posta_envelope_unref(made);
		return err;
	}
	posta_envelope_set_priority(made, (int)task->priority);
	atomic_store_explicit(&task->sealed, true, memory_order_release);
	*envelope = made;
	return POSTA_OK;
}
