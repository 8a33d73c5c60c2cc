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
};

static struct key key_of(const struct posta_target *target)
{
	if (target->queue)
		return (struct key){ target->queue, false, target->queue_priority_max };
	return (struct key){ target->exchange ? target->exchange : "", true, 0 };
}

bool posta__amqp_target_is_free(const struct posta_target *target)
{
	return target->queue ? target->passive : !target->exchange || !*target->exchange;
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
			 strcmp(known->name, key.name) != 0))
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
	memcpy(target->name, key.name, len);
	target->next = targets->buckets[bucket_of(key)];
	targets->buckets[bucket_of(key)] = target;
	targets->count++;
	return target;
}

static void declare_queue(struct posta__amqp_targets *targets, const struct posta__amqp_target *target)
{
	amqp_table_entry_t priority = { posta__amqp_text("x-max-priority"),
					{ AMQP_FIELD_KIND_I32, { .i32 = target->priority_max } } };
	amqp_queue_declare_t fields = {
		.queue = posta__amqp_text(target->name),
		.durable = 1,
		.arguments = { target->priority_max > 0, &priority },
	};

	posta__amqp_ask(&targets->amqp->publishing, targets->channel, AMQP_QUEUE_DECLARE_METHOD, &fields);
}

static void look_up_exchange(struct posta__amqp_targets *targets, const struct posta__amqp_target *target)
{
	amqp_exchange_declare_t fields = { .exchange = posta__amqp_text(target->name),
					   .type = posta__amqp_text("direct"),
					   .passive = 1 };

	posta__amqp_ask(&targets->amqp->publishing, targets->channel, AMQP_EXCHANGE_DECLARE_METHOD, &fields);
}

static void ask(struct posta__amqp_targets *targets, struct posta__amqp_target *target)
{
	amqp_channel_open_t open = { { 0, NULL } };

	if (!targets->open)
		posta__amqp_ask(&targets->amqp->publishing, targets->channel, AMQP_CHANNEL_OPEN_METHOD, &open);
	targets->open = true;
	targets->asked = target;
	target->state = POSTA__AMQP_TARGET_ASKED;
	if (target->exchange)
		look_up_exchange(targets, target);
	else
		declare_queue(targets, target);
}

struct posta__amqp_target *posta__amqp_target_of(struct posta__amqp_targets *targets, const struct posta_target *wanted)
{
	struct key key = key_of(wanted);
	struct posta__amqp_target *target = find(targets, key);

	if (!target)
		target = add(targets, key);
	if (!target)
		return NULL;
	if (target->state == POSTA__AMQP_TARGET_REFUSED && ev_now(targets->amqp->loop) >= target->retry_at)
		target->state = POSTA__AMQP_TARGET_UNKNOWN;
	if (target->state == POSTA__AMQP_TARGET_UNKNOWN && !targets->asked)
		ask(targets, target);
	return target;
}

void posta__amqp_target_forget(struct posta__amqp_targets *targets, const struct posta_target *wanted)
{
	struct posta__amqp_target *target = posta__amqp_target_is_free(wanted) ? NULL : find(targets, key_of(wanted));

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
