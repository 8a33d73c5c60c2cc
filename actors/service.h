/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_SERVICE_H
#define POSTA_ACTORS_SERVICE_H

/*
 * What the three services share. A service is an object that lives from start to free, and an actor of its own for the
 * publications; each subscription is an actor again, beside it under the same supervisor. What must survive a restart
 * of an actor is in the object; after the start only that actor's thread touches it, unless said otherwise.
 */

#include <posta/service.h>
#include <posta/supervisor.h>
#include <posta/timer.h>

#include <pthread.h>
#include <stdatomic.h>

struct posta__service;

enum posta__service_message {
	POSTA__SERVICE_PUBLISH = 1, /* slice of a publication */
	POSTA__SERVICE_PUBLISH_ASK, /* pointer to one; the answer is a struct posta_published */
	POSTA__SERVICE_SUBSCRIBE,   /* pointer to a subscription, as all below */
	POSTA__SERVICE_CANCEL,
	POSTA__SERVICE_CANCELED,
	POSTA__SERVICE_AWAIT_SUBSCRIBED, /* ask: struct posta__await; the answer is a struct posta_subscribed */
	POSTA__SERVICE_AWAIT_CONNECTED,  /* ask */
	POSTA__SERVICE_DRAIN,            /* ask; answered when nothing is in flight nor in work */
	POSTA__SERVICE_PROGRESS          /* from a subscription: look again */
};

/* -- Publishing (service.c) */

struct posta__publication {
	_Atomic uint32_t refs;
	struct posta__service *service;
	struct posta__publication *next, *previous;
	struct posta_envelope *envelope;
	struct posta_target target; /* its name is behind the struct */
	posta_done_fn *on_done;
	void *context;
	posta_ref actor; /* wants POSTA_MSG_PUBLISHED */
	uint64_t cookie;
	struct posta_caller caller; /* waits for an answer */
	bool asked;
	bool linked;            /* in the service's list */
	_Atomic bool taken;     /* the service has seen it */
	_Atomic bool abandoned; /* who asked has gone before that */
	char name[];
};

/* A list of publications, oldest first. */
struct posta__publications {
	struct posta__publication *first, *last;
	uint32_t count;
};

struct posta__service_kind {
	const char *name;
	bool queue; /* the name is a queue's, not a topic's */
	/* Optional: instead of handing it to the bridge at once. */
	void (*publish)(struct posta_actor *self, struct posta__service *service,
			struct posta__publication *publication);
	/* Optional: the connection is there (again). */
	void (*connected)(struct posta_actor *self, struct posta__service *service);
};

struct posta__service {
	const struct posta__service_kind *kind;
	struct posta_system *system;
	struct posta_bridge *bridge;
	posta_ref supervisor;
	posta_ref ref;
	uint32_t in_flight_max;
	_Atomic uint32_t in_flight; /* accepted and not ended; any thread */
	_Atomic uint32_t unsettled; /* deliveries in work; any thread */
	_Atomic uint32_t stopping;  /* subscriptions that were told to stop and have not yet; any thread */
	_Atomic uint64_t handled, dead, dropped;
	_Atomic uint32_t waiting; /* in the ring; any thread reads */
	_Atomic bool closed;      /* takes nothing new */
	struct posta__publications flying;
	struct posta__publications ring;
	uint32_t ring_max;
	bool is_connected;
	bool draining, connect_asked, drain_asked;
	struct posta_caller connect_caller, drain_caller;
	uint32_t next_serial;
	pthread_mutex_t lock; /* of the list and what is said there */
	struct posta_subscription *subscriptions;
};

enum posta_err posta__service_init(struct posta__service *service, const struct posta__service_kind *kind,
				   struct posta_system *system, struct posta_bridge *bridge, posta_ref supervisor,
				   uint32_t in_flight_max);
/* Starts the actor. Blocks; thread: none of posta's own. */
enum posta_err posta__service_start(struct posta__service *service, uint64_t timeout_ms);
/* After all its actors have ended: what is left ends with ECLOSED. */
void posta__service_end(struct posta__service *service);
/* Frees what it holds. Also on one that never started. */
void posta__service_fini(struct posta__service *service);

/* Takes: envelope. Returns: owned; NULL when out of memory. */
struct posta__publication *posta__publication_new(struct posta__service *service, const char *name,
						  struct posta_envelope *envelope);
/*
 * Hands it to the service's actor; its end is told to on_done, as a message to self, or by the return. Takes:
 * publication, also on an error, when its end is not told. Thread: any; _wait: none of posta's own.
 */
enum posta_err posta__publication_submit(struct posta__publication *publication, posta_done_fn *on_done, void *context);
enum posta_err posta__publication_submit_from(struct posta__publication *publication, const struct posta_actor *self,
					      uint64_t cookie);
enum posta_err posta__publication_submit_wait(struct posta__publication *publication, uint64_t timeout_ms,
					      struct posta_error *error);
/* Service's thread. */
void posta__service_hand_over(struct posta_actor *self, struct posta__service *service,
			      struct posta__publication *publication);
void posta__publication_end(struct posta_actor *self, struct posta__publication *publication, enum posta_err result,
			    const char *text);
void posta__publications_add(struct posta__publications *list, struct posta__publication *publication);
struct posta__publication *posta__publications_take(struct posta__publications *list);

/* -- Subscriptions (subscription.c from any thread, consumer.c the actor) */

struct posta__consumer_kind {
	bool keyed; /* jobs of one key one after the other */
	/* Reads the envelope into job->item, and sets job->key where keyed. Errors: EFORMAT: a dead letter. */
	enum posta_err (*decode)(struct posta_job *job, struct posta_error *error);
	void (*release)(void *item);
	enum posta_err (*handle)(struct posta_subscription *subscription, struct posta_job *job);
	/* Optional. A failed attempt; returns the most there may be, or 0: as the options say. */
	uint32_t (*failed)(struct posta_job *job);
	/* Optional. The envelope for the dead letters, unshared. NULL: that which was delivered. */
	struct posta_envelope *(*bury)(struct posta_job *job);
};

struct posta__await {
	struct posta_subscription *subscription;
	uint64_t until_ns; /* then whoever asks has given up */
};

/* Somebody who waits until a subscription is in force, or could not be. */
struct posta__waiter {
	struct posta__waiter *next;
	struct posta_caller caller;
	uint64_t until_ns;
};

#define POSTA__LANES 1024u

struct posta__lane {
	struct posta_job *first, *last;
};

/* Its jobs keep it: an actor may let go of one long after the subscription has ended, and the service with it. */
struct posta_subscription {
	_Atomic uint32_t refs;
	struct posta_system *system;
	struct posta__service *service;
	const struct posta__consumer_kind *kind;
	struct posta_subscription *next; /* in the service's list, under its lock */
	struct posta_consume_options options;
	struct posta_source source;
	void (*handler)(void);
	void *context;
	posta_ref actor;   /* of the actor forms */
	char *name;        /* topic, queue or filter as the user said it */
	char *dead_letter; /* NULL: none */
	char *group;
	uint32_t serial;
	_Atomic posta_ref ref;
	_Atomic int state;             /* enum posta_err of the subscription; EPENDING: not in force yet */
	struct posta__waiter *waiters; /* under the service's lock, as text */
	bool cancel_wanted, started;   /* the service's thread */
	char text[POSTA_ERROR_TEXT_MAX];
	uint32_t number;     /* the bridge's; from here on its actor's own */
	uint32_t generation; /* of the connection that delivers now */
	bool subscribed, ending, canceled;
	uint32_t job_count;
	struct posta_job *jobs;
	struct posta__lane *lanes;
};

enum posta__hold {
	POSTA__SETTLED, /* no handler has it: not yet, or posta_job_done() was called */
	POSTA__HELD,
	POSTA__ORPHANED /* a handler has it, and nobody waits for it any more */
};

struct posta_job {
	_Atomic uint32_t refs;
	_Atomic int hold; /* enum posta__hold */
	struct posta_subscription *subscription;
	struct posta_job *next, *previous; /* of the subscription */
	struct posta_job *behind;          /* in its lane */
	struct posta__lane *lane;
	struct posta_envelope *envelope;
	struct posta_token token;
	void *item;
	const char *key;
	uint32_t attempt;
	uint64_t waited_ms;
	posta_timer timer;
	enum posta_err verdict; /* of posta_job_done */
	enum posta_err reason;  /* of its burial */
	uint8_t phase;
	bool redelivered;
	bool told; /* the listener has heard of it */
	char text[POSTA_ERROR_TEXT_MAX];
};

/* What to subscribe: name is the topic, queue or filter; group may be NULL. Copies. */
struct posta__subscribe {
	const struct posta__consumer_kind *kind;
	const char *name;
	const char *group;
	const char *dead_letter; /* default; NULL: none */
	struct posta_source source;
	const struct posta_consume_options *options;
	uint32_t credit;
	void (*handler)(void);
	void *context;
	posta_ref actor;
};
/* Thread: any. */
struct posta_subscription *posta__service_subscribe(struct posta__service *service, const struct posta__subscribe *what,
						    struct posta_error *error);
void posta__subscription_unref(struct posta_subscription *subscription);
/* Notes what it came to, and tells all who wait for it. text NULL: as it is. Thread: its actor's, the service's. */
void posta__subscription_result(struct posta_actor *self, struct posta_subscription *subscription,
				enum posta_err result, const char *text);
struct posta_child_spec posta__consumer_spec(struct posta_subscription *subscription, const char *id);
enum { POSTA__CONSUMER_STOP = 1, POSTA__CONSUMER_DONE, POSTA__CONSUMER_AGAIN };

/*
 * To the subscription's actor, as a message of size bytes that names the job. Returns: EPENDING: the actor has it, or
 * posta_job_done() was called for it; ENOMEM.
 */
enum posta_err posta__job_pass_on(struct posta_job *job, uint32_t type, const void *message, size_t size);

/* -- Status (status.c) */
enum posta_err posta__service_status(struct posta__service *service, struct posta_connection_status *status);
char *posta__service_status_json(struct posta__service *service);

#endif
