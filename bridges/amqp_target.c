/* SPDX-License-Identifier: MIT */
/*
 * Before the first publication to a queue it is declared, before the first to an exchange it is looked up (a passive
 * declaration): once per connection. That happens on a channel of its own, since a refusal (406, 404, 403) closes the
 * channel, and the publishing channel's loss would make hundreds of innocent publications go twice.
 *
 *   UNKNOWN ──asked──▶ ASKED ──▶ OK ──returned──▶ UNKNOWN
 *                        └─────▶ REFUSED ──some seconds later──▶ UNKNOWN
 */
#include "bridges/amqp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_S 5.

struct key {
	const char *name;
	bool exchange;
	int priority_max;
	uint64_t how;
};

/* FNV-1a. */
static uint64_t mix(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash * 31 + 1;
}

static uint64_t how_of(const struct posta_target *target)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	if (target->exchange_type)
		return mix(hash, target->exchange_type);
	if (!target->queue_arguments || target->delay_ms)
		return 0;
	for (const char *const *at = target->queue_arguments; *at; at++)
		hash = mix(hash, *at);
	return hash;
}

/* wait_queue: room for a name. */
static struct key key_of(const struct posta_target *target, char wait_queue[UINT8_MAX + 1])
{
	if (target->delay_ms)
		return (struct key){ posta__amqp_wait_queue(target, wait_queue), false, 0, 0 };
	if (target->queue)
		return (struct key){ target->queue, false, target->queue_priority_max, how_of(target) };
	return (struct key){ target->exchange ? target->exchange : "", true, 0, how_of(target) };
}

bool posta__amqp_target_is_free(const struct posta_target *target)
{
	if (target->delay_ms)
		return false;
	return target->queue ? target->passive : !target->exchange || !*target->exchange;
}

const char *posta__amqp_wait_queue(const struct posta_target *target, char out[UINT8_MAX + 1])
{
	snprintf(out, UINT8_MAX + 1, "%s.wait.%u", target->queue, target->delay_ms);
	return out;
}

/* FNV-1a. */
static unsigned bucket_of(struct key key)
{
	uint32_t hash = 2166136261u ^ (uint32_t)key.exchange;

	for (const char *c = key.name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return (hash ^ hash >> 16) % POSTA__AMQP_TARGET_BUCKETS;
}

static struct posta__amqp_target *find(const struct posta__amqp_targets *targets, struct key key)
{
	struct posta__amqp_target *known = targets->buckets[bucket_of(key)];

	while (known && (known->exchange != key.exchange || known->priority_max != key.priority_max ||
			 known->how != key.how || strcmp(known->name, key.name) != 0))
		known = known->next;
	return known;
}

/* All but the one that is asked for, which the answer will look for. */
static void forget_all(struct posta__amqp_targets *targets)
{
	for (unsigned i = 0; i < POSTA__AMQP_TARGET_BUCKETS; i++) {
		struct posta__amqp_target *next, *kept = NULL;

		for (struct posta__amqp_target *target = targets->buckets[i]; target; target = next) {
			next = target->next;
			if (target != targets->asked) {
				free(target);
				continue;
			}
			target->next = NULL;
			kept = target;
		}
		targets->buckets[i] = kept;
	}
	targets->count = targets->asked != NULL;
}

static struct posta__amqp_target *add(struct posta__amqp_targets *targets, struct key key)
{
	size_t len = strlen(key.name) + 1;

	if (targets->count >= POSTA__AMQP_TARGETS_MAX)
		forget_all(targets);
	struct posta__amqp_target *target = calloc(1, sizeof *target + len);

	if (!target)
		return NULL;
	target->exchange = key.exchange;
	target->priority_max = key.priority_max;
	target->how = key.how;
	memcpy(target->name, key.name, len);
	target->next = targets->buckets[bucket_of(key)];
	targets->buckets[bucket_of(key)] = target;
	targets->count++;
	return target;
}

static void declare_queue(struct posta__amqp_targets *targets, const struct posta_target *wanted)
{
	struct posta__amqp_arguments room;
	amqp_queue_declare_t fields = {
		.queue = posta__amqp_text(wanted->queue),
		.durable = 1,
		.arguments = posta__amqp_arguments(wanted->queue_arguments, wanted->queue_priority_max, &room),
	};

	posta__amqp_ask(&targets->amqp->publishing, targets->channel, AMQP_QUEUE_DECLARE_METHOD, &fields);
}

/* Messages leave it for the queue when their time is over. It must not end when it is unused: they would with it. */
static void declare_wait_queue(struct posta__amqp_targets *targets, const struct posta_target *wanted, const char *name)
{
	char ms[16];
	const char *const list[] = { "x-message-ttl", ms,  "x-dead-letter-exchange", "", "x-dead-letter-routing-key",
				     wanted->queue,   NULL };
	struct posta__amqp_arguments room;

	snprintf(ms, sizeof ms, "%u", wanted->delay_ms);
	amqp_queue_declare_t fields = { .queue = posta__amqp_text(name),
					.durable = 1,
					.arguments = posta__amqp_arguments(list, 0, &room) };

	posta__amqp_ask(&targets->amqp->publishing, targets->channel, AMQP_QUEUE_DECLARE_METHOD, &fields);
}

static void look_up_exchange(struct posta__amqp_targets *targets, const struct posta_target *wanted)
{
	const char *type = wanted->exchange_type;
	amqp_exchange_declare_t fields = { .exchange = posta__amqp_text(wanted->exchange),
					   .type = posta__amqp_text(type ? type : "direct"),
					   .passive = !type,
					   .durable = 1 };

	posta__amqp_ask(&targets->amqp->publishing, targets->channel, AMQP_EXCHANGE_DECLARE_METHOD, &fields);
}

static void ask(struct posta__amqp_targets *targets, struct posta__amqp_target *target,
		const struct posta_target *wanted)
{
	amqp_channel_open_t open = { { 0, NULL } };

	if (!targets->open)
		posta__amqp_ask(&targets->amqp->publishing, targets->channel, AMQP_CHANNEL_OPEN_METHOD, &open);
	targets->open = true;
	targets->asked = target;
	target->state = POSTA__AMQP_TARGET_ASKED;
	if (target->exchange)
		look_up_exchange(targets, wanted);
	else if (wanted->delay_ms)
		declare_wait_queue(targets, wanted, target->name);
	else
		declare_queue(targets, wanted);
}

struct posta__amqp_target *posta__amqp_target_of(struct posta__amqp_targets *targets, const struct posta_target *wanted)
{
	char wait_queue[UINT8_MAX + 1];
	struct key key = key_of(wanted, wait_queue);
	struct posta__amqp_target *target;

	if (wanted->delay_ms && !wanted->passive) { /* first where they are to go */
		struct posta_target behind = *wanted;
		behind.delay_ms = 0;
		target = posta__amqp_target_of(targets, &behind);
		if (!target || target->state != POSTA__AMQP_TARGET_OK)
			return target;
	}
	target = find(targets, key);
	if (!target)
		target = add(targets, key);
	if (!target)
		return NULL;
	if (target->state == POSTA__AMQP_TARGET_REFUSED && ev_now(targets->amqp->loop) >= target->retry_at)
		target->state = POSTA__AMQP_TARGET_UNKNOWN;
	if (target->state == POSTA__AMQP_TARGET_UNKNOWN && !targets->asked)
		ask(targets, target, wanted);
	return target;
}

void posta__amqp_target_forget(struct posta__amqp_targets *targets, const struct posta_target *wanted)
{
	char wait_queue[UINT8_MAX + 1];
	struct posta__amqp_target *target =
		posta__amqp_target_is_free(wanted) ? NULL : find(targets, key_of(wanted, wait_queue));

	if (target && target->state == POSTA__AMQP_TARGET_OK)
		target->state = POSTA__AMQP_TARGET_UNKNOWN;
}

static void answer(struct posta__amqp_targets *targets, enum posta__amqp_target_state state)
{
	if (!targets->asked)
		return;
	posta__amqp_answered(&targets->amqp->publishing, 1);
	targets->asked->state = state;
	targets->asked = NULL;
}

static void on_channel_close(struct posta__amqp_targets *targets, const amqp_channel_close_t *close)
{
	static const amqp_channel_close_ok_t close_ok = { 0 };
	struct posta__amqp_target *target = targets->asked;
	char words[200];

	targets->open = false;
	posta__amqp_send(&targets->amqp->publishing, targets->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
	if (target) {
		target->retry_at = ev_now(targets->amqp->loop) + RETRY_S;
		snprintf(target->text, sizeof target->text, "%u %s", close->reply_code,
			 posta__amqp_words(close->reply_text, words, sizeof words));
	}
	answer(targets, POSTA__AMQP_TARGET_REFUSED);
}

void posta__amqp_targets_method(struct posta__amqp_targets *targets, amqp_method_number_t method, const void *decoded)
{
	if (method == AMQP_CHANNEL_OPEN_OK_METHOD)
		posta__amqp_answered(&targets->amqp->publishing, 1);
	else if (method == AMQP_QUEUE_DECLARE_OK_METHOD || method == AMQP_EXCHANGE_DECLARE_OK_METHOD)
		answer(targets, POSTA__AMQP_TARGET_OK);
	else if (method == AMQP_CHANNEL_CLOSE_METHOD)
		on_channel_close(targets, decoded);
	else
		posta__amqp_socket_fail(&targets->amqp->publishing.sock, POSTA_EPROTOCOL,
					"the broker sent an answer to no question");
}

void posta__amqp_targets_open(struct posta__amqp_targets *targets, struct posta__amqp *amqp, uint16_t channel)
{
	targets->amqp = amqp;
	targets->channel = channel;
}

void posta__amqp_targets_fini(struct posta__amqp_targets *targets)
{
	targets->asked = NULL;
	forget_all(targets);
}
