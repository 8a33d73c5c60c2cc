/* SPDX-License-Identifier: MIT */
#include "task_queue.h"

#include "bridges/names.h"
#include "task.h"

#include <stdlib.h>
#include <string.h>

#define CREDIT 16u
#define PRIORITY_MAX 10

const struct posta__service_kind posta__task_queue_kind = { .name = "task_queue", .queue = true };

/* -- Publishing */

static enum posta_err prepare(struct posta_task_queue *queue, const char *name, struct posta_task *task,
			      struct posta__publication **publication, struct posta_error *error)
{
	struct posta_envelope *envelope;
	if (!name || !task)
		return posta_error_set(error, POSTA_EINVAL, "a task and the queue it goes to are needed");
	enum posta_err err = posta__name_check(POSTA__NAME_AMQP, name, error);
	if (err)
		return err;
	err = posta__task_to_envelope(task, &envelope);
	if (!err) {
		*publication = posta__publication_new(&queue->service, name, envelope);
		err = *publication ? POSTA_OK : POSTA_ENOMEM;
	}
	if (err)
		return posta_error_set(error, err, "a task: %s", posta_strerror(err));
	(*publication)->target.queue_priority_max = PRIORITY_MAX;
	return POSTA_OK;
}

enum posta_err posta_task_queue_publish(struct posta_task_queue *queue, const char *name, struct posta_task *task,
					posta_done_fn *on_done, void *context)
{
	struct posta__publication *publication;
	enum posta_err err = prepare(queue, name, task, &publication, NULL);
	return err ? err : posta__publication_submit(publication, on_done, context);
}

enum posta_err posta_task_queue_publish_from(struct posta_actor *self, struct posta_task_queue *queue, const char *name,
					     struct posta_task *task, uint64_t cookie)
{
	struct posta__publication *publication;
	enum posta_err err = prepare(queue, name, task, &publication, NULL);
	return err ? err : posta__publication_submit_from(publication, self, cookie);
}

enum posta_err posta_task_queue_publish_wait(struct posta_task_queue *queue, const char *name, struct posta_task *task,
					     uint64_t timeout_ms, struct posta_error *error)
{
	struct posta__publication *publication;
	enum posta_err err = prepare(queue, name, task, &publication, error);
	return err ? err : posta__publication_submit_wait(publication, timeout_ms, error);
}

/* -- Subscribing */

static enum posta_err decode(struct posta_job *job, struct posta_error *error)
{
	struct posta_bytes body = posta_envelope_body(job->envelope);
	struct posta_task *task;
	enum posta_err err = posta_task_from_json(body.data ? body.data : "", body.len, &task, error);
	if (err)
		return err;
	job->item = task;
	job->attempt = posta_task_attempts(task);
	return POSTA_OK;
}

static void release(void *item)
{
	posta_task_unref(item);
}

static enum posta_err handle(struct posta_subscription *subscription, struct posta_job *job)
{
	posta_task_fn *handler = (posta_task_fn *)subscription->handler;
	return handler(subscription->context, job->item, job);
}

static enum posta_err pass_on(struct posta_subscription *subscription, struct posta_job *job)
{
	const struct posta_task_message message = { job->item, job };
	(void)subscription;
	return posta__job_pass_on(job, POSTA_MSG_TASK, &message, sizeof message);
}

static uint32_t failed(struct posta_job *job)
{
	posta__task_count_attempt(job->item);
	return posta_task_max_attempts(job->item);
}

/* The task as it is now, with its attempts. */
static struct posta_envelope *bury(struct posta_job *job)
{
	struct posta_envelope *envelope = posta_envelope_ref(job->envelope);
	size_t len;
	char *json = posta_task_to_json(job->item, &len);
	if (json && posta_envelope_edit(&envelope) == POSTA_OK) {
		if (posta_envelope_wrap_body(envelope, json, len, free, json) == POSTA_OK)
			return envelope;
	} else {
		free(json);
	}
	posta_envelope_unref(envelope);
	return NULL;
}

static const struct posta__consumer_kind by_handler = {
	.decode = decode,
	.release = release,
	.handle = handle,
	.failed = failed,
	.bury = bury,
};
static const struct posta__consumer_kind by_actor = {
	.decode = decode,
	.release = release,
	.handle = pass_on,
	.failed = failed,
	.bury = bury,
};

static struct posta_subscription *subscribe(struct posta_task_queue *queue, const char *name,
					    struct posta__subscribe *what, struct posta_error *error)
{
	char dead[POSTA__AMQP_NAME_MAX + 8];
	if (!name) {
		posta_error_set(error, POSTA_EINVAL, "a subscription needs a queue");
		return NULL;
	}
	if (posta__name_check(POSTA__NAME_AMQP, name, error))
		return NULL;
	strcpy(dead, name); /* checked: at most POSTA__AMQP_NAME_MAX */
	strcat(dead, ".dlq");
	what->name = name;
	what->source = (struct posta_source){ .queue = name, .queue_priority_max = PRIORITY_MAX, .qos = -1 };
	what->dead_letter = strlen(dead) <= POSTA__AMQP_NAME_MAX ? dead : NULL;
	what->credit = CREDIT;
	return posta__service_subscribe(&queue->service, what, error);
}

struct posta_subscription *posta_task_queue_subscribe(struct posta_task_queue *queue, const char *name,
						      posta_task_fn *handler, void *context,
						      const struct posta_consume_options *options,
						      struct posta_error *error)
{
	struct posta__subscribe what = {
		.kind = &by_handler, .options = options, .handler = (void (*)(void))handler, .context = context
	};
	if (!handler) {
		posta_error_set(error, POSTA_EINVAL, "a subscription needs a handler");
		return NULL;
	}
	return subscribe(queue, name, &what, error);
}

struct posta_subscription *posta_task_queue_subscribe_actor(struct posta_task_queue *queue, const char *name,
							    posta_ref actor,
							    const struct posta_consume_options *options,
							    struct posta_error *error)
{
	struct posta__subscribe what = { .kind = &by_actor, .options = options, .actor = actor };
	return subscribe(queue, name, &what, error);
}

enum posta_err posta_task_queue_connection_status(struct posta_task_queue *queue,
						  struct posta_connection_status *status)
{
	return posta__service_status(&queue->service, status);
}

char *posta_task_queue_connection_status_json(struct posta_task_queue *queue)
{
	return posta__service_status_json(&queue->service);
}
