/* SPDX-License-Identifier: MIT */
/*
 * A URL and options as librdkafka's own settings. Those of options->extra come last and win: SASL mechanisms,
 * compression, batching and all else has a name there already.
 */
#include "bridges/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTING_MAX 4096u
#define FETCHED_PER_MS 64u /* bytes of a partition: 64 KB/s is the least a link must carry */

struct place {
	bool tls;
	char servers[SETTING_MAX];
	char user[512], password[512]; /* "": none */
};

enum posta_err posta__kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct posta_error *error)
{
	char words[POSTA_ERROR_TEXT_MAX];

	if (!value)
		return posta_error_set(error, POSTA_EINVAL, "kafka: option %s has no value", name);
	if (rd_kafka_conf_set(conf, name, value, words, sizeof words) == RD_KAFKA_CONF_OK)
		return POSTA_OK;
	return posta_error_set(error, POSTA_EINVAL, "kafka: %s", words);
}

static int hex(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | ((c >= 'A' && c <= 'F') ? 0x20 : 0)) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool decode(const char *text, size_t len, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++, used++) {
		if (used + 1 >= size)
			return false;
		out[used] = text[i];
		if (text[i] != '%')
			continue;
		if (i + 2 >= len || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
			return false;
		out[used] = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
		i += 2;
		if (!out[used])
			return false;
	}
	out[used] = '\0';
	return true;
}

static bool parse(const char *url, struct place *place)
{
	const char *authority = strstr(url, "://");

	if (!authority)
		return false;
	place->tls = authority - url == 6;
	authority += 3;
	size_t len = strcspn(authority, "/?#");
	const char *rest = authority + len;
	if (strcmp(rest, "") != 0 && strcmp(rest, "/") != 0)
		return false;
	const char *at = memchr(authority, '@', len);
	for (const char *later = at; later; later = memchr(later + 1, '@', len - (size_t)(later + 1 - authority)))
		at = later;
	if (at) {
		const char *colon = memchr(authority, ':', (size_t)(at - authority));
		if (!decode(authority, (size_t)((colon ? colon : at) - authority), place->user, sizeof place->user) ||
		    (colon && !decode(colon + 1, (size_t)(at - colon - 1), place->password, sizeof place->password)))
			return false;
		len -= (size_t)(at + 1 - authority);
		authority = at + 1;
	}
	if (!len || len >= sizeof place->servers || *authority == ',' || *authority == ':' || authority[len - 1] == ',')
		return false;
	memcpy(place->servers, authority, len);
	place->servers[len] = '\0';
	return true;
}

static enum posta_err set_access(rd_kafka_conf_t *conf, const struct place *place,
				 const struct posta_bridge_options *options, struct posta_error *error)
{
	const char *user = options->user ? options->user : place->user;
	const char *password = options->password ? options->password : place->password;
	enum posta_err err = posta__kafka_set(conf, "security.protocol",
					      place->tls ? *user ? "sasl_ssl" : "ssl"
					      : *user    ? "sasl_plaintext"
							 : "plaintext",
					      error);

	if (!err && *user && !(err = posta__kafka_set(conf, "sasl.mechanism", "PLAIN", error)) &&
	    !(err = posta__kafka_set(conf, "sasl.username", user, error)))
		err = posta__kafka_set(conf, "sasl.password", password, error);
	if (err || !place->tls)
		return err;
	if (options->tls.ca)
		err = posta__kafka_set(conf, "ssl.ca.location", options->tls.ca, error);
	if (!err && options->tls.cert)
		err = posta__kafka_set(conf, "ssl.certificate.location", options->tls.cert, error);
	if (!err && options->tls.key)
		err = posta__kafka_set(conf, "ssl.key.location", options->tls.key, error);
	if (!err && options->tls.insecure)
		err = posta__kafka_set(conf, "enable.ssl.certificate.verification", "false", error);
	return err;
}

struct setting {
	const char *name, *value;
};

static const struct setting common[] = {
	{ "reconnect.backoff.ms", "50" },   { "reconnect.backoff.max.ms", "1000" }, { "log.connection.close", "false" },
	{ "socket.nagle.disable", "true" }, { "socket.keepalive.enable", "true" },  { NULL, NULL },
};

static const struct setting producing[] = {
	{ "enable.idempotence", "true" },
	{ "acks", "all" },
	{ "linger.ms", "5" },
	{ "topic.metadata.refresh.interval.ms", "5000" },
	{ "partitioner", "murmur2_random" }, /* Java's: the same key goes to the same partition from any client */
	{ "topic.metadata.propagation.max.ms", "5000" },
	{ "queue.buffering.max.messages", "65536" },
	{ NULL, NULL },
};

static const struct setting consuming[] = {
	{ "enable.auto.commit", "true" },
	{ "auto.commit.interval.ms", "500" },
	{ "enable.auto.offset.store", "false" },
	{ "partition.assignment.strategy", "cooperative-sticky" },
	{ "session.timeout.ms", "6000" },
	{ "heartbeat.interval.ms", "500" },
	{ "allow.auto.create.topics", "true" },
	{ "topic.metadata.refresh.interval.ms", "1000" }, /* topics made later, and those of a pattern */
	{ "enable.partition.eof", "true" },
	{ "fetch.wait.max.ms", "100" },
	{ "queued.max.messages.kbytes", "16384" },
	{ NULL, NULL },
};

static enum posta_err set_table(rd_kafka_conf_t *conf, const struct setting *settings, struct posta_error *error)
{
	enum posta_err err = POSTA_OK;

	for (; !err && settings->name; settings++)
		err = posta__kafka_set(conf, settings->name, settings->value, error);
	return err;
}

static enum posta_err set_number(rd_kafka_conf_t *conf, const char *name, uint64_t value, uint64_t min, uint64_t max,
				 struct posta_error *error)
{
	char text[24];

	value = value < min ? min : value > max ? max : value;
	snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	return posta__kafka_set(conf, name, text, error);
}

static enum posta_err set_limits(rd_kafka_conf_t *conf, const struct posta_bridge_options *options,
				 enum posta__kafka_role role, struct posta_error *error)
{
	uint32_t heartbeat_ms = options->heartbeat_ms ? options->heartbeat_ms : 10000;
	uint32_t connect_ms = options->connect_timeout_ms ? options->connect_timeout_ms : 10000;
	uint64_t message_max = options->message_bytes_max ? options->message_bytes_max : 16u << 20;
	uint64_t pending_max = options->pending_bytes_max ? options->pending_bytes_max : 256u << 20;
	enum posta_err err = set_number(conf, "socket.timeout.ms", heartbeat_ms, 1000, 300000, error);

	if (!err)
		err = set_number(conf, "socket.connection.setup.timeout.ms", connect_ms, 1000, 300000, error);
	/* With room for a key and headers: the broker has the last word. */
	if (!err)
		err = set_number(conf, "message.max.bytes", message_max + 65536, 1000, 1000000000, error);
	if (!err && role == POSTA__KAFKA_PRODUCER)
		return set_number(conf, "queue.buffering.max.kbytes", pending_max / 1024, 1024, 2097151, error);
	/* An answer that takes longer than the socket's time-out is asked for again, and again. */
	if (!err)
		err = set_number(conf, "fetch.message.max.bytes", (uint64_t)heartbeat_ms * FETCHED_PER_MS, 65536,
				 1048576, error);
	return err;
}

static void silent(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)text; /* what matters comes as an event */
}

static enum posta_err set_all(rd_kafka_conf_t *conf, const struct place *place,
			      const struct posta_bridge_options *options, enum posta__kafka_role role,
			      struct posta_error *error)
{
	enum posta_err err = posta__kafka_set(conf, "bootstrap.servers", place->servers, error);

	rd_kafka_conf_set_log_cb(conf, silent);
	if (!err && options->client_id)
		err = posta__kafka_set(conf, "client.id", options->client_id, error);
	if (!err)
		err = set_access(conf, place, options, error);
	if (!err)
		err = set_table(conf, common, error);
	if (!err)
		err = set_table(conf, role == POSTA__KAFKA_PRODUCER ? producing : consuming, error);
	if (!err)
		err = set_limits(conf, options, role, error);
	/* Ours are made with partitions as asked for; those of the broker's own making would come first. */
	if (!err && options->topic_partitions && role == POSTA__KAFKA_CONSUMER)
		err = posta__kafka_set(conf, "allow.auto.create.topics", "false", error);
	if (!err && options->transactional_id && role == POSTA__KAFKA_PRODUCER)
		err = posta__kafka_set(conf, "transactional.id", options->transactional_id, error);
	if (!err && role == POSTA__KAFKA_CONSUMER && rd_kafka_version() >= POSTA__KAFKA_LOOKS_SOONER)
		err = posta__kafka_set(conf, "fetch.queue.backoff.ms", "10", error);
	for (const char *const *extra = options->extra; !err && extra && extra[0]; extra += 2)
		err = posta__kafka_set(conf, extra[0], extra[1], error);
	return err;
}

rd_kafka_conf_t *posta__kafka_conf(const char *url, const struct posta_bridge_options *options,
				   enum posta__kafka_role role, struct posta_error *error)
{
	static const struct posta_bridge_options none = { .size = sizeof none };
	struct place *place = calloc(1, sizeof *place);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	enum posta_err err = POSTA_OK;
	char redacted[128];

	if (!place || !conf)
		err = posta_error_set(error, POSTA_ENOMEM, "out of memory for a connection");
	else if (!parse(url, place))
		err = posta_error_set(error, POSTA_EINVAL,
				      "%s: not of the form kafka://user:password@host:port,host:port",
				      posta_url_redact(url, redacted, sizeof redacted));
	else
		err = set_all(conf, place, options ? options : &none, role, error);
	if (place)
		memset(place, 0, sizeof *place);
	free(place);
	if (!err)
		return conf;
	if (conf)
		rd_kafka_conf_destroy(conf);
	return NULL;
}
