/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGE_OPS_H
#define POSTA_BRIDGE_OPS_H

/*
 * The contract between the common part of all bridges (bridges/bridge.c) and one broker's file.
 * One broker = one const struct posta_bridge_ops; one connection = one state of state_size bytes,
 * zeroed, allocated and freed by the core. Everything here runs on the bridge's one worker thread,
 * which is also the thread of its libev loop (posta_loop(connection)): no locks. Nothing here blocks.
 *
 * Life of a connection, all under the supervisor's back-off:
 *
 *   connect ──▶ (asynchronously) posta_bridge_up ──▶ subscribe…, publish…, settle… ──▶ close
 *      │                                                   │
 *      └──▶ posta_bridge_down(error) ◀─────────────────────┘   then close, and later connect on a new state
 *
 * The core remembers what must survive a connection: the options, the subscriptions and every
 * publication without a confirmation. The broker's file remembers nothing.
 */

#include <posta/bridge.h>

struct ev_loop;

#ifdef __cplusplus
extern "C" {
#endif

/* What the core hands down to be published. Valid until posta_bridge_confirm() for its id, or close. */
struct posta_publication {
	uint64_t id; /* ascending within a bridge */
	const struct posta_target *target;
	struct posta_envelope *envelope; /* shared: read-only */
	void *target_state;              /* of prepare_target, NULL without it */
};

enum posta_capability {
	POSTA_CAN_PRIORITY = 1 << 0,
	POSTA_CAN_GROUPS = 1 << 1, /* consumer groups with offsets (a log) */
	POSTA_CAN_QUEUES = 1 << 2, /* competing consumers */
	POSTA_CAN_WILDCARDS = 1 << 3,
	POSTA_CAN_RETAIN = 1 << 4,
	POSTA_CAN_REQUEUE = 1 << 5, /* POSTA_REQUEUE is redelivered without a reconnect */
	POSTA_CAN_HEADERS = 1 << 6, /* binary mode keeps attributes and headers */
	POSTA_CAN_REPLAY = 1 << 7,   /* a log: from its beginning, positions and seek, a lag */
	POSTA_CAN_KEY_ORDER = 1 << 8,
	POSTA_CAN_CREDIT = 1 << 9,   /* keeps to source->credit by itself: the core need not pause it */
	POSTA_CAN_DECLARE = 1 << 10, /* exchange_type, queue_arguments */
	POSTA_CAN_DELAY = 1 << 11,   /* delay_ms of a queue */
	POSTA_CAN_ASK = 1 << 12      /* replies: posta_bridge_ask() */
};

#define POSTA_REPLY_ADDRESS_SIZE 256

struct posta_bridge_ops {
	const char *name;           /* "kafka" */
	const char *const *schemes; /* NULL-terminated: "kafka", "kafkas" */
	uint32_t capabilities;
	size_t state_size;

	/* Optional. Checks the URL and options, once, at open, on the caller's thread. Errors: EINVAL with words. */
	enum posta_err (*check)(const char *url, const struct posta_bridge_options *options, struct posta_error *error);
	/*
	 * Optional. Checks a target or source for what this broker can't do. Any thread. Errors: EINVAL, EUNSUPPORTED
	 * with words.
	 */
	enum posta_err (*check_target)(const struct posta_target *target, struct posta_error *error);
	enum posta_err (*check_source)(const struct posta_source *source, struct posta_error *error);

	/* Required. Begins to connect. Ends in posta_bridge_up or _down, or fails at once with an error. */
	enum posta_err (*connect)(struct posta_bridge *bridge, void *state, struct posta_error *error);
	/*
	 * Required. Offers n publications in order; takes the first k and returns k (0..n). Less than n means "no room
	 * now": posta_bridge_writable() asks for more. One that can never be sent is taken and confirmed with its
	 * error. Must not flush a message alone when n > 1: one batch, one write.
	 */
	size_t (*publish)(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch,
			  size_t n);
	/* Optional. The last of the batches of this turn was handed over: write now what was gathered. */
	void (*flush)(struct posta_bridge *bridge, void *state);
	/* Required. Ends in posta_bridge_subscribed(), later or at once. subscription names it in all later calls. */
	void (*subscribe)(struct posta_bridge *bridge, void *state, uint32_t subscription,
			  const struct posta_source *source);
	/* Required. No delivery of it may come after this returns. */
	void (*unsubscribe)(struct posta_bridge *bridge, void *state, uint32_t subscription);
	/* Required. n ids of posta_bridge_deliver(), each at most once, never of an earlier connection. */
	void (*settle)(struct posta_bridge *bridge, void *state, uint32_t subscription, const uint64_t *ids, size_t n,
		       enum posta_outcome outcome);
	/* Required. No more deliveries until resume; what is on its way may still come. Idempotent. */
	void (*pause)(struct posta_bridge *bridge, void *state, uint32_t subscription);
	void (*resume)(struct posta_bridge *bridge, void *state, uint32_t subscription);
	/* Optional. What it delivered is void by now; deliveries go on from that position. */
	void (*seek)(struct posta_bridge *bridge, void *state, uint32_t subscription, struct posta_position position);
	/* Optional. What posta_bridge_timer() was set to has come. */
	void (*timer)(struct posta_bridge *bridge, void *state);
	/*
	 * With CAN_ASK. Where replies to questions come. address, which goes into their reply-to, holds
	 * "posta.reply.<client id>" and may be changed. If replies come as deliveries, source is set to what the core
	 * subscribes to before it asks, its strings in address; else it stays empty, and each reply is handed over by
	 * posta_bridge_replied(). Any thread.
	 */
	void (*replies)(char address[POSTA_REPLY_ADDRESS_SIZE], struct posta_source *source);
	/* Optional. Any thread. Where a reply-to leads; borrowed. Without it, to the topic of that name. */
	void (*reply_target)(const char *address, struct posta_target *target);
	/*
	 * Required. Begins an orderly end after the last settle and confirm (flush acknowledgements, leave the group);
	 * calls posta_bridge_ended() when done, at once if there is nothing to do. Not called after posta_bridge_down.
	 */
	void (*finish)(struct posta_bridge *bridge, void *state);
	/* Required. Frees what the state holds, in any condition, without waiting. Called exactly once. */
	void (*close)(struct posta_bridge *bridge, void *state);
};

/* -- What a broker's file asks of the core. Thread: the bridge's worker, from an op or a loop callback. */

const char *posta_bridge_url(const struct posta_bridge *bridge); /* with credentials: never log it */
const struct posta_bridge_options *posta_bridge_get_options(const struct posta_bridge *bridge); /* defaults filled in */
const char *posta_bridge_client_id(const struct posta_bridge *bridge); /* stable over reconnects */
const char *posta_bridge_name(const struct posta_bridge *bridge);
/* How many connections were tried before this one: which of several hosts is next. */
uint32_t posta_bridge_attempt(const struct posta_bridge *bridge);
struct posta_actor *posta_bridge_actor(const struct posta_bridge *bridge); /* the connection's actor */
struct ev_loop *posta_bridge_loop(const struct posta_bridge *bridge);
uint64_t posta_bridge_now_ms(const struct posta_bridge *bridge); /* monotonic, virtual in simulations */

/* Connected: the core now subscribes what was subscribed and offers what is pending. Once per connection. */
void posta_bridge_up(struct posta_bridge *bridge);
/*
 * The connection is lost or could not be made; text is the broker's or library's own words. The core calls close soon
 * (not from within this call) and the supervisor connects anew. Further calls in this connection are ignored.
 */
void posta_bridge_down(struct posta_bridge *bridge, enum posta_err code, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 3, 4)))
#endif
	;
/* connection.blocked and its end; the core holds publications back meanwhile. */
void posta_bridge_blocked(struct posta_bridge *bridge, bool blocked, const char *why);
/* After publish() took less than offered: there is room again. */
void posta_bridge_writable(struct posta_bridge *bridge);
/* A publication's end: OK = the broker has it. Retriable errors make the core offer it again. text may be NULL. */
void posta_bridge_confirm(struct posta_bridge *bridge, uint64_t id, enum posta_err result, const char *text);
/* All up to and including id are confirmed (AMQP's multiple). */
void posta_bridge_confirm_through(struct posta_bridge *bridge, uint64_t id);
/*
 * One message from the broker. Takes the caller's reference to envelope. id is the file's own and comes back in
 * settle(). Returns false when the subscription has used up its credit: the message was taken all the same, but pause
 * follows.
 */
bool posta_bridge_deliver(struct posta_bridge *bridge, uint32_t subscription, struct posta_envelope *envelope,
			  uint64_t id, bool redelivered);
/* A reply to a question, with its correlation id. Takes: envelope. */
void posta_bridge_replied(struct posta_bridge *bridge, struct posta_envelope *envelope);
/* The broker answered a subscription (again, if it was canceled by the broker later). */
void posta_bridge_subscribed(struct posta_bridge *bridge, uint32_t subscription, enum posta_err result,
			     const char *text);
/*
 * Unsettled deliveries of this subscription are void (a rebalance, a channel that closed): their settlement will be
 * ignored.
 */
void posta_bridge_revoke(struct posta_bridge *bridge, uint32_t subscription,
			 bool (*is_void)(uint64_t id, void *context), void *context);
/* For the status: what the subscription has still to read and settle; -1: not known. */
void posta_bridge_lag(struct posta_bridge *bridge, uint32_t subscription, int64_t lag);
/*
 * The connection's one timer: ops->timer is called once, after so long on the clock of posta_bridge_now_ms(), or
 * perhaps a little early. A later call sets it anew. false: out of memory.
 */
bool posta_bridge_timer(struct posta_bridge *bridge, uint64_t ms);
/* finish() is done. */
void posta_bridge_ended(struct posta_bridge *bridge);

/*
 * Adds a broker that is not built in. Process-wide is avoided: per system. Errors: EEXISTS, EINVAL names the missing
 * op.
 */
enum posta_err posta_bridge_register(struct posta_system *system, const struct posta_bridge_ops *ops,
				     struct posta_error *error);

#ifdef __cplusplus
}
#endif
#endif
