/* SPDX-License-Identifier: MIT */
/*
 * confirm_saved: a publication is confirmed when Mosquitto has saved it, not when it has acknowledged it.
 *
 * Mosquitto (2.0.11, loop.c and database.c) answers a PUBLISH within the round of its loop in which it was read, and
 * saves at the end of a round if something has changed; a message that goes to a connected subscriber at once is no
 * change to it. Killed before the next save it loses what it has acknowledged, and no setting of its own prevents that.
 *
 * An UNSUBSCRIBE, even of a filter that nobody has subscribed to, is a change. So one is sent behind the
 * acknowledgements: by the end of its round they are saved. It reads one packet of a connection in a round, so that
 * the answer to a second one, sent after the answer to the first, says that this round has ended.
 *
 *   PUBACKs 1..n   UNSUBSCRIBE a ─▶   ◀─ UNSUBACK a   UNSUBSCRIBE b ─▶   ◀─ UNSUBACK b: 1..n are confirmed
 *
 * While publications flow, b is the a of those that were acknowledged meanwhile: one is under way at a time.
 */
#include "bridges/mqtt.h"

#include <stdlib.h>

enum posta_err posta__mqtt_saved_init(struct posta__mqtt_saved *saved, uint32_t window)
{
	saved->ids = calloc(window, sizeof *saved->ids);
	saved->capacity = window;
	return saved->ids ? POSTA_OK : POSTA_ENOMEM;
}

void posta__mqtt_saved_hold(struct posta__mqtt_saved *saved, uint64_t id)
{
	saved->ids[(saved->first + saved->count) % saved->capacity] = id;
	saved->count++;
}

void posta__mqtt_saved_ask(struct posta__mqtt_saved *saved, struct posta__mqtt_client *client)
{
	if (saved->mid || !saved->count || client->phase != POSTA__MQTT_UP)
		return;
	saved->mid = posta__mqtt_client_unsubscribe(client, POSTA__MQTT_PROBE);
	saved->behind = saved->count;
}

/* Those before the question that was answered last: the one before it has ended its round. */
static uint32_t release(struct posta__mqtt_saved *saved, struct posta_bridge *bridge)
{
	uint32_t n = saved->safe;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t id = saved->ids[saved->first];

		saved->first = (saved->first + 1) % saved->capacity;
		saved->count--;
		posta_bridge_confirm(bridge, id, POSTA_OK, NULL);
	}
	return n;
}

uint32_t posta__mqtt_saved_answered(struct posta__mqtt_saved *saved, struct posta_bridge *bridge, int mid)
{
	uint32_t n;

	if (!saved->mid || mid != saved->mid)
		return 0;
	saved->mid = 0;
	n = release(saved, bridge);
	saved->safe = saved->behind - n;
	return n;
}

void posta__mqtt_saved_fini(struct posta__mqtt_saved *saved)
{
	free(saved->ids);
	saved->ids = NULL;
}
