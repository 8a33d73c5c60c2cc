/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TASK_QUEUE_H
#define POSTA_TASK_QUEUE_H

/*
 * Tasks, and the queue of them on RabbitMQ (or any bridge with work queues): each task is done by one worker.
 * Queues are durable with x-max-priority 10, tasks persistent, mandatory and confirmed. The body of a task is
 * {"id", "type", "payload", "priority", "createdAt", "attempts", "maxAttempts"}. Thread: any.
 */

#include <posta/service.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POSTA_TASK_ENVIAR_EMAIL "task.enviar-email"
#define POSTA_TASK_ENVIAR_SMS "task.enviar-sms"
#define POSTA_TASK_GENERAR_REPORTE "task.generar-reporte"
#define POSTA_TASK_PROCESAR_IMAGEN "task.procesar-imagen"
#define POSTA_TASK_LIMPIAR_DATOS "task.limpiar-datos"
#define POSTA_TASK_BACKUP "task.backup"

/* "low", "normal", "high" on the wire; the value is the message's priority in the queue. */
enum posta_task_priority { POSTA_TASK_LOW = 1, POSTA_TASK_NORMAL = 5, POSTA_TASK_HIGH = 9 };

struct posta_task;

/*
 * payload_json: any JSON value, copied; NULL: {}. Three attempts. Returns: owned; NULL: out of memory, type empty or
 * NULL, payload_json no JSON.
 */
struct posta_task *posta_task_create(const char *type, const char *payload_json, enum posta_task_priority priority);
/* Returns: the same one. The last unref frees it; NULL is allowed there. Thread: any. */
struct posta_task *posta_task_ref(const struct posta_task *task);
void posta_task_unref(const struct posta_task *task);
/* 1 to 1,000,000. Errors: EINVAL, ESTATE (published already). */
enum posta_err posta_task_set_max_attempts(struct posta_task *task, uint32_t max_attempts);

/* Borrows: as long as the task. */
const char *posta_task_id(const struct posta_task *task);
const char *posta_task_type(const struct posta_task *task);
const char *posta_task_payload(const struct posta_task *task, size_t *len); /* JSON text; len may be NULL */
enum posta_task_priority posta_task_priority(const struct posta_task *task);
int64_t posta_task_created_at(const struct posta_task *task); /* ms since 1970 */
uint32_t posta_task_attempts(const struct posta_task *task);  /* failed ones so far */
uint32_t posta_task_max_attempts(const struct posta_task *task);
/* The form on the wire, unknown fields of a received one included. Returns: owned, free(); NULL when out of memory. */
char *posta_task_to_json(const struct posta_task *task, size_t *len);
/*
 * What lacks id, createdAt, priority, attempts or maxAttempts gets them. Errors: EFORMAT (says why), ETOOBIG, ENOMEM.
 */
enum posta_err posta_task_from_json(const char *json, size_t len, struct posta_task **task, struct posta_error *error);

struct posta_task_queue;

/* As the event bus does it: see event_bus.h. */
enum posta_err posta_task_queue_publish(struct posta_task_queue *queue, const char *name, struct posta_task *task,
					posta_done_fn *on_done, void *context);
enum posta_err posta_task_queue_publish_from(struct posta_actor *self, struct posta_task_queue *queue, const char *name,
					     struct posta_task *task, uint64_t cookie);
enum posta_err posta_task_queue_publish_wait(struct posta_task_queue *queue, const char *name, struct posta_task *task,
					     uint64_t timeout_ms, struct posta_error *error);

typedef enum posta_err posta_task_fn(void *context, const struct posta_task *task, struct posta_job *job);

/* options.credit is the prefetch. A task whose last attempt failed goes to "<name>.dlq". */
struct posta_subscription *posta_task_queue_subscribe(struct posta_task_queue *queue, const char *name,
						      posta_task_fn *handler, void *context,
						      const struct posta_consume_options *options,
						      struct posta_error *error);
/* The same for an actor. */
struct posta_task_message { /* payload of POSTA_MSG_TASK; rules as of struct posta_event_message */
	const struct posta_task *task;
	struct posta_job *job;
};
struct posta_subscription *posta_task_queue_subscribe_actor(struct posta_task_queue *queue, const char *name,
							    posta_ref actor,
							    const struct posta_consume_options *options,
							    struct posta_error *error);

/* As of the event bus. */
enum posta_err posta_task_queue_connection_status(struct posta_task_queue *queue,
						  struct posta_connection_status *status);
char *posta_task_queue_connection_status_json(struct posta_task_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
