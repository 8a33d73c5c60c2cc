/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_KAFKA_H
#define POSTA_BRIDGES_KAFKA_H

/*
 * What the files of the Kafka bridge share. One state = one producer, and one consumer (a member of a group) for each
 * subscription; each is a client of librdkafka with threads of its own, whose events are read on the bridge's loop.
 *
 *   kafka.c ────────── the ops table, connecting, the end       kafka_config.c ─── URL and options as librdkafka's
 *   kafka_client.c ─── life of a client, events on the loop     kafka_codec.c ──── messages and envelopes
 *   kafka_producer.c ─ publications and their reports           kafka_consumer.c ─ subscriptions, rebalances
 *   kafka_offsets.c ── which offset may be committed            kafka_settle.c ─── deliveries, settlements
 *   kafka_topics.c ─── topics made where missing                kafka_position.c ─ where reading begins, lag
 *   kafka_transaction.c  publications in transactions
 *
 * Thread: the bridge's worker, but for what says otherwise.
 */

#include <posta/bridge_ops.h>

#include <ev.h>
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

struct posta__kafka;

extern const struct posta_bridge_ops posta__kafka_ops;

/* -- kafka_config.c */

enum posta__kafka_role { POSTA__KAFKA_PRODUCER, POSTA__KAFKA_CONSUMER };

/*
 * Names and values for one client. Thread: any. Returns: owned, rd_kafka_conf_destroy(); NULL with error (EINVAL,
 * ENOMEM).
 */
rd_kafka_conf_t *posta__kafka_conf(const char *url, const struct posta_bridge_options *options,
				   enum posta__kafka_role role, struct posta_error *error);
/* EINVAL with the library's words, unless err is OK already set otherwise. Returns: as given in error. */
enum posta_err posta__kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct posta_error *error);

#define POSTA__KAFKA_LOOKS_SOONER 0x02020000 /* the version that knows fetch.queue.backoff.ms */

/* -- kafka_client.c */

/*
 * One rd_kafka_t. Counted, because each message that an envelope wraps points into it, and destroying it waits for all
 * of them: the last reference, on whatever thread, has it destroyed on a thread of its own.
 */
struct posta__kafka_client {
	_Atomic(uint32_t) refs;
	uint32_t spare_refs; /* of them: the loop's, taken ahead for the messages to come */
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;
	rd_kafka_queue_t *records; /* a consumer's: what was fetched */
	int fd;                    /* eventfd: there may be something in one of them */
	enum posta__kafka_role role;
	/* Results of helper threads, which write the eventfd behind them. */
	_Atomic(int) probe;   /* enum posta__kafka_probe */
	_Atomic(bool) closed;   /* a consumer has left its group; a producer is empty */
	_Atomic(bool) assigned; /* a consumer has had an assignment, if only an empty one */
	_Atomic(long) certificate; /* X509_V_ERR_*: why a broker's was not accepted last; 0: none was refused */
	int timeout_ms;
	char probe_text[POSTA_ERROR_TEXT_MAX];
	bool transactional;
	bool begins; /* a probe is the first: transactions are begun by it */
	bool in_transaction; /* one is open, and is ended before the client */
	uint32_t taken;      /* records of a consumer, and their bytes, since its fetchers were told to look again */
	size_t taken_bytes;
	_Atomic(int) end;    /* enum posta__kafka_end: of a transaction */
	char end_text[POSTA_ERROR_TEXT_MAX];
};

enum posta__kafka_end {
	POSTA__KAFKA_END_NONE,
	POSTA__KAFKA_END_DONE,
	POSTA__KAFKA_END_ABORT_FIRST, /* it can't be committed */
	POSTA__KAFKA_END_FAILED
};

enum posta__kafka_probe { POSTA__KAFKA_PROBE_NONE, POSTA__KAFKA_PROBE_OK, POSTA__KAFKA_PROBE_FAILED };

/* Takes: conf, always. Returns: owned, one reference; NULL with error. */
struct posta__kafka_client *posta__kafka_client_new(rd_kafka_conf_t *conf, enum posta__kafka_role role,
						    struct posta_error *error);
/* Thread: any. */
struct posta__kafka_client *posta__kafka_client_ref(struct posta__kafka_client *client);
void posta__kafka_client_unref(struct posta__kafka_client *client);
/* The same for a message. Thread: the loop's. */
struct posta__kafka_client *posta__kafka_client_ref_spare(struct posta__kafka_client *client);
/*
 * Records were taken from a consumer's queue, which may be empty now. Fetchers that found it full learn it. Thread: the
 * loop's.
 */
void posta__kafka_client_taken(struct posta__kafka_client *client, uint32_t count, size_t bytes, bool empty);
/* The callback of its ev_io comes (again), though librdkafka reports no edge. */
void posta__kafka_client_kick(struct posta__kafka_client *client);
void posta__kafka_client_hush(struct posta__kafka_client *client);
/* Asks a broker for metadata on a helper thread; the result is in probe. One at a time. */
enum posta_err posta__kafka_client_probe(struct posta__kafka_client *client, int timeout_ms);
/* Commits or aborts on a helper thread; the result is in end. Its reports must be read meanwhile. */
enum posta_err posta__kafka_client_end_transaction(struct posta__kafka_client *client, bool commit, int timeout_ms);
/* Runs on a detached thread without signals. Errors: as pthread_create(). */
int posta__kafka_detach(void *(*run)(void *argument), void *argument);
/*
 * Takes: the caller's reference. A consumer commits what is stored and leaves its group, a producer forgets what it
 * holds; all on a helper thread, then closed is set.
 */
void posta__kafka_client_close(struct posta__kafka_client *client);
/* Answers a rebalance by the group's own protocol. Thread: any. */
void posta__kafka_rebalance(rd_kafka_t *rk, bool assign, const rd_kafka_topic_partition_list_t *partitions);
/* Puts the reason in their place if they tell of a broker's certificate. */
void posta__kafka_certificate_words(const struct posta__kafka_client *client, char words[POSTA_ERROR_TEXT_MAX]);
/* The library's words for an event, control characters replaced. Returns: out. */
const char *posta__kafka_words(const char *text, char *out, size_t size);

/* -- kafka_codec.c */

struct posta__kafka_record {
	rd_kafka_headers_t *headers; /* NULL: none */
	void *owned;                 /* of struct posta__wire_body */
	const void *value;
	size_t len;
};

enum posta_err posta__kafka_encode(const struct posta_envelope *envelope, enum posta_format format,
				   struct posta__kafka_record *record);
/*
 * Takes: message, always; a large body is left in it. Thread: the client's loop's. Returns: owned; NULL when out of
 * memory.
 */
struct posta_envelope *posta__kafka_decode(struct posta__kafka_client *client, rd_kafka_message_t *message);

/* -- kafka_producer.c */

#define POSTA__KAFKA_HANDLES 64

struct posta__kafka_producer {
	struct posta__kafka *kafka;
	struct posta__kafka_client *client;
	rd_kafka_topic_t *handles[POSTA__KAFKA_HANDLES]; /* by the hash of the name: those used last */
	rd_kafka_topic_t *last;                          /* one of them */
	ev_io readable;
	uint32_t in_flight;
	bool starved; /* publish() took less than offered */
	double progress_at;
};

enum posta_err posta__kafka_producer_open(struct posta__kafka_producer *producer, struct posta__kafka *kafka,
					  struct posta_error *error);
size_t posta__kafka_producer_take(struct posta__kafka_producer *producer, const struct posta_publication *const *batch,
				  size_t n);
/* Writes one, ready or not: of a transaction that is begun again. False: there is no room. */
bool posta__kafka_producer_write(struct posta__kafka_producer *producer, const struct posta_publication *publication);
void posta__kafka_producer_close(struct posta__kafka_producer *producer);
/* Releases what a report was waited for, and nothing else. Thread: any. */
void posta__kafka_reports_drop(rd_kafka_event_t *event);

/* -- kafka_topics.c */

enum posta__kafka_topic_state {
	POSTA__KAFKA_TOPIC_UNKNOWN, /* asked for from retry_at on */
	POSTA__KAFKA_TOPIC_ASKED,
	POSTA__KAFKA_TOPIC_READY,
	POSTA__KAFKA_TOPIC_REFUSED /* until retry_at */
};

struct posta__kafka_topic {
	struct posta__kafka_topic *next;
	enum posta__kafka_topic_state state;
	double retry_at;
	char text[POSTA_ERROR_TEXT_MAX]; /* of a refusal */
	char name[];
};

#define POSTA__KAFKA_TOPICS_MAX 65536u

struct posta__kafka_topics {
	struct posta__kafka_topic *first, *last; /* last: found */
	uint32_t count;
	bool waits; /* some of them for another question */
};

/* Asks for it when it is unknown. NULL: out of memory, or too many. */
struct posta__kafka_topic *posta__kafka_topic_of(struct posta__kafka *kafka, const char *name);
void posta__kafka_topics_answered(struct posta__kafka *kafka, rd_kafka_event_t *event);
/* Whether some were asked for again now. */
bool posta__kafka_topics_due(struct posta__kafka *kafka);
void posta__kafka_topics_fini(struct posta__kafka_topics *topics);

/* -- kafka_transaction.c */

enum posta__kafka_transaction_phase {
	POSTA__KAFKA_NO_TRANSACTION,
	POSTA__KAFKA_OPEN_TRANSACTION,
	POSTA__KAFKA_COMMITTING,
	POSTA__KAFKA_ABORTING
};

#define POSTA__KAFKA_TRANSACTION_MAX 4096u

struct posta__kafka_written {
	const struct posta_publication *publication;
	rd_kafka_resp_err_t refused; /* itself, and so the whole transaction */
};

struct posta__kafka_transaction {
	struct posta__kafka *kafka;
	enum posta__kafka_transaction_phase phase;
	struct posta__kafka_written *batch; /* NULL: no transactions */
	uint32_t count;
	ev_timer timer; /* until it is committed, or until what is left of it is purged again */
};

enum posta_err posta__kafka_transaction_init(struct posta__kafka_transaction *transaction, struct posta__kafka *kafka);
void posta__kafka_transaction_fini(struct posta__kafka_transaction *transaction);
/* Whether another publication may be written now; begins a transaction. */
bool posta__kafka_transaction_admits(struct posta__kafka_transaction *transaction);
/* It was written. */
void posta__kafka_transaction_add(struct posta__kafka_transaction *transaction,
				  const struct posta_publication *publication);
void posta__kafka_transaction_report(struct posta__kafka_transaction *transaction, uint64_t id,
				     rd_kafka_resp_err_t err);
/* Whether its end has come. */
void posta__kafka_transaction_look(struct posta__kafka_transaction *transaction);

/* -- kafka_offsets.c: the deliveries of one partition, in their order. Pure. */

enum posta__kafka_delivery { POSTA__KAFKA_OPEN, POSTA__KAFKA_SETTLED, POSTA__KAFKA_REQUEUED };

struct posta__kafka_entry {
	int64_t offset;
	struct posta_envelope *envelope; /* kept for a redelivery until it is settled */
	uint8_t state;                   /* enum posta__kafka_delivery */
	uint8_t attempt;                 /* of delivery, modulo 16: an older token is not one of this */
};

struct posta__kafka_offsets {
	struct posta__kafka_entry *ring;
	uint32_t room; /* a power of two */
	uint32_t count;
	uint64_t first;   /* sequence of the oldest that is not settled */
	int64_t settled;  /* all up to and including it are settled; -1: none yet */
	bool dirty;       /* settled has moved */
	uint32_t waiting; /* REQUEUED ones */
};

#define POSTA__KAFKA_WINDOW_MAX (1u << 20)

/* Takes: a reference of its own to an envelope just made. *sequence: to settle it by. Errors: ENOMEM, EFULL. */
enum posta_err posta__kafka_offsets_add(struct posta__kafka_offsets *offsets, int64_t offset,
					struct posta_envelope *envelope, uint64_t *sequence);
/* NULL: not outstanding. */
struct posta__kafka_entry *posta__kafka_offsets_find(const struct posta__kafka_offsets *offsets, uint64_t sequence);
/* False: it was not open. */
bool posta__kafka_offsets_settle(struct posta__kafka_offsets *offsets, uint64_t sequence);
bool posta__kafka_offsets_requeue(struct posta__kafka_offsets *offsets, uint64_t sequence);
void posta__kafka_offsets_fini(struct posta__kafka_offsets *offsets);

/* -- kafka_consumer.c */

struct posta__kafka_partition {
	char *topic;
	const rd_kafka_topic_t *handle; /* that its records name, while it is ours; NULL: none seen yet */
	int32_t partition;
	uint16_t slot;
	uint8_t epoch;
	bool placed; /* where reading begins is known */
	int64_t end; /* its last one seen: all before it was fetched; 0: none yet */
	struct posta__kafka_offsets offsets;
};

struct posta__kafka_consumer {
	struct posta__kafka_consumer *next;
	struct posta__kafka *kafka;
	struct posta__kafka_client *client;
	uint32_t subscription;
	uint32_t credit;
	uint32_t unsettled;
	ev_io readable;
	ev_timer requeue;                       /* deliver again */
	struct posta__kafka_partition *clogged; /* its window is full, or was */
	struct posta__kafka_partition *last;    /* found */
	struct posta__kafka_partition **slots;
	uint32_t slot_count;
	uint32_t waiting; /* REQUEUED ones of all partitions */
	uint8_t epoch;
	struct posta_position position;          /* of the next assignment or seek */
	struct posta__kafka_question *questions; /* on their way */
	double lag_at;
	bool seeking; /* to position, when all partitions are placed */
	bool from_latest;
	bool answered; /* the core knows whether it is subscribed */
	bool paused;   /* by the core */
	bool starved;  /* credit was used up, and half of it is not free yet */
	bool dirty;    /* an offset is to be stored */
	double since;
	rd_kafka_topic_partition_list_t *topics; /* subscribed to */
	char refusal[POSTA_ERROR_TEXT_MAX];      /* the topic is unknown, perhaps not for long */
};

void posta__kafka_consumer_open(struct posta__kafka *kafka, uint32_t subscription, const struct posta_source *source);
struct posta__kafka_consumer *posta__kafka_consumer_find(struct posta__kafka *kafka, uint32_t subscription);
/* Stores offsets, leaves the group on a helper thread. Frees: consumer. */
void posta__kafka_consumer_close(struct posta__kafka_consumer *consumer);
void posta__kafka_consumer_tick(struct posta__kafka_consumer *consumer);
/* The answer of the core's subscription, once. */
void posta__kafka_consumer_answer(struct posta__kafka_consumer *consumer, enum posta_err result, const char *text);

/* The library has its partitions. some: there are any. */
void posta__kafka_consumer_assigned(struct posta__kafka_consumer *consumer, bool some);
/* Where a partition is read from is known: perhaps the last that an answer waits for. */
void posta__kafka_consumer_placed(struct posta__kafka_consumer *consumer, struct posta__kafka_partition *partition);

/* -- kafka_position.c */

enum posta__kafka_question_kind { POSTA__KAFKA_ASK_ASSIGN, POSTA__KAFKA_ASK_SEEK, POSTA__KAFKA_ASK_LAG };

/* Offsets of times, asked for on a helper thread. Counted: it and the consumer have it. */
struct posta__kafka_question {
	struct posta__kafka_question *next;
	struct posta__kafka_client *client;
	rd_kafka_topic_partition_list_t *list;
	enum posta__kafka_question_kind kind;
	rd_kafka_resp_err_t err;
	_Atomic(uint32_t) refs;
	_Atomic(bool) answered;
};

/* Thread: any. */
void posta__kafka_question_drop(struct posta__kafka_question *question);
/* Answers an assignment, from the position that is due; posta__kafka_consumer_assigned() then or later. */
void posta__kafka_position_assign(struct posta__kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *list);
void posta__kafka_position_seek(struct posta__kafka_consumer *consumer, struct posta_position position);
/* Takes the answers that have come. */
void posta__kafka_position_look(struct posta__kafka_consumer *consumer);
void posta__kafka_position_tick(struct posta__kafka_consumer *consumer);
void posta__kafka_position_fini(struct posta__kafka_consumer *consumer);

/* -- kafka_settle.c */

struct posta__kafka_partition *posta__kafka_partition_find(struct posta__kafka_consumer *consumer, const char *topic,
							   int32_t number);

/* A record. Takes: message. */
void posta__kafka_consumer_fetched(struct posta__kafka_consumer *consumer, rd_kafka_message_t *message);
void posta__kafka_consumer_settle(struct posta__kafka_consumer *consumer, const uint64_t *ids, size_t n,
				  enum posta_outcome outcome);
void posta__kafka_consumer_pause(struct posta__kafka_consumer *consumer, bool paused);
/* How many more may be delivered now. */
uint32_t posta__kafka_consumer_room(const struct posta__kafka_consumer *consumer);
/* Records are read again, if there is room. */
void posta__kafka_consumer_go_on(struct posta__kafka_consumer *consumer);
void posta__kafka_consumer_store(struct posta__kafka_consumer *consumer);
void posta__kafka_consumer_on_requeue(struct ev_loop *loop, ev_timer *timer, int events);
/* Those revoked are gone; the core's tokens for them are void. */
void posta__kafka_partitions_revoked(struct posta__kafka_consumer *consumer);
enum posta_err posta__kafka_partition_add(struct posta__kafka_consumer *consumer, const char *topic, int32_t partition);
void posta__kafka_partition_remove(struct posta__kafka_consumer *consumer, const char *topic, int32_t partition);
void posta__kafka_partitions_fini(struct posta__kafka_consumer *consumer);

/* -- kafka.c */

struct posta__kafka {
	struct posta_bridge *bridge;
	struct ev_loop *loop;
	struct posta__kafka_producer producer;
	struct posta__kafka_transaction transaction;
	struct posta__kafka_topics topics;
	struct posta__kafka_consumer *consumers;
	struct posta__kafka_client **leaving; /* finish() waits for these */
	uint32_t leaving_count, leaving_room;
	ev_timer tick; /* watchdog, auto-answers, the end */
	bool up, failed, finishing, ended;
	bool doubted; /* up, but without a connection a moment ago: a broker is asked for */
	double finish_by;
	char last_error[POSTA_ERROR_TEXT_MAX];
};

void posta__kafka_fail(struct posta__kafka *kafka, enum posta_err code, const char *text);
/* An error of any client, about the connection. */
void posta__kafka_on_error(struct posta__kafka *kafka, struct posta__kafka_client *client, rd_kafka_resp_err_t err,
			   const char *text);
/* What an error of the broker or the library means to us. */
enum posta_err posta__kafka_code(rd_kafka_resp_err_t err);

#endif
