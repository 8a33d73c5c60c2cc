/* SPDX-License-Identifier: MIT */
/* The deliveries of one connection that are not settled: found by an id that is never used twice. */
#include "bridges/mqtt.h"

#include <stdlib.h>

#define SLOTS_MIN 64u

static bool grow(struct posta__mqtt_slots *slots)
{
	uint32_t count = slots->count ? slots->count * 2 : SLOTS_MIN;
	struct posta__mqtt_slot *all;

	if (count > POSTA__MQTT_SLOTS_MAX)
		return false;
	all = realloc(slots->all, count * sizeof *all);
	if (!all)
		return false;
	for (uint32_t i = slots->count; i < count; i++)
		all[i] = (struct posta__mqtt_slot){ .next = i + 1 < count ? i + 1 : POSTA__MQTT_NO_SLOT };
	slots->free = slots->count;
	slots->all = all;
	slots->count = count;
	return true;
}

void posta__mqtt_slot_renew(struct posta__mqtt_slots *slots, struct posta__mqtt_slot *slot)
{
	slot->id = ++slots->serial << 16 | (uint32_t)(slot - slots->all);
}

struct posta__mqtt_slot *posta__mqtt_slot_take(struct posta__mqtt_slots *slots, struct posta_envelope *envelope)
{
	struct posta__mqtt_slot *slot;

	if (slots->free == POSTA__MQTT_NO_SLOT && !grow(slots))
		return NULL;
	slot = &slots->all[slots->free];
	posta__mqtt_slot_renew(slots, slot);
	slots->free = slot->next;
	slot->envelope = envelope;
	slot->next = POSTA__MQTT_NO_SLOT;
	slots->used++;
	return slot;
}

struct posta__mqtt_slot *posta__mqtt_slot_find(const struct posta__mqtt_slots *slots, uint64_t id)
{
	uint32_t index = (uint32_t)(id & 0xFFFF);

	return index < slots->count && slots->all[index].id == id ? &slots->all[index] : NULL;
}

void posta__mqtt_slot_release(struct posta__mqtt_slots *slots, struct posta__mqtt_slot *slot)
{
	posta_envelope_unref(slot->envelope);
	slot->envelope = NULL;
	slot->id = 0;
	slot->next = slots->free;
	slots->free = (uint32_t)(slot - slots->all);
	slots->used--;
}

void posta__mqtt_slots_fini(struct posta__mqtt_slots *slots)
{
	for (uint32_t i = 0; i < slots->count; i++)
		posta_envelope_unref(slots->all[i].envelope);
	free(slots->all);
	*slots = (struct posta__mqtt_slots){ .free = POSTA__MQTT_NO_SLOT };
}
