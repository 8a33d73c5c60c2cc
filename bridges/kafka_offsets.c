/* SPDX-License-Identifier: MIT */
/*
 * A log is committed by one offset, and deliveries are settled in any order: the offset that may be committed is the
 * last one before the oldest delivery that is not settled. Offsets of one partition ascend, but with gaps (compaction,
 * transactions), so that deliveries are counted by a sequence of their own.
 */
#include "bridges/envelope.h"
#include "bridges/kafka.h"

#include <stdlib.h>

#define ROOM_FIRST 256u

static struct posta__kafka_entry *place(const struct posta__kafka_offsets *offsets, uint64_t sequence)
{
	return &offsets->ring[sequence & (offsets->room - 1)];
}

static bool grow(struct posta__kafka_offsets *offsets)
{
	struct posta__kafka_offsets bigger = *offsets;

	bigger.room = offsets->room ? offsets->room * 2 : ROOM_FIRST;
	bigger.ring = calloc(bigger.room, sizeof *bigger.ring);
	if (!bigger.ring)
		return false;
	for (uint32_t i = 0; i < offsets->count; i++)
		*place(&bigger, offsets->first + i) = *place(offsets, offsets->first + i);
	free(offsets->ring);
	*offsets = bigger;
	return true;
}

enum posta_err posta__kafka_offsets_add(struct posta__kafka_offsets *offsets, int64_t offset,
					struct posta_envelope *envelope, uint64_t *sequence)
{
	if (offsets->count >= POSTA__KAFKA_WINDOW_MAX)
		return POSTA_EFULL;
	if (offsets->count == offsets->room && !grow(offsets))
		return POSTA_ENOMEM;
	*sequence = offsets->first + offsets->count++;
	*place(offsets, *sequence) =
		(struct posta__kafka_entry){ .offset = offset, .envelope = posta__envelope_ref_own(envelope) };
	return POSTA_OK;
}

struct posta__kafka_entry *posta__kafka_offsets_find(const struct posta__kafka_offsets *offsets, uint64_t sequence)
{
	if (sequence < offsets->first || sequence - offsets->first >= offsets->count)
		return NULL;
	return place(offsets, sequence);
}

static void advance(struct posta__kafka_offsets *offsets)
{
	while (offsets->count && place(offsets, offsets->first)->state == POSTA__KAFKA_SETTLED) {
		offsets->settled = place(offsets, offsets->first)->offset;
		offsets->first++;
		offsets->count--;
		offsets->dirty = true;
	}
}

bool posta__kafka_offsets_settle(struct posta__kafka_offsets *offsets, uint64_t sequence)
{
	struct posta__kafka_entry *entry = posta__kafka_offsets_find(offsets, sequence);

	if (!entry || entry->state != POSTA__KAFKA_OPEN)
		return false;
	posta_envelope_unref(entry->envelope);
	entry->envelope = NULL;
	entry->state = POSTA__KAFKA_SETTLED;
	if (sequence == offsets->first)
		advance(offsets);
	return true;
}

bool posta__kafka_offsets_requeue(struct posta__kafka_offsets *offsets, uint64_t sequence)
{
	struct posta__kafka_entry *entry = posta__kafka_offsets_find(offsets, sequence);

	if (!entry || entry->state != POSTA__KAFKA_OPEN)
		return false;
	entry->state = POSTA__KAFKA_REQUEUED;
	offsets->waiting++;
	return true;
}

void posta__kafka_offsets_fini(struct posta__kafka_offsets *offsets)
{
	for (uint32_t i = 0; i < offsets->count; i++)
		posta_envelope_unref(place(offsets, offsets->first + i)->envelope);
	free(offsets->ring);
	*offsets = (struct posta__kafka_offsets){ .settled = -1 };
}
