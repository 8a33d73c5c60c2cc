/* SPDX-License-Identifier: MIT */
/*
 * Tasks: a worker that fails once and succeeds at the second attempt. Runs on the embedded broker, or on RabbitMQ:
 * RABBITMQ_URL=amqp://guest:guest@localhost ./task_queue
 */
#include <posta/messaging.h>

#include <semaphore.h>
#include <stdio.h>

static enum posta_err on_task(void *context, const struct posta_task *task, struct posta_job *job)
{
	printf("%s %s, attempt %u\n", posta_task_type(task), posta_task_payload(task, NULL), posta_job_attempt(job));
	if (posta_job_attempt(job) == 1)
		return POSTA_EIO; /* again after the back-off; after the last attempt to email.dlq */
	sem_post(context);
	return POSTA_OK;
}

int main(void)
{
	struct posta_messaging *messaging;
	struct posta_error error;
	struct posta_consume_options options = { .size = sizeof options,
						 .credit = 8,
						 .backoff = { .initial_ms = 20, .factor = 2 } };
	sem_t done;
	sem_init(&done, 0, 0);
	if (posta_messaging_start(NULL, &messaging, &error)) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	struct posta_task_queue *queue = posta_messaging_task_queue(messaging);
	struct posta_task *task =
		posta_task_create(POSTA_TASK_ENVIAR_EMAIL, "{\"to\":\"user@example.com\"}", POSTA_TASK_HIGH);
	bool good = posta_task_queue_subscribe(queue, "email", on_task, &done, &options, &error) &&
		    posta_task_queue_publish_wait(queue, "email", task, 10000, &error) == POSTA_OK;
	if (good)
		sem_wait(&done);
	else
		fprintf(stderr, "%s\n", error.text);
	posta_task_unref(task);
	posta_messaging_free(messaging);
	sem_destroy(&done);
	return good ? 0 : 1;
}
