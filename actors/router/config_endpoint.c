/* SPDX-License-Identifier: MIT */
/* Sources and targets: one table of keys with the brokers that have them. */
#include "config.h"

#include "bridges/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANY (POSTA__KAFKA | POSTA__AMQP | POSTA__MQTT | POSTA__MEMORY)
#define TOPICS_MAX 64
#define BINDINGS_MAX 64

struct reading {
	struct posta__endpoint *endpoint;
	const char *what;
	enum posta__broker_kind kind;
	bool source;
};

static const char *kind_name(enum posta__broker_kind kind)
{
	return kind == POSTA__KAFKA ? "Kafka" : kind == POSTA__AMQP ? "AMQP" : kind == POSTA__MQTT ? "MQTT" : "memory";
}

static const struct {
	const char *key;
	unsigned source, target; /* brokers that have it there */
} possible[] = {
	{ "topic", ANY & ~POSTA__AMQP, ANY & ~POSTA__AMQP },
	{ "topics", POSTA__KAFKA | POSTA__MEMORY, 0 },
	{ "pattern", POSTA__KAFKA | POSTA__MEMORY, 0 },
	{ "group", POSTA__KAFKA | POSTA__MEMORY, 0 },
	{ "start", POSTA__KAFKA | POSTA__MEMORY, 0 },
	{ "queue", POSTA__AMQP | POSTA__MEMORY, POSTA__AMQP | POSTA__MEMORY },
	{ "exchange", POSTA__AMQP, POSTA__AMQP },
	{ "routing_key", POSTA__AMQP, POSTA__AMQP },
	{ "bindings", POSTA__AMQP, 0 },
	{ "declare", POSTA__AMQP, POSTA__AMQP },
	{ "passive", POSTA__AMQP, POSTA__AMQP },
	{ "priority", POSTA__AMQP | POSTA__MEMORY, POSTA__AMQP | POSTA__MEMORY },
	{ "filter", POSTA__MQTT | POSTA__MEMORY, 0 },
	{ "share", POSTA__MQTT, 0 },
	{ "qos", POSTA__MQTT, POSTA__MQTT },
	{ "retain", 0, POSTA__MQTT | POSTA__MEMORY },
	{ "credit", ANY, 0 },
	{ "prefetch", ANY, 0 },
	{ "key", 0, ANY },
	{ "format", 0, ANY },
};

static bool allowed(struct posta__reader *reader, const struct reading *reading, const char *key,
		    struct fy_node *key_node)
{
	for (size_t i = 0; i < sizeof possible / sizeof possible[0]; i++) {
		if (strcmp(possible[i].key, key) != 0)
			continue;
		unsigned brokers = reading->source ? possible[i].source : possible[i].target;
		if (brokers & reading->kind)
			return true;
		posta__wrong(reader, key_node, NULL,
			     brokers ? "\"%s\" in %s is not possible with %s" : "\"%s\" is not possible in %s", key,
			     reading->what, kind_name(reading->kind));
		return false;
	}
	return false;
}

static void read_string(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	static const struct {
		const char *key;
		size_t source, target;
	} texts[] = {
		{ "topic", offsetof(struct posta_source, topic), offsetof(struct posta_target, topic) },
		{ "group", offsetof(struct posta_source, group), 0 },
		{ "queue", offsetof(struct posta_source, queue), offsetof(struct posta_target, queue) },
		{ "exchange", offsetof(struct posta_source, exchange), offsetof(struct posta_target, exchange) },
		{ "routing_key", offsetof(struct posta_source, routing_key),
		  offsetof(struct posta_target, routing_key) },
		{ "filter", offsetof(struct posta_source, filter), 0 },
		{ "share", offsetof(struct posta_source, share), 0 },
	};
	struct reading *reading = owner;
	const char *text;
	if (!allowed(reader, reading, key, key_node) || !posta__read_text(reader, node, &text))
		return;
	if (!*text) {
		posta__wrong(reader, node, NULL, "\"%s\" is empty", key);
		return;
	}
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (strcmp(texts[i].key, key) != 0)
			continue;
		char *place = reading->source ? (char *)&reading->endpoint->source + texts[i].source
					      : (char *)&reading->endpoint->target + texts[i].target;
		*(const char **)(void *)place = text;
	}
}

static void read_topics(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	struct reading *reading = owner;
	if (!allowed(reader, reading, key, key_node))
		return;
	if (!node || !fy_node_is_sequence(node) || fy_node_sequence_item_count(node) > TOPICS_MAX) {
		posta__wrong(reader, node, "topics: [a, b]", "a list of at most %d topics is expected here",
			     TOPICS_MAX);
		return;
	}
	char *all = posta__arena_alloc(reader->arena, TOPICS_MAX * 256);
	size_t used = 0;
	void *at = NULL;
	const char *topic;
	for (struct fy_node *item; all && (item = fy_node_sequence_iterate(node, &at));) {
		if (!posta__read_text(reader, item, &topic))
			return;
		struct posta_error why = { 0 };
		if (posta__name_check(POSTA__NAME_KAFKA, topic, &why)) {
			posta__wrong(reader, item, NULL, "%s", why.text);
			return;
		}
		used += (size_t)sprintf(all + used, "%s%s", used ? "," : "", topic);
	}
	reader->no_memory |= !all;
	reading->endpoint->source.topic = used ? all : NULL;
}

static void read_binding_text(struct posta__reader *reader, const char *key, struct fy_node *key_node,
			      struct fy_node *node, void *owner)
{
	const char **binding = owner;
	bool exchange = strcmp(key, "exchange") == 0;
	const char *text;
	if (!posta__read_text(reader, node, &text))
		return;
	if (exchange && !*text)
		posta__wrong(reader, node, NULL, "nothing can be bound to the default exchange");
	binding[exchange ? 0 : 1] = text;
	(void)key_node;
}

static void read_bindings(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			  void *owner)
{
	static const struct posta__key keys[] = { { "exchange", read_binding_text, NULL },
						  { "routing_key", read_binding_text, NULL },
						  { NULL, NULL, NULL } };
	struct reading *reading = owner;
	if (!allowed(reader, reading, key, key_node))
		return;
	int count = node && fy_node_is_sequence(node) ? fy_node_sequence_item_count(node) : 0;
	if (count < 1 || count > BINDINGS_MAX) {
		posta__wrong(reader, node, "bindings: [{ exchange: NAME, routing_key: KEY }]",
			     "a list of 1 to %d bindings is expected here", BINDINGS_MAX);
		return;
	}
	const char **list = posta__arena_alloc(reader->arena, (2 * (size_t)count + 1) * sizeof *list);
	void *at = NULL;
	reader->no_memory |= !list;
	reading->endpoint->source.bindings = list;
	for (struct fy_node *item; list && (item = fy_node_sequence_iterate(node, &at)); list += 2) {
		list[1] = "";
		posta__read_mapping(reader, item, "a binding", keys, list);
		if (!list[0])
			posta__wrong(reader, item, "{ exchange: NAME, routing_key: KEY }",
				     "a binding needs an exchange");
	}
}

static void read_pattern(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			 void *owner)
{
	struct reading *reading = owner;
	const char *text;
	if (!allowed(reader, reading, key, key_node) || !posta__read_text(reader, node, &text))
		return;
	if (!*text) {
		posta__wrong(reader, node, NULL, "\"%s\" is empty", key);
		return;
	}
	char *pattern = posta__arena_alloc(reader->arena, strlen(text) + 2);
	reader->no_memory |= !pattern;
	if (pattern)
		sprintf(pattern, "%s%s", *text == '^' ? "" : "^", text);
	reading->endpoint->source.topic = pattern;
}

static void read_flag(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		      void *owner)
{
	struct reading *reading = owner;
	bool value;
	if (!allowed(reader, reading, key, key_node) || !posta__read_bool(reader, node, &value))
		return;
	if (strcmp(key, "retain") == 0)
		reading->endpoint->target.retain = value;
	else if (reading->source)
		reading->endpoint->source.passive = strcmp(key, "passive") == 0 ? value : !value;
	else
		reading->endpoint->target.passive = strcmp(key, "passive") == 0 ? value : !value;
}

static void read_number(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	struct reading *reading = owner;
	bool qos = strcmp(key, "qos") == 0, priority = strcmp(key, "priority") == 0;
	long long value;
	if (!allowed(reader, reading, key, key_node) || !posta__read_integer(reader, node, qos ? 0 : 1,
									     qos        ? 2
									     : priority ? 255
											: 16384,
									     &value))
		return;
	if (qos && value == 0)
		posta__report(reader, posta__place(node), true, "use qos: 1", "qos 0 may lose messages");
	if (qos)
		*(reading->source ? &reading->endpoint->source.qos : &reading->endpoint->target.qos) = (int)value;
	else if (priority)
		*(reading->source ? &reading->endpoint->source.queue_priority_max
				  : &reading->endpoint->target.queue_priority_max) = (int)value;
	else
		reading->endpoint->source.credit = (uint32_t)value;
}

static void read_word(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		      void *owner)
{
	static const char *const formats[] = { "binary", "structured", "raw", NULL };
	static const char *const starts[] = { "earliest", "latest", NULL };
	struct reading *reading = owner;
	bool format = strcmp(key, "format") == 0;
	int index;
	if (!allowed(reader, reading, key, key_node) ||
	    !posta__read_choice(reader, node, format ? formats : starts, &index))
		return;
	if (format)
		reading->endpoint->target.format = (enum posta_format)index;
	else
		reading->endpoint->source.from_latest = index == 1;
}

static void read_key(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		     void *owner)
{
	struct reading *reading = owner;
	struct posta_error why = { 0 };
	const char *text;
	unsigned column;
	if (!allowed(reader, reading, key, key_node) || !posta__read_text(reader, node, &text))
		return;
	posta__template_free(reading->endpoint->key);
	reading->endpoint->key = posta__template_compile(text, &column, &why);
	if (!reading->endpoint->key) {
		struct posta__place place = posta__place(node);
		place.column += (int)column - 1;
		posta__report(reader, place, false, NULL, "%s", why.text);
	}
}

static void read_already(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			 void *owner)
{
}

static const struct posta__key endpoint_keys[] = {
	{ "broker", read_already, NULL },
	{ "topic", read_string, NULL },
	{ "topics", read_topics, NULL },
	{ "pattern", read_pattern, NULL },
	{ "group", read_string, NULL },
	{ "start", read_word, NULL },
	{ "queue", read_string, NULL },
	{ "exchange", read_string, NULL },
	{ "routing_key", read_string, NULL },
	{ "bindings", read_bindings, NULL },
	{ "declare", read_flag, NULL },
	{ "passive", read_flag, NULL },
	{ "priority", read_number, NULL },
	{ "filter", read_string, NULL },
	{ "share", read_string, NULL },
	{ "qos", read_number, NULL },
	{ "retain", read_flag, NULL },
	{ "credit", read_number, NULL },
	{ "prefetch", read_number, NULL },
	{ "key", read_key, NULL },
	{ "format", read_word, NULL },
	{ "switch", NULL, "use one route with a filter for each target" },
	{ NULL, NULL, NULL },
};

/* Exactly one place to read from or to write to, with a name the broker can have. */
static void check_names(struct posta__reader *reader, struct fy_node *node, const struct reading *reading)
{
	const struct posta_source *source = &reading->endpoint->source;
	const struct posta_target *target = &reading->endpoint->target;
	struct posta_error why = { 0 };
	const char *topic = reading->source ? source->topic : target->topic;
	const char *queue = reading->source ? source->queue : target->queue;
	const char *exchange = reading->source ? source->exchange : target->exchange;
	const char *filter = reading->source ? source->filter : NULL;
	bool bound = reading->source && (exchange || source->bindings);
	int places = !!topic + !!filter + (queue || bound) + (exchange && !reading->source);
	enum posta_err err = POSTA_OK;
	if (places != 1) {
		static const char *const wants[] = { "a topic", "a queue or an exchange", "a topic or filter",
						     "a topic or queue" };
		int which = reading->kind == POSTA__KAFKA  ? 0
			    : reading->kind == POSTA__AMQP ? 1
			    : reading->kind == POSTA__MQTT ? 2
							   : 3;
		posta__wrong(reader, node, NULL, "%s needs %s with %s", reading->what,
			     places ? "only one of them:" : wants[which == 2 && !reading->source ? 0 : which],
			     kind_name(reading->kind));
		return;
	}
	if (topic && reading->kind == POSTA__KAFKA && *topic != '^' && !strchr(topic, ','))
		err = posta__name_check(POSTA__NAME_KAFKA, topic, &why);
	else if (topic && reading->kind == POSTA__MQTT && !reading->source)
		err = posta__name_check(POSTA__NAME_MQTT, topic, &why);
	else if (reading->kind == POSTA__MQTT && reading->source)
		err = posta__filter_check(POSTA__NAME_MQTT, filter ? filter : topic, &why);
	if (err)
		posta__wrong(reader, node, NULL, "%s", why.text);
}

static bool read_endpoint(struct posta__reader *reader, struct fy_node *node, const char *what, bool source,
			  struct posta__endpoint *endpoint)
{
	unsigned before = reader->errors;
	struct reading reading = { .endpoint = endpoint, .what = what, .source = source };
	struct fy_node *broker = NULL;
	if (!node || !fy_node_is_mapping(node)) {
		posta__wrong(reader, node, "{ broker: NAME, topic: NAME }", "%s must say a broker and a place there",
			     what);
		return false;
	}
	endpoint->place = posta__place(node);
	broker = fy_node_mapping_lookup_by_string(node, "broker", FY_NT);
	if (!broker && fy_node_mapping_lookup_by_string(node, "switch", FY_NT) == NULL)
		posta__wrong(reader, node, "{ broker: NAME, ... }", "%s has no broker", what);
	endpoint->broker = broker ? posta__find_broker(reader, broker) : SIZE_MAX;
	reading.kind = endpoint->broker == SIZE_MAX ? ANY : posta__config_of(reader)->brokers[endpoint->broker].kind;
	endpoint->source.qos = endpoint->target.qos = reading.kind == POSTA__MQTT ? -1 : 0;
	endpoint->source.credit = source ? POSTA__CREDIT_DEFAULT : 0;
	endpoint->source.size = sizeof endpoint->source;
	endpoint->target.size = sizeof endpoint->target;
	posta__read_mapping(reader, node, what, endpoint_keys, &reading);
	if (reader->errors == before)
		check_names(reader, node, &reading);
	/* One topic is a filter without wildcards. */
	if (source && reading.kind == POSTA__MQTT && endpoint->source.topic && !endpoint->source.filter) {
		endpoint->source.filter = endpoint->source.topic;
		endpoint->source.topic = NULL;
	}
	return reader->errors == before;
}

bool posta__read_source(struct posta__reader *reader, struct fy_node *node, struct posta__endpoint *endpoint)
{
	return read_endpoint(reader, node, "from", true, endpoint);
}

bool posta__read_target(struct posta__reader *reader, struct fy_node *node, const char *what,
			struct posta__endpoint *endpoint)
{
	return read_endpoint(reader, node, what, false, endpoint);
}
