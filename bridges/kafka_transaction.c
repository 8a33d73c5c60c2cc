/* SPDX-License-Identifier: MIT */
/*
 * Publications in transactions (options->transactional_id): a publication is confirmed when its transaction is
 * committed, so that whoever reads committed messages sees all of a transaction or nothing of it.
 *
 *   IDLE ──first publication──▶ OPEN ──full, or LINGER_S later──▶ COMMITTING ──▶ all confirmed, IDLE
 *                                                                   └─ a message was refused ─▶ ABORTING ─▶ that one is
 *                                                       confirmed with its error, the others begin the next transaction
 *
 * Whatever else goes wrong fails the connection: the next one, of the same id, ends what was begun, and the common part
 * offers all again that was not confirmed. A commit whose answer was lost may so be written twice: at least once, and
 * never a part of it. Committing and aborting wait for the broker, so that they are done on helper threads.
 */
#include "bridges/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_S .02
#define PURGE_S .2
#define PATIENCE_MS 30000

static struct posta__kafka *kafka_of(struct posta__kafka_transaction *transaction)
{
	return transaction->kafka;
}

static void timer_start(struct posta__kafka_transaction *transaction, double seconds)
{
	ev_timer_set(&transaction->timer, seconds, 0.);
	ev_timer_start(transaction->kafka->loop, &transaction->timer);
}

/*
 * Of what was written nothing shall be sent any more: after a refusal the library would not send it, and would wait for
 * it. And again until the transaction has ended, since what was under way may come back to be tried again.
 */
static void purge(struct posta__kafka_transaction *transaction)
{
	rd_kafka_purge(transaction->kafka->producer.client->rk,
		       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	timer_start(transaction, PURGE_S);
}

static void begin_end(struct posta__kafka_transaction *transaction, enum posta__kafka_transaction_phase phase)
{
	struct posta__kafka *kafka = kafka_of(transaction);

	ev_timer_stop(kafka->loop, &transaction->timer);
	transaction->phase = phase;
	if (phase == POSTA__KAFKA_ABORTING) /* which purges, once */
		timer_start(transaction, PURGE_S);
	if (posta__kafka_client_end_transaction(kafka->producer.client, phase == POSTA__KAFKA_COMMITTING, PATIENCE_MS))
		posta__kafka_fail(kafka, POSTA_ENOMEM, "kafka: no thread to end a transaction");
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct posta__kafka_transaction *transaction = timer->data;

	(void)loop;
	(void)events;
	if (transaction->kafka->failed)
		return;
	if (transaction->phase == POSTA__KAFKA_OPEN_TRANSACTION)
		begin_end(transaction, POSTA__KAFKA_COMMITTING);
	else
		purge(transaction);
}

enum posta_err posta__kafka_transaction_init(struct posta__kafka_transaction *transaction, struct posta__kafka *kafka)
{
	transaction->kafka = kafka;
	ev_timer_init(&transaction->timer, on_timer, LINGER_S, 0.);
	transaction->timer.data = transaction;
	transaction->batch = calloc(POSTA__KAFKA_TRANSACTION_MAX, sizeof *transaction->batch);
	return transaction->batch ? POSTA_OK : POSTA_ENOMEM;
}

void posta__kafka_transaction_fini(struct posta__kafka_transaction *transaction)
{
	if (transaction->kafka)
		ev_timer_stop(transaction->kafka->loop, &transaction->timer);
	free(transaction->batch);
	transaction->batch = NULL;
}

bool posta__kafka_transaction_admits(struct posta__kafka_transaction *transaction)
{
	struct posta__kafka *kafka = kafka_of(transaction);
	struct posta__kafka_client *client = kafka->producer.client;

	if (transaction->phase == POSTA__KAFKA_OPEN_TRANSACTION)
		return transaction->count < POSTA__KAFKA_TRANSACTION_MAX;
	if (transaction->phase != POSTA__KAFKA_NO_TRANSACTION)
		return false;
	rd_kafka_error_t *error = rd_kafka_begin_transaction(client->rk);
	if (error) {
		posta__kafka_fail(kafka, POSTA_EPROTOCOL, rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
		return false;
	}
	transaction->phase = POSTA__KAFKA_OPEN_TRANSACTION;
	client->in_transaction = true;
	timer_start(transaction, LINGER_S);
	return true;
}

void posta__kafka_transaction_add(struct posta__kafka_transaction *transaction,
				  const struct posta_publication *publication)
{
	transaction->batch[transaction->count++] = (struct posta__kafka_written){ .publication = publication };
	if (transaction->count == POSTA__KAFKA_TRANSACTION_MAX)
		begin_end(transaction, POSTA__KAFKA_COMMITTING);
}

void posta__kafka_transaction_report(struct posta__kafka_transaction *transaction, uint64_t id, rd_kafka_resp_err_t err)
{
	enum posta_err code = posta__kafka_code(err);

	/* What an abort threw away is written again. */
	if (code != POSTA_ETOOBIG && code != POSTA_EREFUSED && code != POSTA_EINVAL)
		return;
	for (uint32_t i = 0; i < transaction->count; i++)
		if (transaction->batch[i].publication->id == id)
			transaction->batch[i].refused = err;
	if (transaction->phase == POSTA__KAFKA_OPEN_TRANSACTION)
		begin_end(transaction, POSTA__KAFKA_ABORTING);
	else if (transaction->phase == POSTA__KAFKA_COMMITTING)
		purge(transaction);
}

static void committed(struct posta__kafka_transaction *transaction)
{
	uint32_t count = transaction->count;

	transaction->count = 0;
	transaction->phase = POSTA__KAFKA_NO_TRANSACTION;
	for (uint32_t i = 0; i < count; i++)
		posta_bridge_confirm(transaction->kafka->bridge, transaction->batch[i].publication->id, POSTA_OK, NULL);
}

/* The innocent ones move up and are the next transaction's first: their order stays. */
static void aborted(struct posta__kafka_transaction *transaction)
{
	struct posta__kafka *kafka = kafka_of(transaction);
	uint32_t count = transaction->count, kept = 0;

	transaction->count = 0;
	transaction->phase = POSTA__KAFKA_NO_TRANSACTION;
	for (uint32_t i = 0; i < count; i++) {
		struct posta__kafka_written written = transaction->batch[i];
		if (written.refused)
			posta_bridge_confirm(kafka->bridge, written.publication->id, posta__kafka_code(written.refused),
					     rd_kafka_err2str(written.refused));
		else
			transaction->batch[kept++].publication = written.publication;
	}
	for (uint32_t i = 0; i < kept && !kafka->failed; i++)
		if (!posta__kafka_transaction_admits(transaction) ||
		    !posta__kafka_producer_write(&kafka->producer, transaction->batch[i].publication))
			posta__kafka_fail(kafka, POSTA_EFULL, "kafka: no room to write a transaction again");
}

void posta__kafka_transaction_look(struct posta__kafka_transaction *transaction)
{
	struct posta__kafka *kafka = kafka_of(transaction);
	struct posta__kafka_client *client = kafka->producer.client;
	/* PAIRS with the release of the helper thread: the text is there. */
	int end = atomic_load_explicit(&client->end, memory_order_acquire);

	if (end == POSTA__KAFKA_END_NONE ||
	    (transaction->phase != POSTA__KAFKA_COMMITTING && transaction->phase != POSTA__KAFKA_ABORTING))
		return;
	atomic_store_explicit(&client->end, POSTA__KAFKA_END_NONE, memory_order_relaxed);
	ev_timer_stop(kafka->loop, &transaction->timer);
	if (end == POSTA__KAFKA_END_ABORT_FIRST && transaction->phase == POSTA__KAFKA_COMMITTING) {
		begin_end(transaction, POSTA__KAFKA_ABORTING);
		return;
	}
	if (end != POSTA__KAFKA_END_DONE) {
		posta__kafka_fail(kafka, POSTA_ECONNECTION, client->end_text);
		return;
	}
	client->in_transaction = false;
	if (transaction->phase == POSTA__KAFKA_COMMITTING)
		committed(transaction);
	else
		aborted(transaction);
	kafka->producer.starved = true;
}
