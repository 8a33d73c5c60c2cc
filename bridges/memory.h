/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_MEMORY_H
#define POSTA_BRIDGES_MEMORY_H

/*
 * The broker in the process: the reference the others are measured by, and what tests and demonstrations run on. One
 * broker per system and name; its bridges may live on different workers, so all that is below a broker is under its
 * lock.
 *
 *   publish ─▶ queue ───────────────▶ feed ─▶ the consumers, by turns, by priority
 *   publish ─▶ topic, a log ─▶ one feed per group ─▶ its consumers, by key
 *
 * A feed holds what its consumers have not settled. dispatch() moves waiting items to consumers with credit and touches
 * them, so that their connections deliver on their own threads. What queues get later waits in one heap of the broker;
 * its newest connection keeps the time.
 *
 *   memory.c the ops   memory_broker.c brokers, queues, groups, faults   memory_topic.c topics: their logs
 *   memory_feed.c feeds and consumers   memory_delay.c the heap
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
	struct posta__memory_consumer *next; /* of the connection's bucket */
	struct posta__memory_consumer *touched_next;
	bool touched; /* it has something to deliver, or a lag to tell */
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
	uint32_t count; /* waiting, ready and unsettled; a queue's delayed ones too */
	size_t bytes;
	uint32_t told_waiting; /* in the last lag of its first consumer */
	struct posta__memory_consumer **consumers;
	uint32_t consumer_count, consumer_room, turn;
	char texts[]; /* the key's */
};

struct posta__memory_entry {
	struct posta_envelope *envelope;
	int64_t time_ms; /* the envelope's, or when it came */
};

struct posta__memory_topic {
	struct posta__memory_key key;
	struct posta__memory_topic *next; /* in order of creation */
	struct posta__memory_entry *log;  /* a ring */
	uint32_t room, count, first;
	int64_t offset; /* of the first */
	size_t bytes;
	struct posta_envelope *retained;
	struct posta__memory_feed **feeds;
	uint32_t feed_count, feed_room;
	char text[]; /* the key's */
};

/* What a queue gets when it is due: a heap. */
struct posta__memory_delays {
	struct posta__memory_delay {
		uint64_t due_ms, number; /* monotonic time; those of one time in their order */
		struct posta__memory_feed *feed;
		struct posta__memory_item *item;
	} * heap;
	uint32_t count, room;
	uint64_t next_number;
};

struct posta__memory_broker {
	struct posta__memory_broker *next;
	pthread_mutex_t lock;
	struct posta__memory_topic *topics, **topics_end;
	struct posta__memory_feed *feeds, **feeds_end; /* queues too */
	void *topic_index, *feed_index;                /* tsearch, by key */
	struct posta__memory_feed *dirty;
	struct posta__memory_delays delays;
	struct posta__memory_connection *connections; /* the first keeps the time */
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
	uint64_t next_id;
	struct posta__memory_consumer *touched, **touched_end; /* under the lock */
	uint32_t touched_count;
	struct posta__memory_consumer *consumers[POSTA__MEMORY_BUCKETS]; /* by subscription */
};

/* -- Faults, for tests and demonstrations. Any thread. They make the broker if it is not there yet. -- */

/* Every connection of the broker is lost. What it stores stays. */
void posta__memory_drop(struct posta_system *system, const char *name);
/* The next n batches of publications are stored, and their connections lost before a confirmation leaves. */
void posta__memory_lose_confirmations(struct posta_system *system, const char *name, uint32_t n);
/*
 * From now on both systems have the same brokers, which live as long as either: a host that crashed meets them again.
 * Before the second one uses any. false: out of memory.
 */
bool posta__memory_share(struct posta_system *from, struct posta_system *to);
/* The next n connections are refused; 0: no more. */
void posta__memory_refuse(struct posta_system *system, const char *name, uint32_t n);
/* Publications to this topic or queue, and subscriptions, are refused. NULL: none any more. */
void posta__memory_refuse_topic(struct posta_system *system, const char *name, const char *topic);

/* -- memory_broker.c. All below but the first: under the broker's lock. -- */

/* Made on first use; lives as long as the system. NULL: out of memory. */
struct posta__memory_broker *posta__memory_broker(struct posta_system *system, const char *name);
/* now_ms: monotonic. Errors: ENOMEM, EFULL, EREFUSED with *text. The feeds it went to are dirty. */
enum posta_err posta__memory_store(struct posta__memory_broker *broker, const struct posta_target *target,
				   struct posta_envelope *envelope, uint64_t now_ms, const char **text);
/* The feed of a source, made on first use. NULL with *result and *text. */
struct posta__memory_feed *posta__memory_attach(struct posta__memory_broker *broker, const struct posta_source *source,
						const char *owner, enum posta_err *result, const char **text);
/* Removes a feed that nobody reads any more. */
void posta__memory_feed_end(struct posta__memory_broker *broker, struct posta__memory_feed *feed);

/* -- memory_topic.c. Under the broker's lock. -- */

/* What topics and feeds are ordered by, for tsearch. */
int posta__memory_by_key(const void *left, const void *right);
enum posta_err posta__memory_topic_store(struct posta__memory_broker *broker, const struct posta_target *target,
					 struct posta_envelope *envelope, const char **text);
void posta__memory_topic_free(struct posta__memory_topic *topic);
/* From now on the group's feed gets what goes to its topics; before that what they hold: all, or what is retained. */
bool posta__memory_topics_join(struct posta__memory_broker *broker, struct posta__memory_feed *feed, bool whole);
void posta__memory_topics_leave(struct posta__memory_broker *broker, const struct posta__memory_feed *feed);
/* What waits is, from now on, what its topics hold from that position on. false: out of memory, nothing has changed. */
bool posta__memory_seek(struct posta__memory_broker *broker, struct posta__memory_feed *feed,
			struct posta_position position);

/* -- memory_delay.c. Under the broker's lock. -- */

/* Takes: item, on success. The broker's timekeeper is told. */
bool posta__memory_delay(struct posta__memory_broker *broker, struct posta__memory_feed *feed,
			 struct posta__memory_item *item, uint64_t due_ms);
/* What is due goes into its queues, which are dirty then. */
void posta__memory_delays_release(struct posta__memory_broker *broker, uint64_t now_ms);
void posta__memory_delays_free(struct posta__memory_delays *delays);

/* -- memory_feed.c. Under the broker's lock. -- */

struct posta__memory_feed *posta__memory_feed_make(const char *name, const char *group);
void posta__memory_feed_free(struct posta__memory_feed *feed);
/* Counted as the feed's, and to be appended later. Takes a reference to the envelope. NULL: out of memory. */
struct posta__memory_item *posta__memory_item_make(struct posta__memory_feed *feed, struct posta_envelope *envelope);
void posta__memory_item_drop(struct posta__memory_feed *feed, struct posta__memory_item *item);
void posta__memory_feed_append(struct posta__memory_feed *feed, struct posta__memory_item *item);
/* Both of them at once. false: out of memory. */
bool posta__memory_feed_push(struct posta__memory_feed *feed, struct posta_envelope *envelope);
/* The topic forgot this envelope: so does the feed, if it waits at its head. */
void posta__memory_feed_forget(struct posta__memory_feed *feed, const struct posta_envelope *envelope);
/* Drops all that is not delivered; what is, stays its consumers'. */
void posta__memory_feed_clear(struct posta__memory_feed *feed);
void posta__memory_feed_dispatch(struct posta__memory_feed *feed);
void posta__memory_dirty(struct posta__memory_broker *broker, struct posta__memory_feed *feed);
void posta__memory_dispatch(struct posta__memory_broker *broker);

bool posta__memory_consumer_add(struct posta__memory_feed *feed, struct posta__memory_consumer *consumer);
/* Gives everything back, unsettled ones as redelivered. */
void posta__memory_consumer_remove(struct posta__memory_consumer *consumer);
/* Gives back what was assigned and not delivered. */
void posta__memory_consumer_return_ready(struct posta__memory_consumer *consumer);
/* Nobody will settle what it has: back to a queue as redelivered, and out of a group, which reads its log again. */
void posta__memory_consumer_void(struct posta__memory_consumer *consumer);
/* The next to be delivered, now unsettled under id; NULL: none. */
struct posta__memory_item *posta__memory_consumer_take(struct posta__memory_consumer *consumer, uint64_t id);
void posta__memory_consumer_settle(struct posta__memory_consumer *consumer, uint64_t id, bool requeue);
/* To be told now: what it has not settled and, if it is the first of its feed, what waits. */
int64_t posta__memory_consumer_lag(const struct posta__memory_consumer *consumer);
/* Its connection looks at it soon. */
void posta__memory_touch(struct posta__memory_consumer *consumer);
/* The longest touched one, which is not any more; NULL: none. */
struct posta__memory_consumer *posta__memory_touched(struct posta__memory_connection *connection);
/* Wakes the connection's thread. */
void posta__memory_poke(struct posta__memory_connection *connection);

#endif
