/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_BRIDGE_H
#define POSTA_BRIDGES_BRIDGE_H

/*
 * The common part of all bridges, shared by its files:
 *
 *   bridge.c        open, close, status: any thread
 *   front.c         the front actor: what a bridge's users talk to; durable
 *   pending.c       publications without a confirmation
 *   subscription.c  subscriptions and their unsettled deliveries
 *   question.c      questions and their replies
 *   connection.c    the connection actor, which fails and is restarted, and what a broker's file calls
 *   target.c        targets, prepared
 *
 *   users ──messages──▶ front ──plain calls──▶ ops (one broker's file)
 *                         ▲                      │
 *                         └─────plain calls──────┘      supervisor ─▶ connection
 *
 * Front and connection live pinned on the same worker, so that they, and the broker's file between them, call each
 * other directly and need no lock. Only what status reads is shared with other threads: counters are atomics, the
 * rest is under a lock that is taken on a change of state.
 */

#include "bridges/ids.h"

#include <posta/bridge_ops.h>
#include <posta/supervisor.h>
#include <posta/timer.h>
#include <posta/watch.h>

#include <pthread.h>
#include <stdatomic.h>

#define POSTA__OFFER_MAX 256u        /* publications handed to a broker's file at a time */
#define POSTA__OFFER_ATTEMPTS_MAX 8u /* of one publication, when the broker says "later" */
#define POSTA__SUBSCRIPTIONS_MAX 4096u

/* -- Messages that hold references -- */

/*
 * The payload becomes a slice of itself: so what it refers to is let go of wherever it ends. Returns: it, behind the
 * slice.
 */
static inline void *posta__payload_own(struct posta_message *message, size_t size,
				       void (*release)(void *data, void *context))
{
	struct posta_slice *slice = (struct posta_slice *)(void *)message->payload_;
	*slice = (struct posta_slice){ .data = slice + 1, .size = size, .release = release };
	message->bits_ |= POSTA_BIT_SLICE_;
	return slice + 1;
}

#define POSTA__PAYLOAD_OWN_SIZE(size) (sizeof(struct posta_slice) + (size))

/* -- Targets -- */

struct posta_route_target {
	_Atomic(uint32_t) refs;
	struct posta_target target; /* strings owned, behind the struct */
};

struct posta_route_target *posta__target_make(const struct posta_bridge_ops *ops, const struct posta_target *target,
					      struct posta_error *error);
struct posta_route_target *posta__target_ref(struct posta_route_target *target);

/* -- Publications -- */

enum posta__pending_state { POSTA__PENDING_WAITS, POSTA__PENDING_OFFERED };

/*
 * Lies in the message that brought it, which the front keeps as long, and in which its publisher is told of its end: so
 * that no lack of memory can keep that back.
 */
struct posta__pending {
	struct posta_message *message;
	struct posta_publication publication; /* its envelope is a reference of ours */
	struct posta_route_target *target;
	posta_ref publisher;
	uint64_t cookie;
	uint64_t question; /* its number; 0: it is none */
	size_t bytes;
	uint32_t timeout_ms; /* of a question */
	uint8_t attempts;
	uint8_t state; /* enum posta__pending_state */
};

/* A ring by id: the first is the oldest without a confirmation. */
struct posta__pendings {
	struct posta__pending **ring; /* NULL: has its confirmation */
	uint32_t room; /* a power of two */
	uint32_t count;
	uint64_t first_id;
	uint64_t next_offer; /* all before it are offered or confirmed */
	size_t bytes;
	bool full; /* the broker's file took less than offered */
	bool held; /* the broker takes none now */
	posta_timer retry;
};

/* Returns: the message for the front, owned; NULL when out of memory. */
struct posta_message *posta__pending_make(struct posta_actor *self, struct posta_route_target *target,
					  struct posta_envelope *envelope, uint64_t cookie);
/* Out of the message in work, which becomes the pending's own. Thread: the front's. */
struct posta__pending *posta__pending_take(struct posta_bridge *bridge, struct posta_message *message);
static inline struct posta__pending *posta__pending_of(const struct posta_message *message)
{
	return posta_data(message);
}

/* Lets go of all it refers to. Returns: its message, owned, with room for what is told to its publisher. */
struct posta_message *posta__pending_empty(struct posta__pending *pending);
/* Takes: pending, always; what cannot be taken in is answered. */
void posta__pending_accept(struct posta_bridge *bridge, struct posta__pending *pending);
/* Offers what waits, if there is a connection. */
void posta__pending_offer(struct posta_bridge *bridge);
void posta__pending_confirm(struct posta_bridge *bridge, uint64_t id, enum posta_err result, const char *text);
void posta__pending_confirm_through(struct posta_bridge *bridge, uint64_t id);
/* The connection is gone: all of it waits again. */
void posta__pending_reset(struct posta_bridge *bridge);
/* Nobody will confirm it any more: each publisher is told. */
void posta__pending_fail_all(struct posta_bridge *bridge, enum posta_err result);
void posta__pending_fini(struct posta_bridge *bridge);

/* -- Questions -- */

struct posta__question;

struct posta__questions {
	/* For any thread */
	char tag[37]; /* of this bridge in this run: the first part of correlation ids */
	char address[POSTA_REPLY_ADDRESS_SIZE];
	struct posta_source source; /* of replies; its strings are in address */
	_Atomic(uint64_t) last_number;
	/* The worker's */
	struct posta__question **buckets; /* by number */
	struct posta__question *held, **held_end;
	uint32_t count;
	uint32_t subscription; /* of source; 0: none yet */
	bool heard;            /* replies would come now */
};

void posta__questions_init(struct posta_bridge *bridge);
/* A pending that asks something is about to be taken in. False: it was kept or refused. */
bool posta__question_open(struct posta_bridge *bridge, struct posta__pending *pending);
/* What became of its publication. */
void posta__question_published(struct posta_bridge *bridge, uint64_t number, enum posta_err result, const char *text);
void posta__question_overdue(struct posta_bridge *bridge, uint64_t number);
void posta__questions_subscribed(struct posta_bridge *bridge, const struct posta_subscribed *subscribed);
void posta__questions_delivered(struct posta_bridge *bridge, const struct posta_delivery *delivery);
/* The connection is gone: what is asked next waits for the subscription. */
void posta__questions_down(struct posta_bridge *bridge);
/* No reply is wanted any more: the broker may forget where they went. */
void posta__questions_unsubscribe(struct posta_bridge *bridge);
void posta__questions_fini(struct posta_bridge *bridge);

/* -- Subscriptions -- */

struct posta__subscription {
	uint32_t id;
	posta_ref subscriber;
	posta_monitor monitor;
	struct posta_source source; /* strings owned, behind the struct */
	struct posta__ids unsettled;
	bool active; /* subscribed in this connection */
	bool paused_by_user, paused_by_credit;
	bool ending;  /* unsubscribed; waits for its last settlements */
	bool spent;   /* the broker's file was told that the credit is used up */
	bool touched; /* in the bridge's list of those that the next flush looks at */
	struct posta__subscription *next_touched;
	int64_t lag; /* -1: not known */
	posta_timer retry;
	/* Settlements gathered for one call: room for some is there from the beginning. */
	uint64_t *batch;
	uint32_t batch_count, batch_room;
	enum posta_outcome batch_outcome;
};

struct posta__subscription *posta__subscription_make(posta_ref subscriber, const struct posta_source *source);
void posta__subscription_free(struct posta__subscription *subscription);
struct posta__subscription *posta__subscription_find(struct posta_bridge *bridge, uint32_t id);
/* Takes: subscription. */
void posta__subscription_add(struct posta_bridge *bridge, struct posta__subscription *subscription);
void posta__subscription_end(struct posta_bridge *bridge, struct posta__subscription *subscription);
/* Ends it once its last delivery is settled: until then it is paused, and nothing new is taken. */
void posta__subscription_end_later(struct posta_bridge *bridge, struct posta__subscription *subscription);
void posta__subscription_pause(struct posta_bridge *bridge, uint32_t id, bool pause);
void posta__subscription_seek(struct posta_bridge *bridge, uint32_t id, struct posta_position position);
void posta__subscriptions_up(struct posta_bridge *bridge);
/* The connection is gone: unsettled deliveries are void, the broker sends them again. */
void posta__subscriptions_down(struct posta_bridge *bridge);
void posta__subscriptions_stop_intake(struct posta_bridge *bridge);
void posta__subscriptions_fini(struct posta_bridge *bridge);
void posta__subscriber_ended(struct posta_bridge *bridge, posta_ref subscriber);
/* The watch of its subscriber lacked memory; tried again. What can't be watched is ended, and told so. */
void posta__subscription_watch(struct posta_bridge *bridge, uint32_t id);
/* Returns: whether the monitor is a subscription's. */
bool posta__subscription_watch_again(struct posta_bridge *bridge, posta_monitor monitor);
void posta__subscription_answer(struct posta_bridge *bridge, struct posta__subscription *subscription,
				enum posta_err result, const char *text);
void posta__settle_one(struct posta_bridge *bridge, const struct posta_token *token, enum posta_outcome outcome);
/* Hands gathered settlements down, and pauses and resumes by credit. */
void posta__settle_flush(struct posta_bridge *bridge);
/* Unsubscribed ones whose last delivery was settled. */
void posta__subscriptions_reap(struct posta_bridge *bridge);

/* -- The bridge -- */

struct posta_bridge {
	_Atomic(uint32_t) refs;
	struct posta_system *system;
	const struct posta_bridge_ops *ops;
	struct posta_bridge_options options; /* defaults filled in; strings owned */
	char *strings;                       /* their memory */
	const char *url;
	posta_ref public_ref; /* the front, for any thread */
	_Atomic(uint32_t) next_subscription;
	_Atomic(bool) ended; /* the front has stopped */
	/* The worker's */
	struct posta_actor *front, *connection;
	posta_ref front_ref, supervisor;
	void *state;    /* of ops; NULL: no connection */
	posta_timer timer;
	bool up;        /* between posta_bridge_up and the end of the connection */
	bool failing;   /* posta_bridge_down was called */
	bool permanent; /* for a reason that trying again does not cure */
	bool closing, finishing;
	struct posta_message *flush_message; /* made once, so that no flush lacks memory; NULL: it is on its way */
	uint32_t generation; /* of the connection */
	uint64_t next_id;
	struct posta__pendings pendings;
	struct posta__subscription **subscriptions;
	uint32_t subscription_count, subscription_room;
	struct posta__subscription **by_id; /* the same by id: open addressing, at most half full */
	uint32_t by_id_room;                /* a power of two */
	uint32_t ending_count;
	int32_t lags_known;
	int64_t lag_sum; /* of those that are known */
	struct posta__subscription *touched;
	struct posta__questions questions;
	posta_ref *watchers;
	uint32_t watcher_count, watcher_room;
	/* Status */
	_Atomic(uint64_t) connects, published, publish_failed, pending_count, delivered, redelivered, settled, stale,
		unsettled, late_replies;
	_Atomic(uint32_t) subscribed;
	_Atomic(int64_t) lag;
	pthread_mutex_t lock;
	enum posta_bridge_state public_state;
	int64_t since_ms;
	uint64_t restarts;
	bool public_permanent;
	char last_error[POSTA_ERROR_TEXT_MAX];
};

void posta__bridge_unref(struct posta_bridge *bridge);

static inline void posta__bump(_Atomic(uint64_t) *counter, int64_t n)
{
	/* One writer, the bridge's worker. Relaxed: each figure for itself. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + (uint64_t)n,
			      memory_order_relaxed);
}

/* -- front.c -- */

enum posta__front_message {
	POSTA__FRONT_BEGIN = 0x7FFE0100,
	POSTA__FRONT_PUBLISH,              /* posta__pending_make() */
	POSTA__FRONT_SUBSCRIBE,            /* slice: struct posta__subscription */
	POSTA__FRONT_UNSUBSCRIBE,          /* uint32_t */
	POSTA__FRONT_PAUSE,
	POSTA__FRONT_RESUME,
	POSTA__FRONT_SETTLE, /* struct posta__settlement */
	POSTA__FRONT_WATCH,
	POSTA__FRONT_CLOSE, /* uint32_t: ms */
	POSTA__FRONT_FLUSH,
	POSTA__FRONT_OFFER,
	POSTA__FRONT_RESUBSCRIBE,      /* uint32_t */
	POSTA__FRONT_WATCH_SUBSCRIBER, /* uint32_t: the subscription */
	POSTA__FRONT_DEADLINE,
	POSTA__FRONT_SEEK,    /* struct posta__seek */
	POSTA__FRONT_OVERDUE, /* uint64_t: the number of a question */
	POSTA__CONNECTION_CONNECT,
	POSTA__CONNECTION_TIMER,
};

struct posta__settlement {
	uint64_t id;
	uint32_t subscription, generation;
	uint32_t outcome;
};

struct posta__seek {
	struct posta_position position;
	uint32_t subscription;
};

extern const struct posta_actor_class posta__front_class;
extern const struct posta_actor_class posta__connection_class;
/*
 * The bridge of a front, if self may call it instead of sending it a message: it lives on the same worker, and nothing
 * waits in its mailbox that the call would overtake. NULL: send.
 */
struct posta_bridge *posta__front_near(struct posta_actor *self, posta_ref front);
/* At the end of this turn's messages: offer, settle, pause, resume. */
void posta__front_schedule_flush(struct posta_bridge *bridge);
/* Changes the state others see, tells the watchers, logs it: once per change. text NULL: keep the last error. */
void posta__front_state(struct posta_bridge *bridge, enum posta_bridge_state state, const char *text);
/* Something was settled or confirmed: if we are closing, perhaps that was the last. */
void posta__front_progress(struct posta_bridge *bridge);
/* The connection ended what finish() began, or there is none: all is over. */
void posta__front_end(struct posta_bridge *bridge);

#endif
