/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_AMQP_H
#define POSTA_BRIDGES_AMQP_H

/*
 * What the files of the AMQP 0-9-1 bridge share. One state = two connections to one broker: a broker that is short of
 * memory stops reading from those that publish, and acknowledgements must get through all the same.
 *
 *   amqp.c ───────────── the ops table, opening both connections, the end
 *   amqp_publisher.c ─── the order of publications, confirms      amqp_consumer.c ── subscriptions on their channels
 *   amqp_publish.c ───── one publication as frames                amqp_delivery.c ── deliveries within the credit
 *   amqp_return.c ────── which publication was returned           amqp_subscription.c  its source and state
 *   amqp_reply.c ─────── replies to questions                     amqp_settle.c ──── which deliveries are outstanding
 *   amqp_target.c ────── queues declared, exchanges looked up     amqp_content.c ─── one message from frames, for both
 *   amqp_arguments.c ─── arguments of declarations
 *   amqp_connection.c ── frames, handshake, heartbeats            amqp_codec.c ───── properties and envelopes
 *   amqp_socket.c ────── TCP and TLS on the loop                  amqp_frame.c ───── the bounded look at hostile bytes
 *
 * Thread: the bridge's worker.
 */

#include "bridges/amqp_codec.h"
#include "bridges/amqp_frame.h"
#include "bridges/amqp_socket.h"
#include "bridges/resolve.h"

#include <posta/bridge_ops.h>

struct posta__amqp;
struct posta__amqp_connection;
struct posta__amqp_publisher;
struct posta__amqp_consumer;

extern const struct posta_bridge_ops posta__amqp_ops;

/* A reply-to that means: back to the channel this was published by. */
#define POSTA__AMQP_DIRECT_REPLY_TO "amq.rabbitmq.reply-to"

/* Publications are taken while no more than this waits to be written. */
#define POSTA__AMQP_HIGH_WATER (1u << 20)

/* -- amqp_connection.c */

/* What a connection is for. Each is called for one whole frame; class connection is handled before. */
struct posta__amqp_role {
	const char *name; /* "publish", "consume" */
	void (*opened)(struct posta__amqp *amqp);
	void (*method)(struct posta__amqp *amqp, uint16_t channel, amqp_method_number_t method, const void *decoded);
	void (*header)(struct posta__amqp *amqp, uint16_t channel, const struct posta__amqp_content_header *header);
	void (*body)(struct posta__amqp *amqp, uint16_t channel, const uint8_t *bytes, size_t len);
	/* Once after all frames of one read. */
	void (*read)(struct posta__amqp *amqp);
	/* All output was written. */
	void (*drained)(struct posta__amqp *amqp);
};

enum posta__amqp_phase {
	POSTA__AMQP_IDLE,
	POSTA__AMQP_CONNECTING,
	POSTA__AMQP_WAIT_START,
	POSTA__AMQP_WAIT_TUNE,
	POSTA__AMQP_WAIT_OPEN,
	POSTA__AMQP_OPEN,
	POSTA__AMQP_WAIT_CLOSE, /* our connection.close is on its way */
	POSTA__AMQP_CLOSED
};

struct posta__amqp_connection {
	struct posta__amqp *amqp;
	const struct posta__amqp_role *role;
	struct posta__amqp_socket sock;
	enum posta__amqp_phase phase;
	struct posta__amqp_limits limits;
	double heartbeat_s; /* agreed interval; 0: none */
	ev_timer tick;      /* deadlines and heartbeats */
	double ticked_at;   /* ev_now() */
	double deadline;    /* ev_now() by which the present phase must have passed */
	unsigned rpcs;      /* requests without an answer */
	double rpc_at;      /* ev_now() of the last request or answer */
	bool blocked;
	amqp_pool_t pool; /* of the frame in work */
};

void posta__amqp_connection_start(struct posta__amqp_connection *connection, struct posta__amqp *amqp,
				  const struct posta__amqp_role *role, const struct addrinfo *addresses);
/* Encodes a method; it goes with the next flush. False: the connection has failed. */
bool posta__amqp_send(struct posta__amqp_connection *connection, uint16_t channel, amqp_method_number_t method,
		      const void *fields);
/* The same for one that the broker answers: the watchdog waits for it. */
bool posta__amqp_ask(struct posta__amqp_connection *connection, uint16_t channel, amqp_method_number_t method,
		     const void *fields);
/* n of them were, or never will be because their channel closed. */
void posta__amqp_answered(struct posta__amqp_connection *connection, unsigned n);
void posta__amqp_flush(struct posta__amqp_connection *connection);
/* connection.close; posta__amqp_on_closed() when it is answered or overdue, or at once if it is not open. */
void posta__amqp_connection_finish(struct posta__amqp_connection *connection, double timeout_s);
/*
 * No more is read or written, no callback comes; the memory stays, so that it may be called from anywhere. Idempotent.
 */
void posta__amqp_connection_stop(struct posta__amqp_connection *connection);
void posta__amqp_connection_close(struct posta__amqp_connection *connection);

static inline amqp_bytes_t posta__amqp_text(const char *text)
{
	return amqp_cstring_bytes(text ? text : "");
}
/* Bytes of the broker's as a C string, control characters replaced. Returns: out. */
const char *posta__amqp_words(amqp_bytes_t bytes, char *out, size_t size);

/* -- amqp.c */

struct posta__amqp {
	struct posta_bridge *bridge;
	struct ev_loop *loop;
	char *url;             /* the members of info point into it */
	char *user, *password; /* of the options; NULL: the URL's */
	struct amqp_connection_info info;
	char peer[280]; /* host:port */
	struct posta__tls *tls;
	struct posta__resolve *resolve;
	struct addrinfo *addresses;
	struct posta__amqp_connection publishing, consuming;
	struct posta__amqp_publisher *publisher;
	struct posta__amqp_consumer *consumer;
	ev_timer deadline; /* of resolving, later of finish() */
	bool up, failed, finishing, ended;
};

/* The connection is lost: the core is told once, nothing is done any more until close. */
void posta__amqp_fail(struct posta__amqp *amqp, enum posta_err code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* One of the two is ready: the bridge is up when both are. */
void posta__amqp_on_ready(struct posta__amqp *amqp);
/* The consumer's channels are closed (finish), or a connection's close was answered. */
void posta__amqp_on_consumer_done(struct posta__amqp *amqp);
void posta__amqp_on_closed(struct posta__amqp *amqp);
/* What a close of the broker's means to us. */
enum posta_err posta__amqp_code(uint16_t reply_code);

/* -- amqp_publisher.c */

extern const struct posta__amqp_role posta__amqp_publisher_role;
struct posta__amqp_publisher *posta__amqp_publisher_new(struct posta__amqp *amqp);
void posta__amqp_publisher_free(struct posta__amqp_publisher *publisher);
bool posta__amqp_publisher_ready(const struct posta__amqp_publisher *publisher);
/* Only takes; sending is pump's, so that no confirm comes back into the core from here. Returns: how many. */
size_t posta__amqp_publisher_take(struct posta__amqp_publisher *publisher, const struct posta_publication *const *batch,
				  size_t n);
/* Sends and writes what may be sent now, and asks the core for more where it had to stop. */
void posta__amqp_publisher_pump(struct posta__amqp_publisher *publisher);

/* -- amqp_arguments.c */

#define POSTA__AMQP_ARGUMENTS_MAX 32u

struct posta__amqp_arguments {
	amqp_table_entry_t entries[POSTA__AMQP_ARGUMENTS_MAX];
};

/* Borrows: from list and room. */
amqp_table_t posta__amqp_arguments(const char *const *list, int priority_max, struct posta__amqp_arguments *room);
enum posta_err posta__amqp_arguments_check(const char *const *list, bool declared, struct posta_error *error);

/* -- amqp_target.c */

enum posta__amqp_target_state {
	POSTA__AMQP_TARGET_UNKNOWN,
	POSTA__AMQP_TARGET_ASKED,
	POSTA__AMQP_TARGET_OK,
	POSTA__AMQP_TARGET_REFUSED /* until retry_at */
};

struct posta__amqp_target {
	struct posta__amqp_target *next; /* in its bucket */
	enum posta__amqp_target_state state;
	int priority_max;
	uint64_t how;  /* a hash of what else it is declared with */
	bool exchange; /* else a queue */
	double retry_at;
	char text[POSTA_ERROR_TEXT_MAX]; /* the broker's, when refused */
	char name[];
};

#define POSTA__AMQP_TARGET_BUCKETS 256u
#define POSTA__AMQP_TARGETS_MAX 16384u /* remembered; beyond it they are forgotten and asked for again */

/*
 * The channel on which queues are declared and exchanges looked up: its errors must not close the publishing channel.
 */
struct posta__amqp_targets {
	struct posta__amqp *amqp;
	uint16_t channel;
	bool open;
	struct posta__amqp_target *asked; /* one at a time: a channel.close names nothing */
	size_t count;
	struct posta__amqp_target *buckets[POSTA__AMQP_TARGET_BUCKETS];
};

void posta__amqp_targets_open(struct posta__amqp_targets *targets, struct posta__amqp *amqp, uint16_t channel);
void posta__amqp_targets_fini(struct posta__amqp_targets *targets);
/*
 * Its state for this target, asking the broker when it is unknown. NULL: out of memory. Names are compared, not
 * pointers.
 */
struct posta__amqp_target *posta__amqp_target_of(struct posta__amqp_targets *targets,
						 const struct posta_target *target);
/* Where messages of a target with a delay wait. Returns: out. */
const char *posta__amqp_wait_queue(const struct posta_target *target, char out[UINT8_MAX + 1]);
/* Needs no question: passive queues, and the default exchange. */
bool posta__amqp_target_is_free(const struct posta_target *target);
/* It is not as we knew it: ask again before the next publication. */
void posta__amqp_target_forget(struct posta__amqp_targets *targets, const struct posta_target *target);
/* A method of that channel. */
void posta__amqp_targets_method(struct posta__amqp_targets *targets, amqp_method_number_t method, const void *decoded);

/* -- amqp_consumer.c */

extern const struct posta__amqp_role posta__amqp_consumer_role;
struct posta__amqp_consumer *posta__amqp_consumer_new(struct posta__amqp *amqp);
void posta__amqp_consumer_free(struct posta__amqp_consumer *consumer);
void posta__amqp_consumer_subscribe(struct posta__amqp_consumer *consumer, uint32_t subscription,
				    const struct posta_source *source);
void posta__amqp_consumer_unsubscribe(struct posta__amqp_consumer *consumer, uint32_t subscription);
void posta__amqp_consumer_settle(struct posta__amqp_consumer *consumer, uint32_t subscription, const uint64_t *ids,
				 size_t n, enum posta_outcome outcome);
void posta__amqp_consumer_pause(struct posta__amqp_consumer *consumer, uint32_t subscription, bool paused);
/* Closes all channels behind their acknowledgements; posta__amqp_on_consumer_done() when they are. */
void posta__amqp_consumer_finish(struct posta__amqp_consumer *consumer);

/* -- amqp_settle.c: the outstanding deliveries of one channel, in the order of their tags. Pure. */

struct posta__amqp_unsettled {
	struct posta__amqp_unsettled_entry {
		uint64_t tag;
		uint8_t state;
	} * entries; /* a ring */
	uint32_t capacity, head, count;
	uint32_t open;    /* delivered and not settled by us */
	uint32_t unacked; /* delivered, and the broker does not know of an end: counts against the prefetch */
	uint64_t dirty_from, dirty_to; /* tags settled since the last write; from > to: none */
};

/* Writes one acknowledgement: of tag alone, or of all up to it. False ends the writing. */
typedef bool posta__amqp_ack_fn(void *context, uint64_t tag, bool multiple, enum posta_outcome outcome);

bool posta__amqp_unsettled_add(struct posta__amqp_unsettled *unsettled, uint64_t tag);
/* False: it is not outstanding. */
bool posta__amqp_unsettled_settle(struct posta__amqp_unsettled *unsettled, uint64_t tag, enum posta_outcome outcome);
static inline bool posta__amqp_unsettled_is_dirty(const struct posta__amqp_unsettled *unsettled)
{
	return unsettled->dirty_from <= unsettled->dirty_to;
}
void posta__amqp_unsettled_write(struct posta__amqp_unsettled *unsettled, posta__amqp_ack_fn *ack, void *context);
void posta__amqp_unsettled_clear(struct posta__amqp_unsettled *unsettled); /* the channel is gone */
void posta__amqp_unsettled_fini(struct posta__amqp_unsettled *unsettled);

#endif
