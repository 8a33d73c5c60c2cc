/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_MEMORY_H
#define POSTA_BRIDGES_MEMORY_H

/*
 * The broker in the process: the reference the others are measured by, and what tests and demonstrations run on. One
 * broker per system and name; its bridges may live on different workers, so everything below a broker is under its lock.
 *
 *   publish ─▶ queue ───────────────▶ feed ─▶ the consumers, by turns, by priority
 *   publish ─▶ topic, a log ─▶ one feed per group ─▶ its consumers, by key
 *
 * A feed holds what its consumers have not settled. dispatch() moves waiting items to consumers with credit and pokes
 * their connections, which deliver on their own threads. Files: memory.c is the ops, memory_broker.c topics, queues and
 * faults, memory_feed.c feeds and consumers.
 *
 * Bounds: POSTA__MEMORY_MESSAGES_MAX and _BYTES_MAX per topic and per queue. A full queue refuses (EFULL), a full topic
 * forgets its oldest.
 */

#include <posta/bridge_ops.h>

#include <ev.h>
#include <pthread.h>

#define POSTA__MEMORY_MESSAGES_MAX (UINT32_C(1) << 20)
#define POSTA__MEMORY_BYTES_MAX ((size_t)1 << 30)
#define POSTA__MEMORY_NAMES_MAX 65536u /* topics, queues and feeds, each */
#define POSTA__MEMORY_PRIORITIES 10
#define POSTA__MEMORY_BUCKETS 256u

extern const struct posta_bridge_ops posta__memory_ops;

struct posta__memory_item {
	struct posta__memory_item *next, *previous;
	struct posta__memory_item *chain; /* of the consumer's bucket, while it is unsettled */
	struct posta_envelope *envelope;
	uint64_t seq; /* its place in the feed */
	uint64_t id;  /* of this delivery */
	bool redelivered;
	uint8_t priority;
};

struct posta__memory_list {
	struct posta__memory_item *first, *last;
	uint32_t count;
};

struct posta__memory_consumer {
	struct posta__memory_consumer *next; /* of the connection */
	struct posta__memory_connection *connection;
	struct posta__memory_feed *feed;
	uint32_t subscription, credit;
	bool paused;
	struct posta__memory_list ready;     /* assigned, not delivered yet */
	struct posta__memory_list unsettled; /* in the order of delivery */
	struct posta__memory_item *buckets[POSTA__MEMORY_BUCKETS];
};

/* What topics and feeds are found by: their first member. */
struct posta__memory_key {
	const char *name;
	const char *group; /* of a feed; NULL: a queue, or a topic */
};

struct posta__memory_feed {
	struct posta__memory_key key;    /* name: queue, topic or filter */
	struct posta__memory_feed *next; /* of the broker, in order of creation */
	struct posta__memory_feed *dirty_next;
	bool dirty;
	bool is_queue;
	bool own; /* a group of one subscription: ends with it */
	uint8_t priority_max;
	struct posta__memory_list waiting[POSTA__MEMORY_PRIORITIES];
	uint64_t next_seq;
	uint32_t count; /* waiting, ready and unsettled */
	size_t bytes;
	struct posta__memory_consumer **consumers;
	uint32_t consumer_count, consumer_room, turn;
	char texts[]; /* the key's */
};

struct posta__memory_topic {
	struct posta__memory_key key;
	struct posta__memory_topic *next; /* in order of creation */
	struct posta_envelope **log;      /* a ring */
	uint32_t room, count, first;
	size_t bytes;
	struct posta_envelope *retained;
	struct posta__memory_feed **feeds;
	uint32_t feed_count, feed_room;
	char text[]; /* the key's */
};

struct posta__memory_broker {
	struct posta__memory_broker *next;
	pthread_mutex_t lock;
	struct posta__memory_topic *topics, **topics_end;
	struct posta__memory_feed *feeds, **feeds_end; /* queues too */
	void *topic_index, *feed_index;                /* tsearch, by key */
	struct posta__memory_feed *dirty;
	struct posta__memory_connection *connections;
	uint32_t topic_count, feed_count;
	uint32_t refusals;
	uint32_t unconfirmed; /* batches that will be stored and not confirmed */
	char *refused[16];
	char name[];
};

/* A state of the ops. */
struct posta__memory_connection {
	struct posta__memory_connection *next;
	struct posta__memory_broker *broker; /* NULL: never got in */
	struct posta_bridge *bridge;
	struct ev_loop *loop;
	ev_async async;
	bool up, finishing;
	bool lost;  /* by posta__memory_drop: under the lock */
	bool poked; /* under the lock */
	struct posta__memory_consumer *consumers;
	uint64_t next_id;
};

/* -- Faults, for tests and demonstrations. Any thread. They make the broker if it is not there yet. -- */

/* Every connection of the broker is lost. What it stores stays. */
void posta__memory_drop(struct posta_system *system, const char *name);
/* The next n batches of publications are stored, and their connections lost before a confirmation leaves. */
void posta__memory_lose_confirmations(struct posta_system *system, const char *name, uint32_t n);
/*
 * From now on both systems have the same brokers, which live as long as either: a host that crashed meets them again. Before
 * the second one uses any. false: out of memory.
 */
bool posta__memory_share(struct posta_system *from, struct posta_system *to);
/* The next n connections are refused; 0: no more. */
void posta__memory_refuse(struct posta_system *system, const char *name, uint32_t n);
/* Publications to this topic or queue, and subscriptions, are refused. NULL: none any more. */
void posta__memory_refuse_topic(struct posta_system *system, const char *name, const char *topic);

/* -- memory_broker.c. All below but the first: under the broker's lock. -- */

/* Made on first use; lives as long as the system. NULL: out of memory. */
struct posta__memory_broker *posta__memory_broker(struct posta_system *system, const char *name);
/* Errors: ENOMEM, EFULL, EREFUSED with *text. The feeds it went to are dirty. */
enum posta_err posta__memory_store(struct posta__memory_broker *broker, const struct posta_target *target,
				   struct posta_envelope *envelope, const char **text);
/* The feed of a source, made on first use. NULL with *result and *text. */
struct posta__memory_feed *posta__memory_attach(struct posta__memory_broker *broker, const struct posta_source *source,
						const char *owner, enum posta_err *result, const char **text);
/* Removes a feed that nobody reads any more. */
void posta__memory_feed_end(struct posta__memory_broker *broker, struct posta__memory_feed *feed);

/* -- memory_feed.c. Under the broker's lock. -- */

struct posta__memory_feed *posta__memory_feed_make(const char *name, const char *group);
void posta__memory_feed_free(struct posta__memory_feed *feed);
/* Takes a reference of its own. false: out of memory. */
bool posta__memory_feed_push(struct posta__memory_feed *feed, struct posta_envelope *envelope);
/* The topic forgot this envelope: so does the feed, if it waits at its head. */
void posta__memory_feed_forget(struct posta__memory_feed *feed, const struct posta_envelope *envelope);
void posta__memory_feed_dispatch(struct posta__memory_feed *feed);
void posta__memory_dirty(struct posta__memory_broker *broker, struct posta__memory_feed *feed);
void posta__memory_dispatch(struct posta__memory_broker *broker);

bool posta__memory_consumer_add(struct posta__memory_feed *feed, struct posta__memory_consumer *consumer);
/* Gives everything back, unsettled ones as redelivered. */
void posta__memory_consumer_remove(struct posta__memory_consumer *consumer);
/* Gives back what was assigned and not delivered. */
void posta__memory_consumer_return_ready(struct posta__memory_consumer *consumer);
/* The next to be delivered, now unsettled under id; NULL: none. */
struct posta__memory_item *posta__memory_consumer_take(struct posta__memory_consumer *consumer, uint64_t id);
void posta__memory_consumer_settle(struct posta__memory_consumer *consumer, uint64_t id, bool requeue);
/* Wakes the connection's thread. */
void posta__memory_poke(struct posta__memory_connection *connection);

#endif
