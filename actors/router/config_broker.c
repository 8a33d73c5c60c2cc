/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX 4096u
#define EXTRA_MAX 128u
#define NAME_BYTES_MAX 63u

static const struct {
	const char *scheme;
	enum posta__broker_kind kind;
} schemes[] = {
	{ "kafka", POSTA__KAFKA }, { "kafkas", POSTA__KAFKA }, { "amqp", POSTA__AMQP },     { "amqps", POSTA__AMQP },
	{ "mqtt", POSTA__MQTT },   { "mqtts", POSTA__MQTT },   { "memory", POSTA__MEMORY },
};

static void read_url(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		     void *owner)
{
	struct posta__broker *broker = owner;
	if (!posta__read_text(reader, node, &broker->url))
		return;
	size_t len = strcspn(broker->url, ":");
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (strlen(schemes[i].scheme) == len && strncmp(broker->url, schemes[i].scheme, len) == 0 &&
		    broker->url[len] == ':')
			broker->kind = schemes[i].kind;
	if (!broker->kind)
		posta__wrong(reader, node, "kafka://host:9092, amqp://host, mqtt://host or memory:",
			     "the URL of broker \"%s\" has an unknown scheme", broker->name);
}

static void read_name_text(struct posta__reader *reader, const char *key, struct fy_node *key_node,
			   struct fy_node *node, void *owner)
{
	static const struct {
		const char *key;
		size_t offset;
	} texts[] = {
		{ "client_id", offsetof(struct posta_bridge_options, client_id) },
		{ "user", offsetof(struct posta_bridge_options, user) },
		{ "will_topic", offsetof(struct posta_bridge_options, will_topic) },
		{ "ca", offsetof(struct posta_bridge_options, tls.ca) },
		{ "cert", offsetof(struct posta_bridge_options, tls.cert) },
		{ "key", offsetof(struct posta_bridge_options, tls.key) },
	};
	struct posta__broker *broker = owner;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (strcmp(texts[i].key, key) == 0)
			posta__read_text(reader, node,
					 (const char **)(void *)((char *)&broker->options + texts[i].offset));
}

static void read_will_body(struct posta__reader *reader, const char *key, struct fy_node *key_node,
			   struct fy_node *node, void *owner)
{
	struct posta__broker *broker = owner;
	const char *text;
	if (!posta__read_text(reader, node, &text))
		return;
	broker->options.will_body = text;
	broker->options.will_len = strlen(text);
}

static void read_password(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			  void *owner)
{
	struct posta__broker *broker = owner;
	size_t len = 0;
	const char *raw = node && fy_node_is_scalar(node) ? fy_node_get_scalar(node, &len) : NULL;
	if (raw && !memmem(raw, len, "${", 2))
		posta__report(reader, posta__place(node), true, "use ${VARIABLE} or password_file",
			      "the password of broker \"%s\" stands in the file", broker->name);
	posta__read_text(reader, node, &broker->options.password);
}

static void read_password_file(struct posta__reader *reader, const char *key, struct fy_node *key_node,
			       struct fy_node *node, void *owner)
{
	struct posta__broker *broker = owner;
	const char *path;
	char secret[SECRET_MAX];
	if (!posta__read_text(reader, node, &path))
		return;
	FILE *file = fopen(path, "re");
	size_t len = file ? fread(secret, 1, sizeof secret, file) : 0;
	if (file)
		fclose(file);
	size_t line = 0;
	while (line < len && secret[line] != '\n' && secret[line] != '\r')
		line++;
	if (!line || line == sizeof secret || memchr(secret, '\0', line)) {
		posta__wrong(reader, node, "its first line is the password", "no password could be read from %s", path);
	} else {
		broker->options.password = posta__arena_text(reader->arena, secret, line);
		reader->no_memory |= !broker->options.password;
	}
	explicit_bzero(secret, sizeof secret);
}

static void read_count(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		       void *owner)
{
	struct posta__broker *broker = owner;
	long long value;
	if (strcmp(key, "will_qos") == 0) {
		if (posta__read_integer(reader, node, 0, 2, &value))
			broker->options.will_qos = (int)value;
	} else if (strcmp(key, "pending_max") == 0) {
		if (posta__read_integer(reader, node, 1, 16777216, &value))
			broker->options.pending_max = (uint32_t)value;
	} else if (strcmp(key, "pending_bytes_max") == 0) {
		if (posta__read_integer(reader, node, 1024, INT64_C(1) << 40, &value))
			broker->options.pending_bytes_max = (size_t)value;
	} else if (posta__read_integer(reader, node, 1, 1 << 30, &value)) {
		broker->options.message_bytes_max = (uint32_t)value;
	}
}

static void read_flag(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		      void *owner)
{
	struct posta_bridge_options *options = &((struct posta__broker *)owner)->options;
	bool value;
	if (!posta__read_bool(reader, node, &value))
		return;
	if (strcmp(key, "insecure") == 0)
		options->tls.insecure = value;
	else if (strcmp(key, "will_retain") == 0)
		options->will_retain = value;
	else
		options->clean_session = value;
}

static void read_wait(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		      void *owner)
{
	struct posta_bridge_options *options = &((struct posta__broker *)owner)->options;
	uint64_t ms;
	if (!posta__read_duration(reader, node, &ms))
		return;
	if (strcmp(key, "heartbeat") == 0)
		options->heartbeat_ms = (uint32_t)ms;
	else if (strcmp(key, "connect_timeout") == 0)
		options->connect_timeout_ms = (uint32_t)ms;
	else if (strcmp(key, "reconnect_initial") == 0)
		options->backoff.initial_ms = ms;
	else
		options->backoff.max_ms = ms;
}

static void read_version(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			 void *owner)
{
	static const char *const names[] = { "5", "3.1.1", NULL };
	int index;
	if (posta__read_choice(reader, node, names, &index))
		((struct posta__broker *)owner)->options.mqtt_version = index ? 4 : 5;
}

static void read_tls(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		     void *owner)
{
	static const struct posta__key keys[] = {
		{ "ca", read_name_text, NULL },
		{ "cert", read_name_text, NULL },
		{ "key", read_name_text, NULL },
		{ "insecure", read_flag, NULL },
		{ NULL, NULL, NULL },
	};
	posta__read_mapping(reader, node, "tls", keys, owner);
}

static void read_extra_pair(struct posta__reader *reader, const char *key, struct fy_node *key_node,
			    struct fy_node *node, void *owner)
{
	struct posta__broker *broker = owner;
	size_t n = 0;
	while (broker->extra[n])
		n += 2;
	if (n + 3 >= EXTRA_MAX)
		posta__wrong(reader, key_node, NULL, "more than %u extra options", EXTRA_MAX / 2 - 1);
	else if (posta__read_text(reader, node, &broker->extra[n + 1]))
		broker->extra[n] = key;
}

static void read_extra(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		       void *owner)
{
	static const struct posta__key any[] = { { "*", read_extra_pair, NULL }, { NULL, NULL, NULL } };
	struct posta__broker *broker = owner;
	broker->extra = posta__arena_alloc(reader->arena, EXTRA_MAX * sizeof *broker->extra);
	broker->options.extra = broker->extra;
	if (broker->extra)
		posta__read_mapping(reader, node, "extra", any, broker);
	reader->no_memory |= !broker->extra;
}

static const struct posta__key broker_keys[] = {
	{ "url", read_url, NULL },
	{ "client_id", read_name_text, NULL },
	{ "user", read_name_text, NULL },
	{ "password", read_password, NULL },
	{ "password_file", read_password_file, NULL },
	{ "tls", read_tls, NULL },
	{ "mqtt_version", read_version, NULL },
	{ "clean_session", read_flag, NULL },
	{ "will_topic", read_name_text, NULL },
	{ "will_body", read_will_body, NULL },
	{ "will_qos", read_count, NULL },
	{ "will_retain", read_flag, NULL },
	{ "pending_max", read_count, NULL },
	{ "pending_bytes_max", read_count, NULL },
	{ "message_bytes_max", read_count, NULL },
	{ "heartbeat", read_wait, NULL },
	{ "connect_timeout", read_wait, NULL },
	{ "reconnect_initial", read_wait, NULL },
	{ "reconnect_max", read_wait, NULL },
	{ "extra", read_extra, NULL },
	{ NULL, NULL, NULL },
};

static void complete_backoff(struct posta_backoff *backoff)
{
	if (!backoff->initial_ms && !backoff->max_ms)
		return;
	backoff->initial_ms = backoff->initial_ms ? backoff->initial_ms : 100;
	backoff->max_ms = backoff->max_ms ? backoff->max_ms : 30000;
	backoff->factor = 2;
	backoff->jitter = POSTA_JITTER_FULL;
}

static void read_broker(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	struct posta_router_config *config = posta__config_of(reader);
	if (config->broker_count == POSTA__BROKERS_MAX) {
		posta__wrong(reader, key_node, NULL, "more than %u brokers", POSTA__BROKERS_MAX);
		return;
	}
	struct posta__broker *broker = &config->brokers[config->broker_count++];
	broker->name = key;
	broker->place = posta__place(key_node);
	broker->options.name = key;
	broker->options.size = sizeof broker->options;
	if (!*key || strlen(key) > NAME_BYTES_MAX)
		posta__wrong(reader, key_node, NULL, "the name of a broker has 1 to %u bytes", NAME_BYTES_MAX);
	if (node && fy_node_is_mapping(node)) {
		posta__read_mapping(reader, node, "a broker", broker_keys, broker);
		if (!broker->url && !reader->errors)
			posta__wrong(reader, key_node, NULL, "broker \"%s\" has no url", key);
	} else {
		read_url(reader, "url", key_node, node, broker);
	}
	complete_backoff(&broker->options.backoff);
	if (reader->errors)
		return; /* a second reading would tell them again */
	broker->fingerprint = posta__node_hash(reader, node, 0);
	for (const char *secret = broker->options.password; secret && *secret; secret++)
		broker->fingerprint = (broker->fingerprint ^ (unsigned char)*secret) * UINT64_C(1099511628211);
}

void posta__read_brokers(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			 void *owner)
{
	static const struct posta__key any[] = { { "*", read_broker, NULL }, { NULL, NULL, NULL } };
	struct posta_router_config *config = posta__config_of(reader);
	config->brokers = posta__arena_alloc(reader->arena, POSTA__BROKERS_MAX * sizeof *config->brokers);
	if (config->brokers)
		posta__read_mapping(reader, node, "brokers", any, NULL);
	reader->no_memory |= !config->brokers;
}

size_t posta__find_broker(struct posta__reader *reader, struct fy_node *node)
{
	struct posta_router_config *config = posta__config_of(reader);
	const char *names[POSTA__BROKERS_MAX + 1] = { NULL };
	const char *name;
	char hint[128];
	if (!posta__read_text(reader, node, &name))
		return SIZE_MAX;
	for (size_t i = 0; i < config->broker_count; i++) {
		names[i] = config->brokers[i].name;
		if (strcmp(names[i], name) == 0) {
			config->brokers[i].used = true;
			return i;
		}
	}
	const char *nearest = posta__nearest(name, names);
	if (nearest)
		snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest);
	posta__wrong(reader, node, nearest ? hint : "brokers: names those there are", "there is no broker \"%.64s\"",
		     name);
	return SIZE_MAX;
}
