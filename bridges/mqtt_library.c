/* SPDX-License-Identifier: MIT */
/*
 * How a client of libmosquitto is made, and what it calls back. No callback frees or closes anything: the library is
 * still on the stack.
 */
#include "bridges/mqtt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct posta_bridge_options *options_of(const struct posta__mqtt_client *client)
{
	return posta_bridge_get_options(client->mqtt->bridge);
}

static enum posta_err refusal_code(bool mqtt5, int reason)
{
	switch (reason) {
	case MQTT_RC_NOT_AUTHORIZED:
	case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
	case MQTT_RC_BANNED:
	case MQTT_RC_BAD_AUTHENTICATION_METHOD:
		return POSTA_EAUTH;
	case MQTT_RC_SERVER_UNAVAILABLE:
	case MQTT_RC_SERVER_BUSY:
	case MQTT_RC_QUOTA_EXCEEDED:
	case MQTT_RC_CONNECTION_RATE_EXCEEDED:
		return POSTA_ECONNECTION;
	default:
		break;
	}
	if (!mqtt5 && (reason == CONNACK_REFUSED_BAD_USERNAME_PASSWORD || reason == CONNACK_REFUSED_NOT_AUTHORIZED))
		return POSTA_EAUTH;
	return !mqtt5 && reason == CONNACK_REFUSED_SERVER_UNAVAILABLE ? POSTA_ECONNECTION : POSTA_EREFUSED;
}

static void refused(struct posta__mqtt_client *client, int reason, const mosquitto_property *properties)
{
	bool mqtt5 = client->mqtt->settings.mqtt5;
	char text[160];

	client->refusal = refusal_code(mqtt5, reason);
	if (reason >= 0x80)
		posta__mqtt_reason(reason, properties, text, sizeof text);
	else
		snprintf(text, sizeof text, "%s", mosquitto_connack_string(reason));
	if (mqtt5 && (reason == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION || reason == CONNACK_REFUSED_PROTOCOL_VERSION))
		snprintf(text, sizeof text, "it does not speak MQTT 5 (set mqtt_version to 4)");
	snprintf(client->words, sizeof client->words, "the broker refused the client %.40s: %s", client->id, text);
}

/* Each line of it is formatted: it must not stay on. */
static void log_off(struct posta__mqtt_client *client)
{
	if (client->logging)
		mosquitto_log_callback_set(client->mosq, NULL);
	client->logging = false;
}

static void on_connect(struct mosquitto *mosq, void *context, int reason, int flags,
		       const mosquitto_property *properties)
{
	struct posta__mqtt_client *client = context;

	(void)mosq;
	client->progress = true;
	if (reason) {
		refused(client, reason, properties);
		return;
	}
	if (!(flags & 1))
		log_off(client);
	client->words[0] = '\0';
	client->phase = POSTA__MQTT_UP;
	client->ops->connected(client->context, properties);
}

static void on_disconnect(struct mosquitto *mosq, void *context, int rc, const mosquitto_property *properties)
{
	struct posta__mqtt_client *client = context;

	(void)mosq;
	(void)properties;
	/* The library may say it twice, the second time without the reason. */
	if (!client->ended)
		client->end_rc = rc;
	client->ended = true;
}

static void on_message(struct mosquitto *mosq, void *context, const struct mosquitto_message *message,
		       const mosquitto_property *properties)
{
	struct posta__mqtt_client *client = context;
	bool duplicate = client->duplicate;

	(void)mosq;
	client->progress = true;
	client->duplicate = false;
	if (!duplicate)
		log_off(client);
	client->queued += message->qos > 0;
	if (client->phase != POSTA__MQTT_OVER)
		client->ops->message(client->context, message, properties, duplicate);
}

static void on_publish(struct mosquitto *mosq, void *context, int mid, int reason, const mosquitto_property *properties)
{
	struct posta__mqtt_client *client = context;

	(void)mosq;
	client->progress = true;
	if (client->phase != POSTA__MQTT_OVER && client->ops->published)
		client->ops->published(client->context, mid, reason, properties);
}

static void on_subscribe(struct mosquitto *mosq, void *context, int mid, int count, const int *granted,
			 const mosquitto_property *properties)
{
	struct posta__mqtt_client *client = context;

	(void)mosq;
	(void)mid;
	client->progress = true;
	if (client->phase != POSTA__MQTT_OVER && client->ops->subscribed)
		client->ops->subscribed(client->context, count > 0 ? granted[0] : 0x80, properties);
}

static void on_unsubscribe(struct mosquitto *mosq, void *context, int mid, const mosquitto_property *properties)
{
	struct posta__mqtt_client *client = context;

	(void)mosq;
	(void)properties;
	client->progress = true;
	if (client->phase != POSTA__MQTT_OVER && client->ops->unsubscribed)
		client->ops->unsubscribed(client->context, mid);
}

/* "Client <id> received PUBLISH (d1, ...": a topic cannot be mistaken for it, because the id is skipped by length. */
static void on_log(struct mosquitto *mosq, void *context, int level, const char *text)
{
	static const char mark[] = " received PUBLISH (d";
	struct posta__mqtt_client *client = context;
	size_t skip = sizeof "Client " - 1 + strlen(client->id);

	(void)mosq;
	if (level & (MOSQ_LOG_ERR | MOSQ_LOG_WARNING) && !client->words[0])
		snprintf(client->words, sizeof client->words, "%s", text);
	if (level == MOSQ_LOG_DEBUG && strlen(text) > skip + sizeof mark && !memcmp(text + skip, mark, sizeof mark - 1))
		client->duplicate = text[skip + sizeof mark - 1] == '1';
}

/* -- Making one */

static void set_callbacks(struct mosquitto *mosq)
{
	mosquitto_connect_v5_callback_set(mosq, on_connect);
	mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
	mosquitto_message_v5_callback_set(mosq, on_message);
	mosquitto_publish_v5_callback_set(mosq, on_publish);
	mosquitto_subscribe_v5_callback_set(mosq, on_subscribe);
	mosquitto_unsubscribe_v5_callback_set(mosq, on_unsubscribe);
	mosquitto_log_callback_set(mosq, on_log);
}

/*
 * CONNECT's properties: the asynchronous connect takes none, but keeps those of a connect that failed. One to a Unix
 * socket (port 0) without a name fails before it has done anything.
 */
static int set_properties(struct posta__mqtt_client *client, const struct posta__mqtt_client_options *how)
{
	/* Beside the body, a packet has a topic and properties. */
	uint64_t packet_max = (uint64_t)options_of(client)->message_bytes_max + 262144;
	mosquitto_property *properties = NULL;
	int rc = MOSQ_ERR_SUCCESS;

	if (!how->clean)
		rc = mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
						  client->mqtt->settings.session_expiry_s);
	if (!rc)
		rc = mosquitto_property_add_int16(&properties, MQTT_PROP_RECEIVE_MAXIMUM, (uint16_t)how->receive_max);
	if (!rc)
		rc = mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE,
						  packet_max > UINT32_MAX ? UINT32_MAX : (uint32_t)packet_max);
	if (!rc)
		(void)mosquitto_connect_bind_v5(client->mosq, "", 0, client->keepalive_s, NULL, properties);
	mosquitto_property_free_all(&properties);
	return rc;
}

static int set_will(struct posta__mqtt_client *client)
{
	const struct posta_bridge_options *options = options_of(client);

	if (!options->will_topic)
		return MOSQ_ERR_SUCCESS;
	return mosquitto_will_set(client->mosq, options->will_topic, (int)options->will_len, options->will_body,
				  options->will_qos, options->will_retain);
}

static int configure(struct posta__mqtt_client *client, const struct posta__mqtt_client_options *how)
{
	const struct posta__mqtt_settings *settings = &client->mqtt->settings;
	int rc = mosquitto_int_option(client->mosq, MOSQ_OPT_PROTOCOL_VERSION,
				      settings->mqtt5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);

	if (!rc)
		rc = mosquitto_threaded_set(client->mosq, true);
	if (!rc)
		rc = mosquitto_int_option(client->mosq, MOSQ_OPT_TCP_NODELAY, 1);
	if (!rc)
		rc = mosquitto_int_option(client->mosq, MOSQ_OPT_SEND_MAXIMUM, (int)settings->window);
	if (!rc && (settings->user || settings->password))
		rc = mosquitto_username_pw_set(client->mosq, settings->user, settings->password);
	if (!rc && client->mqtt->tls)
		rc = mosquitto_int_option(client->mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
	if (!rc && client->mqtt->tls)
		rc = mosquitto_void_option(client->mosq, MOSQ_OPT_SSL_CTX, client->mqtt->tls->context);
	if (!rc && how->will)
		rc = set_will(client);
	if (!rc && settings->mqtt5)
		rc = set_properties(client, how);
	return rc;
}

static void library_init(void)
{
	mosquitto_lib_init();
}

/* mosquitto_new() ignores SIGPIPE for the whole process, which is not a library's business: that is undone. */
static struct mosquitto *new_mosquitto(const char *id, bool clean, void *context)
{
	struct sigaction before;
	struct mosquitto *mosq;

	sigaction(SIGPIPE, NULL, &before);
	mosq = mosquitto_new(id, clean, context);
	sigaction(SIGPIPE, &before, NULL);
	return mosq;
}

enum posta_err posta__mqtt_library_new(struct posta__mqtt_client *client, const struct posta__mqtt_client_options *how,
				       struct posta_error *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int rc;

	pthread_once(&once, library_init);
	client->mosq = new_mosquitto(client->id, how->clean, client);
	if (!client->mosq)
		return posta_error_set(error, errno == ENOMEM ? POSTA_ENOMEM : POSTA_EINVAL, "mqtt: client id %s: %s",
				       client->id, strerror(errno));
	set_callbacks(client->mosq);
	client->logging = true;
	rc = configure(client, how);
	if (rc)
		return posta_error_set(error, rc == MOSQ_ERR_NOMEM ? POSTA_ENOMEM : POSTA_EINVAL, "mqtt: %s",
				       mosquitto_strerror(rc));
	return POSTA_OK;
}
