/* SPDX-License-Identifier: MIT */
/*
 * A client of librdkafka: its events come to the loop by an eventfd. What may wait in it (metadata, leaving a group,
 * destroying) is done on detached threads, each holding a reference; they end by themselves, in bounded time.
 */
#include "bridges/kafka.h"

#include <errno.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ABANDON_MS 3000
#define SPARE_REFS 256u
/* Half of what the fetchers hold ready at most (queued.min.messages, queued.max.messages.kbytes), or a little and all. */
#define TAKEN_MAX 50000u
#define TAKEN_BYTES_MAX (UINT64_C(8) << 20)
#define TAKEN_MIN 1000u
#define SAFE_TO_DESTROY 0x020400FF
#define JOIN_MS 1000     /* for a member to get its first assignment, and leave in order */
#define OUTLAST_MS 10000 /* then it is no member yet, or librdkafka knows an id of it */

const char *posta__kafka_words(const char *text, char *out, size_t size)
{
	snprintf(out, size, "%s", text ? text : "no reason given");
	for (char *at = out; *at; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	return out;
}

/*
 * The library only says that a certificate could not be verified. It asks here for each one of the chain, with what
 * OpenSSL makes of it. Thread: one of the library's.
 */
static int on_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *verdict, int depth, const char *der,
			  size_t der_len, char *text, size_t text_size, void *opaque)
{
	struct posta__kafka_client *client = opaque;

	(void)rk, (void)broker, (void)id, (void)depth, (void)der, (void)der_len;
	if (*verdict == X509_V_OK)
		return 1;
	snprintf(text, text_size, "%s", X509_verify_cert_error_string(*verdict));
	/* PAIRS with the relaxed load in certificate_words: the error's event comes later through a locked queue. */
	atomic_store_explicit(&client->certificate, *verdict, memory_order_relaxed);
	return 0;
}

void posta__kafka_certificate_words(const struct posta__kafka_client *client, char words[POSTA_ERROR_TEXT_MAX])
{
	long verdict = atomic_load_explicit(&client->certificate, memory_order_relaxed);
	size_t peer = strcspn(words, " ");

	if (verdict && strstr(words, "certificate"))
		snprintf(words + peer, POSTA_ERROR_TEXT_MAX - peer,
			 " TLS: the broker's certificate was not accepted: %s", X509_verify_cert_error_string(verdict));
}

/* Helper threads take no signals: those are the program's. */
int posta__kafka_detach(void *(*run)(void *argument), void *argument)
{
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all, before;

	sigfillset(&all);
	if (pthread_attr_init(&attributes))
		return ENOMEM;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&thread, &attributes, run, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return rc;
}

/*
 * Answers for the group while nobody reads events: during rd_kafka_consumer_close(). Without it a cooperative member
 * does not leave, and the next one waits for its session to expire.
 */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
			 void *opaque)
{
	(void)opaque;
	posta__kafka_rebalance(rk, err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, partitions);
}

/* Before they are assigned: what is fetched from them comes to a queue of records, apart from the group's events. */
static void divert(struct posta__kafka_client *client, const rd_kafka_topic_partition_list_t *partitions)
{
	for (int i = 0; i < partitions->cnt; i++) {
		rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(client->rk, partitions->elems[i].topic,
								       partitions->elems[i].partition);
		if (!queue)
			continue;
		rd_kafka_queue_forward(queue, client->records);
		rd_kafka_queue_destroy(queue);
	}
}

void posta__kafka_rebalance(rd_kafka_t *rk, bool assign, const rd_kafka_topic_partition_list_t *partitions)
{
	const char *protocol = rd_kafka_rebalance_protocol(rk);
	struct posta__kafka_client *client = rd_kafka_opaque(rk);

	if (assign) {
		atomic_store_explicit(&client->assigned, true, memory_order_relaxed);
		divert(client, partitions);
	}
	if (!protocol || strcmp(protocol, "COOPERATIVE") != 0) {
		rd_kafka_assign(rk, assign ? partitions : NULL);
		return;
	}
	rd_kafka_error_t *error =
		assign ? rd_kafka_incremental_assign(rk, partitions) : rd_kafka_incremental_unassign(rk, partitions);
	if (error)
		rd_kafka_error_destroy(error);
}

static void set_events(rd_kafka_conf_t *conf, enum posta__kafka_role role)
{
	if (role == POSTA__KAFKA_PRODUCER) {
		rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
		return;
	}
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_REBALANCE);
}

static void ring_on(rd_kafka_queue_t *queue, int fd)
{
	const uint64_t one = 1;

	if (queue)
		rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof one);
}

static void drop_queue(rd_kafka_queue_t *queue)
{
	if (!queue)
		return;
	rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
	rd_kafka_queue_destroy(queue);
}

struct posta__kafka_client *posta__kafka_client_new(rd_kafka_conf_t *conf, enum posta__kafka_role role,
						    struct posta_error *error)
{
	struct posta__kafka_client *client = calloc(1, sizeof *client);
	char words[POSTA_ERROR_TEXT_MAX] = "out of memory";
	bool producer = role == POSTA__KAFKA_PRODUCER;

	set_events(conf, role);
	if (client) {
		rd_kafka_conf_set_opaque(conf, client);
		rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
		client->refs = 1;
		client->role = role;
		client->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (client->fd >= 0)
			client->rk = rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, words,
						  sizeof words);
		else
			snprintf(words, sizeof words, "eventfd: %s", strerror(errno));
	}
	if (!client || !client->rk) {
		rd_kafka_conf_destroy(conf);
		if (client && client->fd >= 0)
			close(client->fd);
		free(client);
		posta_error_set(error, POSTA_EINVAL, "kafka: %s", words);
		return NULL;
	}
	if (!producer)
		rd_kafka_poll_set_consumer(client->rk);
	client->queue = producer ? rd_kafka_queue_get_main(client->rk) : rd_kafka_queue_get_consumer(client->rk);
	client->records = producer ? NULL : rd_kafka_queue_new(client->rk);
	ring_on(client->queue, client->fd);
	ring_on(client->records, client->fd);
	return client;
}

struct posta__kafka_client *posta__kafka_client_ref(struct posta__kafka_client *client)
{
	/* Relaxed: whoever adds one has one. */
	atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
	return client;
}

/* By the run: each atomic one would wait for all that was written before it. */
struct posta__kafka_client *posta__kafka_client_ref_spare(struct posta__kafka_client *client)
{
	if (!client->spare_refs) {
		client->spare_refs = SPARE_REFS;
		atomic_fetch_add_explicit(&client->refs, SPARE_REFS, memory_order_relaxed); /* as above */
	}
	client->spare_refs--;
	return client;
}

static void drop_spare_refs(struct posta__kafka_client *client)
{
	/* Relaxed: the caller's own reference is among those that stay. */
	atomic_fetch_sub_explicit(&client->refs, client->spare_refs, memory_order_relaxed);
	client->spare_refs = 0;
}

/*
 * A fetcher that found the queue full looks at it again after a second, or with the next thing that wakes its thread:
 * who reads more slowly than the broker sends would stand still for most of that time. Later libraries can be told to
 * look sooner (kafka_config.c). Of all calls that wake the threads this one changes nothing: the credentials are those
 * that it has. Source: librdkafka 2.0.2, rdkafka_broker.c, rd_kafka_all_brokers_wakeup().
 */
static void wake_fetchers(rd_kafka_t *rk)
{
	const rd_kafka_conf_t *conf = rd_kafka_conf(rk);
	char user[512] = "", password[2048] = "";
	size_t user_size = sizeof user, password_size = sizeof password;

	if (rd_kafka_conf_get(conf, "sasl.username", user, &user_size))
		user[0] = '\0';
	if (rd_kafka_conf_get(conf, "sasl.password", password, &password_size))
		password[0] = '\0';
	if (user_size <= sizeof user && password_size <= sizeof password)
		rd_kafka_error_destroy(rd_kafka_sasl_set_credentials(rk, user, password));
	explicit_bzero(password, sizeof password);
}

void posta__kafka_client_taken(struct posta__kafka_client *client, uint32_t count, size_t bytes, bool empty)
{
	client->taken += count;
	client->taken_bytes += bytes;
	if (client->taken < TAKEN_MAX && client->taken_bytes < TAKEN_BYTES_MAX && !(empty && client->taken >= TAKEN_MIN))
		return;
	client->taken = 0;
	client->taken_bytes = 0;
	if (rd_kafka_version() < POSTA__KAFKA_LOOKS_SOONER)
		wake_fetchers(client->rk);
}

static void *destroy(void *argument)
{
	struct posta__kafka_client *client = argument;

	drop_queue(client->queue);
	drop_queue(client->records);
	rd_kafka_destroy_flags(client->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	close(client->fd);
	free(client);
	return NULL;
}

void posta__kafka_client_unref(struct posta__kafka_client *client)
{
	if (!client)
		return;
	/* PAIRS with itself: what the other holders did comes before the end. */
	if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) > 1)
		return;
	/* Waiting here is bad, keeping its threads and memory for ever is worse. */
	if (posta__kafka_detach(destroy, client))
		destroy(client);
}

void posta__kafka_client_kick(struct posta__kafka_client *client)
{
	const uint64_t one = 1;

	/* EAGAIN: it is readable already. */
	if (write(client->fd, &one, sizeof one) < 0)
		return;
}

void posta__kafka_client_hush(struct posta__kafka_client *client)
{
	uint64_t count;

	if (read(client->fd, &count, sizeof count) < 0)
		return;
}

/* A transactional producer is known to the broker first, and what an earlier one of its id left is ended. */
static rd_kafka_resp_err_t begin(struct posta__kafka_client *client)
{
	rd_kafka_error_t *error = rd_kafka_init_transactions(client->rk, client->timeout_ms);
	rd_kafka_resp_err_t err = rd_kafka_error_code(error);

	snprintf(client->probe_text, sizeof client->probe_text, "%s", error ? rd_kafka_error_string(error) : "");
	if (error)
		rd_kafka_error_destroy(error);
	return err;
}

static rd_kafka_resp_err_t ask(struct posta__kafka_client *client)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t err = rd_kafka_metadata(client->rk, 0, NULL, &metadata, client->timeout_ms);

	if (metadata)
		rd_kafka_metadata_destroy(metadata);
	snprintf(client->probe_text, sizeof client->probe_text, "%s", err ? rd_kafka_err2str(err) : "");
	return err;
}

static void *probe(void *argument)
{
	struct posta__kafka_client *client = argument;
	rd_kafka_resp_err_t err = client->begins ? begin(client) : ask(client);

	/* PAIRS with the acquire of the loop: the text is there. */
	atomic_store_explicit(&client->probe, err ? POSTA__KAFKA_PROBE_FAILED : POSTA__KAFKA_PROBE_OK,
			      memory_order_release);
	posta__kafka_client_kick(client);
	posta__kafka_client_unref(client);
	return NULL;
}

enum posta_err posta__kafka_client_probe(struct posta__kafka_client *client, int timeout_ms)
{
	client->timeout_ms = timeout_ms;
	/* Relaxed: the thread of the last one has ended with it, that of the next one is not there yet. */
	client->begins = client->transactional &&
			 atomic_load_explicit(&client->probe, memory_order_relaxed) == POSTA__KAFKA_PROBE_NONE;
	atomic_store_explicit(&client->probe, POSTA__KAFKA_PROBE_NONE, memory_order_relaxed);
	posta__kafka_client_ref(client);
	if (!posta__kafka_detach(probe, client))
		return POSTA_OK;
	posta__kafka_client_unref(client);
	return POSTA_ENOMEM;
}

struct ending {
	struct posta__kafka_client *client;
	int timeout_ms;
	bool commit;
};

static void *end_transaction(void *argument)
{
	struct ending *ending = argument;
	struct posta__kafka_client *client = ending->client;
	rd_kafka_error_t *error = ending->commit ? rd_kafka_commit_transaction(client->rk, ending->timeout_ms)
						 : rd_kafka_abort_transaction(client->rk, ending->timeout_ms);
	int end = !error                                     ? POSTA__KAFKA_END_DONE
		  : rd_kafka_error_txn_requires_abort(error) ? POSTA__KAFKA_END_ABORT_FIRST
							     : POSTA__KAFKA_END_FAILED;

	snprintf(client->end_text, sizeof client->end_text, "transaction: %s",
		 error ? rd_kafka_error_string(error) : "");
	if (error)
		rd_kafka_error_destroy(error);
	/* PAIRS with the acquire of the loop: the text is there. */
	atomic_store_explicit(&client->end, end, memory_order_release);
	posta__kafka_client_kick(client);
	posta__kafka_client_unref(client);
	free(ending);
	return NULL;
}

enum posta_err posta__kafka_client_end_transaction(struct posta__kafka_client *client, bool commit, int timeout_ms)
{
	struct ending *ending = malloc(sizeof *ending);

	if (!ending)
		return POSTA_ENOMEM;
	*ending = (struct ending){ posta__kafka_client_ref(client), timeout_ms, commit };
	if (!posta__kafka_detach(end_transaction, ending))
		return POSTA_OK;
	posta__kafka_client_unref(client);
	free(ending);
	return POSTA_ENOMEM;
}

/* Open, it would hide from its readers what others write, until the broker's patience with it ends. */
static void abandon(struct posta__kafka_client *client)
{
	rd_kafka_error_t *error = client->in_transaction ? rd_kafka_abort_transaction(client->rk, ABANDON_MS) : NULL;

	if (error)
		rd_kafka_error_destroy(error);
}

static void forget_publications(struct posta__kafka_client *client)
{
	rd_kafka_purge(client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	/* Every message has a report, and holds the envelope until then. */
	for (int turns = 0; turns < 600; turns++) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(client->queue, rd_kafka_outq_len(client->rk) ? 100 : 0);

		if (!event && !rd_kafka_outq_len(client->rk))
			return;
		if (!event)
			continue;
		turns = 0;
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
			posta__kafka_reports_drop(event);
		rd_kafka_event_destroy(event);
	}
}

/*
 * librdkafka before 2.4.0 aborts the process when it destroys a member that has joined its group and had no assignment
 * yet: its assignor's state is not there (#4381). So such a one is kept until it has one, or cannot be a member.
 */
static bool in_doubt(struct posta__kafka_client *client)
{
	return client->role == POSTA__KAFKA_CONSUMER && rd_kafka_version() < SAFE_TO_DESTROY &&
	       !atomic_load_explicit(&client->assigned, memory_order_relaxed);
}

static bool is_member(struct posta__kafka_client *client)
{
	char *id = rd_kafka_memberid(client->rk);
	bool is = id && *id;

	rd_kafka_mem_free(client->rk, id);
	return is;
}

static void answer(struct posta__kafka_client *client, rd_kafka_event_t *event)
{
	if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
		posta__kafka_rebalance(client->rk, rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS,
				       rd_kafka_event_topic_partition_list(event));
	if (event)
		rd_kafka_event_destroy(event);
}

static void outlast(struct posta__kafka_client *client, int ms)
{
	for (int passed = 0; in_doubt(client) && passed < ms; passed += 50)
		answer(client, rd_kafka_queue_poll(client->queue, 50));
}

static void leave_group(struct posta__kafka_client *client)
{
	outlast(client, JOIN_MS);
	/* Nothing is to be committed: nobody need wait for it. */
	if (in_doubt(client))
		atomic_store_explicit(&client->closed, true, memory_order_release);
	do {
		outlast(client, OUTLAST_MS);
	} while (in_doubt(client) && is_member(client));
	rd_kafka_consumer_close(client->rk);
}

static void *leave(void *argument)
{
	struct posta__kafka_client *client = argument;

	if (client->role == POSTA__KAFKA_CONSUMER) {
		leave_group(client);
	} else {
		forget_publications(client);
		abandon(client);
	}
	atomic_store_explicit(&client->closed, true, memory_order_release);
	posta__kafka_client_unref(client);
	return NULL;
}

void posta__kafka_client_close(struct posta__kafka_client *client)
{
	if (!client)
		return;
	drop_spare_refs(client);
	if (posta__kafka_detach(leave, client))
		leave(client);
}
