/* SPDX-License-Identifier: MIT */
#include "messaging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
	const char *url_variable;
	const char *id_variable;
	const char *scheme;
	const char *local;
	const char *client_id;
	bool unique; /* two clients of one id evict each other */
};

static const struct place places[POSTA__BRIDGES] = {
	[POSTA_MESSAGING_KAFKA] = { "KAFKA_BROKERS", "KAFKA_CLIENT_ID", "kafka://", "kafka://localhost:9092", "posta",
				    false },
	[POSTA_MESSAGING_RABBITMQ] = { "RABBITMQ_URL", NULL, "amqp://", "amqp://guest:guest@localhost:5672", "posta",
				       false },
	[POSTA_MESSAGING_MQTT] = { "MQTT_BROKER_URL", "MQTT_CLIENT_ID", "mqtt://", "mqtt://localhost:1883", "telemetry",
				   true },
};

static const char *first_set(const char *option, const char *variable, const char *otherwise)
{
	const char *value = option && *option ? option : variable ? getenv(variable) : NULL;
	return value && *value ? value : otherwise;
}

static const char *url_option(const struct posta_messaging_options *options, int which)
{
	const char *const urls[POSTA__BRIDGES] = { options->kafka_brokers, options->rabbitmq_url,
						   options->mqtt_broker_url };
	return urls[which];
}

/* "h:p,h:p", as KafkaJS has it, is a URL without its scheme. */
char *posta__messaging_url(const struct posta_messaging_options *options, int which)
{
	const struct place *place = &places[which];
	const char *value = first_set(url_option(options, which), place->url_variable,
				      options->use_local_brokers ? place->local : "memory:");
	bool whole = strstr(value, "://") || strncmp(value, "memory:", 7) == 0;
	size_t size = strlen(place->scheme) + strlen(value) + 1;
	char *url = malloc(size);
	if (url)
		snprintf(url, size, "%s%s", whole ? "" : place->scheme, value);
	return url;
}

char *posta__messaging_client_id(const struct posta_messaging_options *options, int which)
{
	const struct place *place = &places[which];
	const char *option = which == POSTA_MESSAGING_KAFKA  ? options->kafka_client_id
			     : which == POSTA_MESSAGING_MQTT ? options->mqtt_client_id
							     : NULL;
	const char *base = first_set(option, place->id_variable, place->client_id);
	char uuid[37];
	size_t size = strlen(base) + sizeof uuid;
	char *id = malloc(size);
	if (!id)
		return NULL;
	posta_uuid7(uuid);
	/* The last group of a UUID is random. */
	snprintf(id, size, "%s%s%s", base, place->unique && !options->fixed_client_id ? "-" : "",
		 place->unique && !options->fixed_client_id ? uuid + 24 : "");
	return id;
}
