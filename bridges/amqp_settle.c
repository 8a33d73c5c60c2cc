/* SPDX-License-Identifier: MIT */
/*
 * "multiple" acknowledges every delivery up to a tag, so it may be used only when all before are settled the same way.
 * The ring holds tags in ascending order; its head is the oldest one that the broker still waits for. When the ring is
 * full the entries that are done are squeezed out, so it stays within twice the prefetch.
 */
#include "bridges/amqp.h"

#include <stdlib.h>

enum { OPEN = 0, DONE = 1, SETTLED = 2 /* + outcome: to be written */ };

#define CAPACITY_MIN 64u

static struct posta__amqp_unsettled_entry *at(const struct posta__amqp_unsettled *unsettled, uint32_t index)
{
	return &unsettled->entries[(unsettled->head + index) & (unsettled->capacity - 1)];
}

static void squeeze(struct posta__amqp_unsettled *unsettled)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < unsettled->count; i++)
		if (at(unsettled, i)->state != DONE)
			*at(unsettled, kept++) = *at(unsettled, i);
	unsettled->count = kept;
}

static bool grow(struct posta__amqp_unsettled *unsettled)
{
	uint32_t capacity = unsettled->capacity ? unsettled->capacity * 2 : CAPACITY_MIN;
	struct posta__amqp_unsettled_entry *entries = malloc(capacity * sizeof *entries);

	if (!entries)
		return false;
	for (uint32_t i = 0; i < unsettled->count; i++)
		entries[i] = *at(unsettled, i);
	free(unsettled->entries);
	unsettled->entries = entries;
	unsettled->capacity = capacity;
	unsettled->head = 0;
	return true;
}

static void not_dirty(struct posta__amqp_unsettled *unsettled)
{
	unsettled->dirty_from = UINT64_MAX;
	unsettled->dirty_to = 0;
}

bool posta__amqp_unsettled_add(struct posta__amqp_unsettled *unsettled, uint64_t tag)
{
	if (!unsettled->capacity)
		not_dirty(unsettled);
	if (unsettled->count == unsettled->capacity) {
		squeeze(unsettled);
		if (unsettled->count >= unsettled->capacity / 2 && !grow(unsettled))
			return false;
	}
	unsettled->count++;
	*at(unsettled, unsettled->count - 1) = (struct posta__amqp_unsettled_entry){ .tag = tag, .state = OPEN };
	unsettled->open++;
	unsettled->unacked++;
	return true;
}

/* The first entry whose tag is not below. */
static uint32_t find(const struct posta__amqp_unsettled *unsettled, uint64_t tag)
{
	uint32_t low = 0, high = unsettled->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (at(unsettled, middle)->tag < tag)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool posta__amqp_unsettled_settle(struct posta__amqp_unsettled *unsettled, uint64_t tag, enum posta_outcome outcome)
{
	uint32_t index = find(unsettled, tag);

	if (index == unsettled->count || at(unsettled, index)->tag != tag || at(unsettled, index)->state != OPEN)
		return false;
	at(unsettled, index)->state = (uint8_t)(SETTLED + (int)outcome);
	unsettled->open--;
	if (tag < unsettled->dirty_from)
		unsettled->dirty_from = tag;
	if (tag > unsettled->dirty_to)
		unsettled->dirty_to = tag;
	return true;
}

/* One run at the head: entries that are done, and settled ones of one outcome. Returns: how many entries; 0 ends. */
static uint32_t head_run(const struct posta__amqp_unsettled *unsettled, uint8_t *state, uint64_t *last,
			 uint32_t *settled)
{
	uint32_t index = 0;

	*state = DONE;
	*settled = 0;
	for (; index < unsettled->count; index++) {
		const struct posta__amqp_unsettled_entry *entry = at(unsettled, index);

		if (entry->state == OPEN || (entry->state != DONE && *state != DONE && entry->state != *state))
			break;
		if (entry->state == DONE)
			continue;
		*state = entry->state;
		*last = entry->tag;
		++*settled;
	}
	return index;
}

static bool write_head(struct posta__amqp_unsettled *unsettled, posta__amqp_ack_fn *ack, void *context)
{
	uint8_t state;
	uint64_t last = 0;
	uint32_t settled, run;

	while ((run = head_run(unsettled, &state, &last, &settled)) > 0) {
		if (settled && !ack(context, last, settled > 1, (enum posta_outcome)(state - SETTLED)))
			return false;
		unsettled->unacked -= settled;
		unsettled->head = (unsettled->head + run) & (unsettled->capacity - 1);
		unsettled->count -= run;
	}
	return true;
}

void posta__amqp_unsettled_write(struct posta__amqp_unsettled *unsettled, posta__amqp_ack_fn *ack, void *context)
{
	if (!posta__amqp_unsettled_is_dirty(unsettled) || !write_head(unsettled, ack, context))
		return;
	/* Those behind one that is still open go by themselves: held back they would use up the prefetch. */
	for (uint32_t i = find(unsettled, unsettled->dirty_from);
	     i < unsettled->count && at(unsettled, i)->tag <= unsettled->dirty_to; i++) {
		struct posta__amqp_unsettled_entry *entry = at(unsettled, i);

		if (entry->state < SETTLED)
			continue;
		if (!ack(context, entry->tag, false, (enum posta_outcome)(entry->state - SETTLED)))
			return;
		entry->state = DONE;
		unsettled->unacked--;
	}
	not_dirty(unsettled);
}

void posta__amqp_unsettled_clear(struct posta__amqp_unsettled *unsettled)
{
	unsettled->count = unsettled->open = unsettled->unacked = 0;
	not_dirty(unsettled);
}

void posta__amqp_unsettled_fini(struct posta__amqp_unsettled *unsettled)
{
	free(unsettled->entries);
	*unsettled = (struct posta__amqp_unsettled){ .dirty_from = UINT64_MAX };
}
