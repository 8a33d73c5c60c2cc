/* SPDX-License-Identifier: MIT */
/* What goes in: confirmations, order, bodies, headers, limits. */
#include "conformance_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void publish__is_confirmed(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, kit_text("7"), 4711));
	KIT_EXPECT(world, kit_wait(world, &flow.user->answered, 1));
	KIT_EXPECT(world, flow.user->published[0].cookie == 4711);
	KIT_EXPECT(world, flow.user->published[0].result == POSTA_OK);
	KIT_EXPECT(world, flow.user->published[0].text[0] == '\0');
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	KIT_EXPECT(world, kit_number(flow.user, 0) == 7);
	KIT_EXPECT(world, !flow.user->deliveries[0].redelivered);
}

static void publish__a_thousand__keep_their_order(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 1000);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 1000));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1000));
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 1000));
	KIT_EXPECT(world, kit_status(flow.bridge).pending == 0);
}

static void publish__several_keys__each_keeps_its_order(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, false, 0, true));
	for (unsigned i = 0; i < 60; i++) {
		char text[16], key[8];
		snprintf(text, sizeof text, "%u", i);
		snprintf(key, sizeof key, "key-%u", i % 3);
		struct posta_envelope *envelope = kit_text(text);
		posta_envelope_set_text(envelope, POSTA_ATTR_KEY, key);
		KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, envelope, i));
	}
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 60));
	long last[3] = { -1, -1, -1 };
	for (size_t i = 0; i < 60; i++) {
		long number = kit_number(flow.user, i);
		KIT_EXPECT(world, number >= 0 && number > last[number % 3]);
		last[number % 3] = number;
		const char *key = posta_envelope_text(flow.user->deliveries[i].envelope, POSTA_ATTR_KEY);
		KIT_EXPECT(world, strncmp(key, "key-", 4) == 0 && key[4] == '0' + (char)(number % 3));
	}
}

static void body_of_size(struct kit_world *world, size_t size)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	unsigned char *data = malloc(size + 1);
	KIT_EXPECT(world, data);
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 31 + i / 251);
	enum posta_err result = kit_publish(flow.user, flow.bridge, &flow.pair.target, kit_bytes(data, size), 1);
	bool came = !result && kit_wait(world, &flow.user->delivered, 1);
	struct posta_bytes body =
		came ? posta_envelope_body(flow.user->deliveries[0].envelope) : (struct posta_bytes){ 0 };
	bool same = came && body.len == size && (!size || memcmp(body.data, data, size) == 0);
	free(data);
	KIT_EXPECT(world, came);
	KIT_EXPECT(world, same);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 1));
}

static void body__empty__arrives_empty(struct kit_world *world)
{
	body_of_size(world, 0);
}

static void body__one_byte__arrives(struct kit_world *world)
{
	body_of_size(world, 1);
}

static void body__all_bytes__arrive_as_they_are(struct kit_world *world)
{
	body_of_size(world, 4099);
}

static void body__large__arrives(struct kit_world *world)
{
	body_of_size(world, 900000); /* under the 1,000,000 of Kafka's defaults */
}

static bool same(const struct kit_delivery *delivery, enum posta_attribute attribute, const char *text)
{
	return strcmp(posta_envelope_text(delivery->envelope, attribute), text) == 0;
}

static void header__attributes__arrive(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	struct posta_envelope *envelope = kit_text("{\"a\":1}");
	posta_envelope_set_text(envelope, POSTA_ATTR_ID, "id-1");
	posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "/suite/á");
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "reserva.creada");
	posta_envelope_set_text(envelope, POSTA_ATTR_SUBJECT, "room 12");
	posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json");
	posta_envelope_set_text(envelope, POSTA_ATTR_CORRELATION_ID, "correlation-9");
	posta_envelope_set_time(envelope, 1764000000123);
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, envelope, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	const struct kit_delivery *delivery = &flow.user->deliveries[0];
	KIT_EXPECT(world, same(delivery, POSTA_ATTR_ID, "id-1"));
	KIT_EXPECT(world, same(delivery, POSTA_ATTR_SOURCE, "/suite/á"));
	KIT_EXPECT(world, same(delivery, POSTA_ATTR_TYPE, "reserva.creada"));
	KIT_EXPECT(world, same(delivery, POSTA_ATTR_SUBJECT, "room 12"));
	KIT_EXPECT(world, same(delivery, POSTA_ATTR_CONTENT_TYPE, "application/json"));
	KIT_EXPECT(world, same(delivery, POSTA_ATTR_CORRELATION_ID, "correlation-9"));
	KIT_EXPECT(world, posta_envelope_time(delivery->envelope) == 1764000000123);
}

/* The trace and its flags as they were; span: what must not be the parent any more. */
static bool is_next_hop(const struct kit_delivery *delivery, const char *parent, const char *span)
{
	const char *text = posta_envelope_text(delivery->envelope, POSTA_ATTR_TRACEPARENT);
	return strlen(text) == strlen(parent) && memcmp(text, parent, 36) == 0 && strcmp(text + 52, parent + 52) == 0 &&
	       memcmp(text + 36, span, 16) != 0 && memcmp(text + 36, "0000000000000000", 16) != 0;
}

static void trace__each_publication__has_a_span_of_its_own(struct kit_world *world)
{
	static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	for (uint64_t i = 0; i < 3; i++) {
		struct posta_envelope *envelope = kit_text("x");
		posta_envelope_set_text(envelope, POSTA_ATTR_TRACEPARENT, i < 2 ? parent : "no trace");
		KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, envelope, i));
		KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, i + 1));
	}
	const struct kit_delivery *deliveries = flow.user->deliveries;
	KIT_EXPECT(world, is_next_hop(&deliveries[0], parent, parent + 36));
	KIT_EXPECT(world, is_next_hop(&deliveries[1], parent,
				      posta_envelope_text(deliveries[0].envelope, POSTA_ATTR_TRACEPARENT) + 36));
	KIT_EXPECT(world, same(&deliveries[2], POSTA_ATTR_TRACEPARENT, "no trace"));
}

static void header__free_ones__arrive(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	struct posta_envelope *envelope = kit_text("x");
	posta_envelope_add_header(envelope, "x-tenant", "madrid", 6);
	posta_envelope_add_header(envelope, "x-empty", "", 0);
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, envelope, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	struct posta_bytes tenant = posta_envelope_header(flow.user->deliveries[0].envelope, "x-tenant");
	KIT_EXPECT(world, tenant.len == 6 && memcmp(tenant.data, "madrid", 6) == 0);
	struct posta_bytes empty = posta_envelope_header(flow.user->deliveries[0].envelope, "x-empty");
	KIT_EXPECT(world, empty.data && empty.len == 0);
}

static void header__topic__says_where_it_was_read(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, false, 0, true));
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, kit_text("x"), 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	const char *name = flow.pair.target.topic ? flow.pair.target.topic : flow.pair.target.routing_key;
	KIT_EXPECT(world, same(&flow.user->deliveries[0], POSTA_ATTR_TOPIC, name));
}

static void publish__structured__arrives_as_an_event(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	flow.pair.target.format = POSTA_FORMAT_STRUCTURED;
	struct posta_envelope *envelope = kit_text("{\"room\":12}");
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "reserva.creada");
	posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "/suite");
	posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json");
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, envelope, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	KIT_EXPECT(world, same(&flow.user->deliveries[0], POSTA_ATTR_TYPE, "reserva.creada"));
	struct posta_value value = posta_envelope_field(flow.user->deliveries[0].envelope, "data.room");
	KIT_EXPECT(world, value.kind == POSTA_VALUE_INT && value.integer == 12);
}

static void publish__pending_max__is_full(struct kit_world *world)
{
	struct posta_bridge_options options = kit_options(world);
	options.pending_max = 4;
	struct posta_bridge *bridge = kit_open(world, &options);
	struct kit_user *user = kit_user(world);
	struct kit_pair pair;
	kit_pair(world, &pair, true);
	kit_publish_numbers(user, bridge, &pair.target, 0, 10); /* in one turn: none can be confirmed meanwhile */
	KIT_EXPECT(world, kit_wait(world, &user->answered, 10));
	size_t full = 0;
	for (size_t i = 0; i < 10; i++) {
		bool late = user->published[i].cookie >= 4;
		full += user->published[i].result == POSTA_EFULL && late;
	}
	KIT_EXPECT(world, full == 6);
	KIT_EXPECT(world, kit_status(bridge).publish_failed >= 6);
}

static void publish__too_big__is_refused_and_the_flow_goes_on(struct kit_world *world)
{
	struct posta_bridge_options options = kit_options(world);
	options.message_bytes_max = 1000;
	struct posta_bridge *bridge = kit_open(world, &options);
	struct kit_user *user = kit_user(world);
	struct kit_pair pair;
	char large[1001];
	memset(large, 'x', sizeof large);
	kit_pair(world, &pair, true);
	KIT_EXPECT(world, kit_subscribe(user, bridge, &pair.source));
	KIT_EXPECT(world, !kit_publish(user, bridge, &pair.target, kit_bytes(large, sizeof large), 1));
	KIT_EXPECT(world, !kit_publish(user, bridge, &pair.target, kit_text("2"), 2));
	KIT_EXPECT(world, kit_wait(world, &user->answered, 2));
	KIT_EXPECT(world, user->published[0].cookie == 1 && user->published[0].result == POSTA_ETOOBIG);
	KIT_EXPECT(world, user->published[0].text[0]);
	KIT_EXPECT(world, user->published[1].cookie == 2 && user->published[1].result == POSTA_OK);
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 1));
	KIT_EXPECT(world, kit_number(user, 0) == 2);
}

static void publish__expired__is_not_sent(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	struct posta_envelope *old = kit_text("1");
	posta_envelope_set_expiry(old, 1000);
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, old, 1));
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, kit_text("2"), 2));
	KIT_EXPECT(world, kit_wait(world, &flow.user->answered, 2));
	KIT_EXPECT(world, flow.user->published[0].cookie == 1 && flow.user->published[0].result == POSTA_EEXPIRED);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	KIT_EXPECT(world, kit_number(flow.user, 0) == 2);
}

static void publish__no_such_target__says_so(struct kit_world *world)
{
	struct kit_pair bad, good;
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	memset(&bad, 0, sizeof bad);
	world->kit->no_such(&bad);
	kit_pair(world, &good, true);
	KIT_EXPECT(world, !kit_publish(user, bridge, &bad.target, kit_text("1"), 1));
	KIT_EXPECT(world, kit_wait(world, &user->answered, 1));
	KIT_EXPECT(world, user->published[0].result != POSTA_OK);
	KIT_EXPECT(world, !posta_err_retriable(user->published[0].result));
	KIT_EXPECT(world, user->published[0].text[0]);
	KIT_EXPECT(world, !kit_publish(user, bridge, &good.target, kit_text("2"), 2));
	KIT_EXPECT(world, kit_wait(world, &user->confirmed, 1));
}

static void publish__no_destination__is_invalid(struct kit_world *world)
{
	const struct posta_target nowhere = { .size = sizeof nowhere };
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	KIT_EXPECT(world, kit_publish(user, bridge, &nowhere, kit_text("1"), 1) == POSTA_EINVAL);
}

static void priority__high_ones_come_first(struct kit_world *world)
{
	struct kit_pair pair;
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	kit_pair(world, &pair, true);
	pair.target.queue_priority_max = pair.source.queue_priority_max = 9;
	for (int i = 0; i < 10; i++) {
		char text[8];
		snprintf(text, sizeof text, "%d", i);
		struct posta_envelope *envelope = kit_text(text);
		posta_envelope_set_priority(envelope, i);
		KIT_EXPECT(world, !kit_publish(user, bridge, &pair.target, envelope, (uint64_t)i));
	}
	KIT_EXPECT(world, kit_wait(world, &user->confirmed, 10));
	KIT_EXPECT(world, kit_subscribe(user, bridge, &pair.source));
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 10));
	for (size_t i = 0; i < 10; i++)
		KIT_EXPECT(world, kit_number(user, i) == 9 - (long)i);
}

static void retained__later_subscriber__gets_it(struct kit_world *world)
{
	struct kit_pair pair;
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	kit_pair(world, &pair, false);
	pair.target.retain = true;
	kit_publish_numbers(user, bridge, &pair.target, 1, 2);
	KIT_EXPECT(world, kit_wait(world, &user->confirmed, 2));
	pair.source.from_latest = pair.source.topic; /* a log would begin with all */
	KIT_EXPECT(world, kit_subscribe(user, bridge, &pair.source));
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 1));
	KIT_EXPECT(world, kit_number(user, 0) == 2);
	kit_quiet(world, 100);
	KIT_EXPECT(world, user->delivered == 1);
}

const struct kit_behaviour kit_publish_behaviours[] = {
	{ "publish__is_confirmed", 0, 0, publish__is_confirmed },
	{ "publish__a_thousand__keep_their_order", 0, 0, publish__a_thousand__keep_their_order },
	{ "publish__several_keys__each_keeps_its_order", 0, KIT_LACKS_KEY,
	  publish__several_keys__each_keeps_its_order },
	{ "publish__structured__arrives_as_an_event", 0, 0, publish__structured__arrives_as_an_event },
	{ "publish__pending_max__is_full", 0, 0, publish__pending_max__is_full },
	{ "publish__too_big__is_refused_and_the_flow_goes_on", 0, 0,
	  publish__too_big__is_refused_and_the_flow_goes_on },
	{ "publish__expired__is_not_sent", 0, 0, publish__expired__is_not_sent },
	{ "publish__no_such_target__says_so", 0, KIT_LACKS_BAD_TARGET, publish__no_such_target__says_so },
	{ "publish__no_destination__is_invalid", 0, 0, publish__no_destination__is_invalid },
	{ "body__empty__arrives_empty", 0, KIT_LACKS_EMPTY_BODY, body__empty__arrives_empty },
	{ "body__one_byte__arrives", 0, 0, body__one_byte__arrives },
	{ "body__all_bytes__arrive_as_they_are", 0, 0, body__all_bytes__arrive_as_they_are },
	{ "body__large__arrives", 0, 0, body__large__arrives },
	{ "header__attributes__arrive", POSTA_CAN_HEADERS, 0, header__attributes__arrive },
	{ "trace__each_publication__has_a_span_of_its_own", 0, 0, trace__each_publication__has_a_span_of_its_own },
	{ "header__free_ones__arrive", POSTA_CAN_HEADERS, 0, header__free_ones__arrive },
	{ "header__topic__says_where_it_was_read", 0, 0, header__topic__says_where_it_was_read },
	{ "priority__high_ones_come_first", POSTA_CAN_PRIORITY, 0, priority__high_ones_come_first },
	{ "retained__later_subscriber__gets_it", POSTA_CAN_RETAIN, 0, retained__later_subscriber__gets_it },
	{ NULL, 0, 0, NULL },
};
