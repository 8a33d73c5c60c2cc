/* SPDX-License-Identifier: MIT */
#ifndef POSTA_SERVICE_H
#define POSTA_SERVICE_H

/*
 * What the event bus, the task queue and telemetry have in common: how a publication ends, how a delivery is worked
 * on, and what happens to one that fails.
 *
 * A handler runs on a thread of the subscription's own actor. What it returns decides: OK acknowledges; POSTA_EPENDING
 * leaves it to posta_job_done(), from any thread, later; any other error means try again, with back-off, and after the
 * last attempt the dead letter. Until then the broker keeps the message: a crash gives it back.
 */

#include <posta/actor.h>
#include <posta/backoff.h>
#include <posta/bridge.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The end of a publication: OK when the broker has confirmed it; text: the broker's own words otherwise, borrowed for
 * the call. Called once, on the service's thread (or that of posta_messaging_stop, with ECLOSED). Must not block.
 */
typedef void posta_done_fn(void *context, enum posta_err result, const char *text);

/* One delivery in work. Borrowed by the handler for the call; until posta_job_done() if it returned POSTA_EPENDING. */
struct posta_job;

/*
 * Ends a job whose handler returned POSTA_EPENDING, or that came as a message, exactly once; it must not be touched
 * afterwards, unless a kept message names it. result as a handler's. After posta_messaging_stop it changes nothing: the
 * broker has the delivery back. Thread: any.
 */
void posta_job_done(struct posta_job *job, enum posta_err result);
/* From 1; a task counts those that other workers made, too. */
uint32_t posta_job_attempt(const struct posta_job *job);
/* It may have been seen before: recognise it by its id. */
bool posta_job_redelivered(const struct posta_job *job);
/* Where it was read: topic or queue. Borrows: as the job. */
const char *posta_job_topic(const struct posta_job *job);
/* As the bridge delivered it, headers included. Borrows: as the job. */
const struct posta_envelope *posta_job_envelope(const struct posta_job *job);

/* A delivery that nobody will try again. */
struct posta_dead_work {
	const char *topic;               /* or queue */
	struct posta_envelope *envelope; /* as delivered; borrowed for the call, posta_envelope_ref() to keep */
	enum posta_err reason;           /* EFORMAT: not what this service reads; else the last error of the handler */
	const char *text;
	uint32_t attempts; /* 0: no handler saw it */
};
/* Called on the subscription's thread, before the message goes to its dead-letter topic or queue. Must not block. */
typedef void posta_dead_work_fn(void *context, const struct posta_dead_work *dead);

struct posta_consume_options {
	size_t size;
	uint32_t credit;              /* deliveries in work at a time (prefetch). 0: 256 events or metrics, 16 tasks */
	uint32_t attempts_max;        /* of the handler. 0: 3; a task's own maxAttempts comes first */
	struct posta_backoff backoff; /* between attempts; all zero: 1,000 ms x 2 up to 60 s, no jitter */
	bool dedicated;               /* a thread of its own, for handlers that block */
	bool from_latest;             /* events: a group without offsets begins at the end, not at the beginning */
	int qos;                      /* telemetry: 0, 1, 2; -1: 1. With NULL options: 1 */
	bool no_dead_letters;         /* only the listener hears of them */
	const char *dead_letter;      /* topic or queue; NULL: the name and ".dlq" (telemetry: none) */
	posta_dead_work_fn *on_dead;  /* listener; may be NULL */
	void *on_dead_context;
};

struct posta_subscription;

/*
 * Waits until the broker has confirmed the subscription. Thread: any number of them, none of posta's own (a host-driven
 * system is driven meanwhile). Errors: ENOMEM, ETIMEDOUT, EWRONGTHREAD, EDEAD, the broker's.
 */
enum posta_err posta_subscription_wait(struct posta_subscription *subscription, uint64_t timeout_ms,
				       struct posta_error *error);
/* Whether it is in force now. Thread: any. */
bool posta_subscription_ready(const struct posta_subscription *subscription);
/*
 * No further deliveries; those in work are finished first. Takes: the subscription. NULL is allowed. Thread: any. Those
 * that are never canceled end with posta_messaging_stop.
 */
void posta_subscription_cancel(struct posta_subscription *subscription);

/* What a service knows of its connection. */
struct posta_connection_status {
	size_t size;
	bool connected;
	enum posta_bridge_state state;
	int64_t since_ms; /* of the state, ms since 1970 */
	uint64_t reconnects;
	uint64_t published;        /* confirmed by the broker */
	uint64_t in_flight;        /* accepted and not confirmed */
	uint64_t handled;          /* deliveries acknowledged */
	uint64_t dead;             /* deliveries given up */
	uint64_t metrics_buffered; /* telemetry: waiting for the broker */
	uint64_t metrics_dropped;  /* telemetry: pushed out of the full buffer */
	char client_id[64];
	char broker_url[256]; /* redacted */
	char last_error[POSTA_ERROR_TEXT_MAX];
	char **subscriptions; /* topics, queues, filters */
	size_t subscription_count;
};
/* Frees what a status holds, not the struct itself. */
void posta_connection_status_fini(struct posta_connection_status *status);

/* Message of the actor forms: publications end as POSTA_MSG_PUBLISHED (bridge.h), deliveries come as one of these. */
enum posta_service_message {
	POSTA_MSG_EVENT = 0x7FFE1000, /* struct posta_event_message (event_bus.h) */
	POSTA_MSG_TASK                /* struct posta_task_message (task_queue.h) */
};

#ifdef __cplusplus
}
#endif
#endif
