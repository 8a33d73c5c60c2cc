/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGE_H
#define POSTA_BRIDGE_H

/*
 * Bridges to brokers, as actors use them. A bridge is opened once and lives until it is
 * closed; its connection underneath comes and goes under a supervisor with back-off.
 * Everything is asynchronous: a call sends a message to the bridge, and what comes of it
 * arrives in the caller's mailbox as one of the POSTA_MSG_* below.
 *
 *   publish  ─▶ bridge ─▶ broker, then POSTA_MSG_PUBLISHED when the broker confirmed it
 *   broker   ─▶ bridge ─▶ POSTA_MSG_DELIVERY with a token, which somebody settles exactly once
 *
 * Nothing unconfirmed is forgotten: publications that had no confirmation when a connection
 * broke are sent again in order, subscriptions are made again, and messages whose token was
 * not settled come again from the broker (at least once).
 */

#include <posta/actor.h>
#include <posta/backoff.h>
#include <posta/envelope.h>
#include <posta/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct posta_bridge;

/* How an envelope is written on the wire. */
enum posta_format {
	POSTA_FORMAT_BINARY, /* attributes as headers, body as it is; MQTT 3.1.1 has no headers: structured */
	POSTA_FORMAT_STRUCTURED, /* one JSON CloudEvent */
	POSTA_FORMAT_RAW         /* the body alone */
};

struct posta_tls {
	const char *ca;   /* file, PEM; NULL: the system's store */
	const char *cert; /* file, PEM; with key: mutual TLS */
	const char *key;
	bool insecure; /* do not verify; for tests, logged as a warning */
};

struct posta_bridge_options {
	size_t size;
	const char *name;      /* in logs, status and the tree; NULL: the scheme */
	const char *client_id; /* NULL: "posta-" + random */
	const char *user;      /* override those of the URL */
	const char *password;
	struct posta_tls tls;
	uint32_t pending_max;         /* unconfirmed publications held; beyond it POSTA_EFULL. 0: 65,536 */
	size_t pending_bytes_max;     /* their bytes. 0: 256 MiB */
	uint32_t message_bytes_max;   /* larger ones are refused with ETOOBIG, both ways. 0: 16 MiB */
	uint32_t heartbeat_ms;        /* AMQP heartbeat, MQTT keepalive, Kafka socket time-out. 0: 10,000 */
	uint32_t connect_timeout_ms;  /* 0: 10,000 */
	struct posta_backoff backoff; /* of the connection; all zero: 100 ms x 2 up to 30 s, full jitter */
	/* MQTT */
	int mqtt_version; /* 5 or 4 (3.1.1). 0: 5 */
	const char *will_topic;
	const void *will_body;
	size_t will_len;
	int will_qos;
	bool will_retain;
	bool clean_session; /* MQTT: forget the session at the end; default false */
	/*
	 * Any option of the client library by its own name: NULL-terminated name, value, name, value. Kafka:
	 * librdkafka's (compression.type, linger.ms, batch.size, sasl.mechanism, ...).
	 */
	const char *const *extra;
	/*
	 * The worker it lives on, from 1, for all its life: its front and its connection own the broker's descriptors
	 * there. 0: the system's workers in turn, so that several bridges share the load.
	 */
	int worker;
	/*
	 * What only a person can cure (bad credentials, no such virtual host, a refused declaration) is tried again
	 * after so long, beyond the back-off. 0: 30,000
	 */
	uint32_t permanent_retry_ms;
	/* Kafka */
	const char *transactional_id; /* publications go in transactions under this id, unique among running bridges */
	int topic_partitions;         /* missing topics of targets and sources are made with so many. 0: not by us */
	int topic_replication;        /* of those. 0: the broker's default */
};

/*
 * Opens a bridge by URL: kafka://h:9092,h2:9092  kafkas://  amqp://user:pass@h:5672/vhost  amqps://
 * mqtt://h:1883  mqtts://  memory:[name]. amqp and mqtt take several hosts, too (h1:5672,h2): one a try, in turn.
 * Returns at once; the first connection is made in the background. Thread: any. Returns: owned, to be closed; NULL with
 * error (EINVAL: bad URL; EUNSUPPORTED: scheme unknown or switched off in this build; ENOMEM).
 */
struct posta_bridge *posta_bridge_open(struct posta_system *system, const char *url,
				       const struct posta_bridge_options *options, struct posta_error *error);
/*
 * Settled and confirmed things are finished within deadline_ms, the rest is given back to its broker or reported
 * as ECLOSED to its publisher; then the connection ends. Never blocks. It ends the caller's use of the pointer: once a
 * bridge, also after the system has stopped. NULL is allowed. Thread: any.
 */
void posta_bridge_close(struct posta_bridge *bridge, uint32_t deadline_ms);
/* The bridge's actor, which ends when closing is finished (watch it to know). */
posta_ref posta_bridge_ref(const struct posta_bridge *bridge);

/* Where a publication goes. Strings are copied. What a broker has no use for must be NULL or 0. */
struct posta_target {
	size_t size;
	const char *topic;    /* Kafka and MQTT topic; memory topic */
	const char *queue;    /* AMQP and memory: a work queue by name (declared durable unless passive) */
	const char *exchange; /* AMQP, with routing_key; it exists, or exchange_type declares it */
	const char *routing_key;
	bool passive;           /* AMQP: do not declare the queue */
	int queue_priority_max; /* AMQP, memory: x-max-priority on declaration; 0: none */
	int qos;                /* MQTT: 0, 1, 2; -1: 1 */
	bool retain;            /* MQTT, memory */
	enum posta_format format;
	/* AMQP: declares the exchange, durable: direct, topic, fanout, headers; NULL: it exists. */
	const char *exchange_type;
	/*
	 * AMQP: arguments of the queue's declaration, NULL-terminated name, value, name, value: x-queue-type quorum,
	 * x-dead-letter-exchange, x-message-ttl, x-delivery-limit, ... Whole numbers and true, false go as such.
	 */
	const char *const *queue_arguments;
	/*
	 * AMQP, memory: into the queue only after so long; AMQP by way of "<queue>.wait.<ms>", whose messages expire
	 * into it.
	 */
	uint32_t delay_ms;
};

/* Where reading a log begins. */
enum posta_start {
	POSTA_START_COMMITTED, /* where the group was; from_latest says what if it was nowhere */
	POSTA_START_BEGINNING,
	POSTA_START_END,
	POSTA_START_OFFSET, /* at that offset of each partition */
	POSTA_START_TIME    /* at the first message of that time (ms since 1970) or later */
};

struct posta_position {
	enum posta_start start;
	int64_t at; /* offset or time */
};

/* Where deliveries come from. Strings are copied. */
struct posta_source {
	size_t size;
	const char *topic;       /* Kafka topic, "a,b" for several, "^regex" for a pattern; memory topic */
	const char *group;       /* Kafka, memory: consumer group; NULL: a group of its own */
	const char *queue;       /* AMQP, memory */
	const char *exchange;    /* AMQP: bind the queue to it (an exclusive queue when queue is NULL) */
	const char *routing_key; /* AMQP: of that binding */
	const char *filter;      /* MQTT, memory: topic filter with + and # */
	const char *share;       /* MQTT: $share group */
	bool from_latest;        /* Kafka, memory: a group without offsets starts at the end; default: the beginning */
	bool passive;            /* AMQP: do not declare the queue */
	int queue_priority_max;  /* AMQP, memory: x-max-priority on declaration; 0: none */
	int qos;                 /* MQTT: 0, 1, 2; -1: 1 */
	uint32_t credit;         /* unsettled deliveries at a time: prefetch, receive maximum. 0: 1,024 */
	/*
	 * Kafka, memory: the first assignment of partitions is read from here, whatever the group had committed; in
	 * memory a topic is one partition, and the position is the whole group's.
	 */
	struct posta_position position;
	const char *member;        /* Kafka: static membership: a restart within the session causes no rebalance */
	const char *exchange_type; /* AMQP: declare the exchange, as in a target */
	const char *const *queue_arguments; /* AMQP: as in a target */
	/*
	 * AMQP: what else the queue is bound to, beside exchange and routing_key: NULL-terminated exchange, routing
	 * key, exchange, routing key; at most 64 pairs. Bindings made before stay.
	 */
	const char *const *bindings;
};

/* Names one delivery to its bridge. Copy it freely; settle it once (a second time is counted and ignored). */
struct posta_token {
	posta_ref bridge;
	uint32_t subscription;
	uint32_t generation; /* of the connection: after a reconnect older tokens are void, the broker sends again */
	uint64_t id;
};

enum posta_outcome {
	POSTA_ACK,     /* done: the broker may forget it */
	POSTA_REQUEUE, /* give it back: it comes again, to us or another */
	POSTA_REJECT   /* never again: AMQP dead-letters by its policy; Kafka and MQTT acknowledge it */
};

/* Message types a bridge sends to its users, with the struct that posta_data() gives. */
enum posta_bridge_message {
	POSTA_MSG_DELIVERY = 0x7FFE0000, /* struct posta_delivery */
	POSTA_MSG_PUBLISHED,             /* struct posta_published */
	POSTA_MSG_SUBSCRIBED,            /* struct posta_subscribed */
	POSTA_MSG_BRIDGE_STATE,          /* struct posta_bridge_status */
	POSTA_MSG_REPLIED                /* struct posta_replied */
};

struct posta_delivery {
	struct posta_envelope *envelope; /* borrowed for the turn; posta_envelope_ref() to keep */
	struct posta_token token;
	bool redelivered; /* the broker says, or we know, that it may have been seen before */
};

struct posta_published {
	uint64_t cookie; /* the publisher's own */
	/*
	 * OK: confirmed by the broker. ETOOBIG, EREFUSED, EEXPIRED, EINVAL, ECLOSED, EFULL, EFORMAT: it will never be.
	 */
	enum posta_err result;
	char text[POSTA_ERROR_TEXT_MAX]; /* the broker's own words, "" on success */
};

struct posta_replied {
	uint64_t cookie; /* the asker's own */
	/* OK; ETIMEDOUT: no reply in time; else what became of the question, as in struct posta_published. */
	enum posta_err result;
	struct posta_envelope *envelope; /* the reply, borrowed for the turn; NULL unless OK */
	char text[POSTA_ERROR_TEXT_MAX]; /* the broker's own words, "" on success */
};

struct posta_subscribed {
	uint32_t subscription;
	/* OK: deliveries will come; EREFUSED, EAUTH: tried again slowly; ECLOSED, or EFULL, ENOMEM at first: ended */
	enum posta_err result;
	char text[POSTA_ERROR_TEXT_MAX];
};

/*
 * Takes a reference of its own to the envelope. The answer is one POSTA_MSG_PUBLISHED to self, in the order of
 * confirmation; publications of one bridge to one topic leave in the order of the calls. Cookies need not be unique.
 * A traceparent leaves with a new span id, for every publication is a hop of its trace (W3C Trace Context).
 * Thread: the actor's own. Errors: EINVAL (no destination), EDEAD (closed), ENOMEM: nothing was sent, no answer comes.
 */
enum posta_err posta_bridge_publish(struct posta_actor *self, struct posta_bridge *bridge,
				    const struct posta_target *target, struct posta_envelope *envelope,
				    uint64_t cookie);
/*
 * A target prepared once, for many publications: no strings are copied and compared a message.
 * Returns: owned, reference counted; NULL with error (EINVAL names the field).
 */
struct posta_route_target;
struct posta_route_target *posta_target_prepare(struct posta_bridge *bridge, const struct posta_target *target,
						struct posta_error *error);
/* NULL is allowed. Thread: any. */
void posta_target_unref(struct posta_route_target *target);
/* As posta_bridge_publish. */
enum posta_err posta_bridge_publish_to(struct posta_actor *self, struct posta_bridge *bridge,
				       struct posta_route_target *target, struct posta_envelope *envelope,
				       uint64_t cookie);

/*
 * A question: publishes the envelope with a reply-to of the bridge's own and a correlation id that names this question
 * (whatever it had of both), and to expire with the time-out unless it has an expiry. The answer is one
 * POSTA_MSG_REPLIED to self, and no POSTA_MSG_PUBLISHED. A reply that comes later is counted in the status and
 * forgotten; the same question may be handled twice (at least once). At most pending_max may be open. Questions and
 * publications leave in the order of the calls, but for a question whose reply would not be heard yet (MQTT: until the
 * topic of replies is subscribed, in each connection anew): it waits, and publications do not wait for it.
 * timeout_ms 0: 5,000. Thread: the actor's own. Errors: as posta_bridge_publish; EUNSUPPORTED (Kafka); EINVAL (a target
 * in POSTA_FORMAT_RAW, which tells nobody where to reply).
 */
enum posta_err posta_bridge_ask(struct posta_actor *self, struct posta_bridge *bridge,
				const struct posta_target *target, struct posta_envelope *envelope, uint32_t timeout_ms,
				uint64_t cookie);
/*
 * The other side: publishes the envelope to where the request's reply-to says, with the request's correlation id. A
 * publication like any other: one POSTA_MSG_PUBLISHED says that the broker has it, not that somebody waits for it.
 * Errors: as posta_bridge_publish; EINVAL: the request names no place, or none that this broker can have.
 */
enum posta_err posta_bridge_reply(struct posta_actor *self, struct posta_bridge *bridge,
				  const struct posta_envelope *request, struct posta_envelope *envelope,
				  uint64_t cookie);

/*
 * Deliveries come to self until it unsubscribes or ends; POSTA_MSG_SUBSCRIBED says when it is in force (again after
 * each reconnect). *subscription is ours, unique in the bridge. Errors: EINVAL with error, ENOMEM, EDEAD.
 */
enum posta_err posta_bridge_subscribe(struct posta_actor *self, struct posta_bridge *bridge,
				      const struct posta_source *source, uint32_t *subscription,
				      struct posta_error *error);
/* Unsettled deliveries of it may still be settled; no new ones come. */
enum posta_err posta_bridge_unsubscribe(struct posta_actor *self, struct posta_bridge *bridge, uint32_t subscription);
/* No deliveries until it is resumed; those on their way still come. Both are idempotent. */
enum posta_err posta_bridge_pause(struct posta_actor *self, struct posta_bridge *bridge, uint32_t subscription);
enum posta_err posta_bridge_resume(struct posta_actor *self, struct posta_bridge *bridge, uint32_t subscription);
/*
 * Kafka, memory: what the subscription reads now is read from that position on (of a memory queue, which is no log:
 * what is unsettled comes again). Its unsettled deliveries are void: their settlement is counted as stale. Errors:
 * EUNSUPPORTED (no log), EINVAL, ENOMEM, EDEAD.
 */
enum posta_err posta_bridge_seek(struct posta_actor *self, struct posta_bridge *bridge, uint32_t subscription,
				 struct posta_position position);

/* The end of a delivery's way. Stale or doubly settled tokens are counted and ignored. */
enum posta_err posta_settle(struct posta_actor *self, struct posta_token token, enum posta_outcome outcome);

enum posta_bridge_state {
	POSTA_BRIDGE_CONNECTING,
	POSTA_BRIDGE_CONNECTED,
	POSTA_BRIDGE_BLOCKED, /* connected, but the broker takes no publications now (connection.blocked) */
	POSTA_BRIDGE_DOWN,    /* waiting to try again */
	POSTA_BRIDGE_CLOSING,
	POSTA_BRIDGE_CLOSED
};

struct posta_bridge_status {
	size_t size;
	enum posta_bridge_state state;
	int64_t since_ms;   /* wall clock of the last change of state, ms since 1970 */
	uint64_t connects;  /* successful ones */
	uint64_t restarts;  /* of the connection by its supervisor */
	uint64_t published; /* confirmed */
	uint64_t publish_failed;
	uint64_t pending; /* publications not confirmed yet */
	uint64_t delivered;
	uint64_t redelivered;
	uint64_t settled;
	uint64_t stale;     /* settlements that came too late or twice */
	uint64_t unsettled; /* deliveries on their way */
	uint32_t subscriptions;
	char name[64];
	char client_id[64];
	char url[256]; /* redacted */
	char last_error[POSTA_ERROR_TEXT_MAX];
	bool permanent; /* DOWN, and trying again will not help: see permanent_retry_ms */
	/* Kafka (some seconds old), memory: messages in what we read that are not settled; -1: not known. */
	int64_t lag;
	uint64_t late_replies; /* to questions that are not open: given up, answered already, or of an earlier run */
};

/* A snapshot. Thread: any; never waits for the bridge. */
void posta_bridge_status(const struct posta_bridge *bridge, struct posta_bridge_status *status);
/* "connected" */
const char *posta_bridge_state_name(enum posta_bridge_state state);
/* From now on self gets POSTA_MSG_BRIDGE_STATE: the present state at once, then each change. */
enum posta_err posta_bridge_watch(struct posta_actor *self, struct posta_bridge *bridge);

#ifdef __cplusplus
}
#endif
#endif
