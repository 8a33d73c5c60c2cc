/* SPDX-License-Identifier: MIT */
#include "bridges/mqtt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded copy; NULL with errno: ENOMEM, or EINVAL where it is malformed or holds a zero. */
static char *decode(const char *text, size_t len)
{
	char *out = malloc(len + 1);
	size_t used = 0;

	for (size_t i = 0; out && i < len; i++) {
		int value = (unsigned char)text[i];

		if (text[i] == '%') {
			value = i + 2 < len && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0
					? hex(text[i + 1]) * 16 + hex(text[i + 2])
					: 0;
			i += 2;
		}
		if (!value) {
			free(out);
			errno = EINVAL;
			return NULL;
		}
		out[used++] = (char)value;
	}
	if (out)
		out[used] = '\0';
	return out;
}

static enum posta_err url_error(struct posta_error *error, const char *what)
{
	return posta_error_set(error, POSTA_EINVAL,
			       "mqtt: %s in the URL: it must be like mqtt://user:password@host:1883", what);
}

static enum posta_err part(char **out, const char *text, size_t len, const char *what, struct posta_error *error)
{
	free(*out);
	*out = decode(text, len);
	if (*out)
		return POSTA_OK;
	return errno == ENOMEM ? posta_error_set(error, POSTA_ENOMEM, "mqtt: no memory for the URL")
			       : url_error(error, what);
}

static enum posta_err parse_user(struct posta__mqtt_settings *settings, const char *text, size_t len,
				 struct posta_error *error)
{
	const char *colon = memchr(text, ':', len);
	size_t user_len = colon ? (size_t)(colon - text) : len;
	enum posta_err err = part(&settings->user, text, user_len, "malformed user", error);

	if (!err && colon)
		err = part(&settings->password, colon + 1, len - user_len - 1, "malformed password", error);
	return err;
}

static enum posta_err parse_port(struct posta__mqtt_settings *settings, const char *text, size_t len,
				 struct posta_error *error)
{
	int port = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || i > 4)
			return url_error(error, "bad port");
		port = port * 10 + (text[i] - '0');
	}
	if (port < 1 || port > 65535)
		return url_error(error, "bad port");
	settings->port = port;
	return POSTA_OK;
}

static enum posta_err parse_host(struct posta__mqtt_settings *settings, const char *text, size_t len,
				 struct posta_error *error)
{
	bool bracketed = len && text[0] == '[';
	const char *end = bracketed ? memchr(text, ']', len) : memchr(text, ':', len);
	size_t host_len = end ? (size_t)(end - text) - bracketed : len - bracketed;
	size_t rest = host_len + 2u * bracketed;
	enum posta_err err;

	if (!host_len || host_len > 253 || (bracketed && !end))
		return url_error(error, "no or a bad host");
	err = part(&settings->host, text + bracketed, host_len, "bad host", error);
	if (err || rest == len)
		return err;
	return text[rest] == ':' ? parse_port(settings, text + rest + 1, len - rest - 1, error)
				 : url_error(error, "something behind the host");
}

static enum posta_err parse_url(struct posta__mqtt_settings *settings, const char *url, struct posta_error *error)
{
	const char *authority = strstr(url, "://");
	const char *at;
	size_t len;

	if (!authority)
		return url_error(error, "no scheme");
	settings->tls = !strncmp(url, "mqtts:", 6);
	settings->port = settings->tls ? 8883 : 1883;
	authority += 3;
	len = strcspn(authority, "/?#");
	if (authority[len] && strcmp(authority + len, "/"))
		return url_error(error, "a path or query (MQTT has none)");
	at = memrchr(authority, '@', len);
	if (at) {
		enum posta_err err = parse_user(settings, authority, (size_t)(at - authority), error);

		if (err)
			return err;
		len -= (size_t)(at + 1 - authority);
		authority = at + 1;
	}
	return parse_host(settings, authority, len, error);
}

struct extra {
	const char *name;
	size_t offset; /* of an uint32_t in the settings */
	unsigned long min, max;
};

static const struct extra extras[] = {
	{ "max_inflight_messages", offsetof(struct posta__mqtt_settings, window), 1, POSTA__MQTT_WINDOW_MAX },
	{ "session_expiry_interval", offsetof(struct posta__mqtt_settings, session_expiry_s), 0, UINT32_MAX },
	{ "consumer_keepalive", offsetof(struct posta__mqtt_settings, consumer_keepalive_s), 5, UINT16_MAX },
	{ "topic_aliases", offsetof(struct posta__mqtt_settings, topic_aliases), 0, POSTA__MQTT_ALIASES_MAX },
	{ "confirm_saved", offsetof(struct posta__mqtt_settings, confirm_saved), 0, 1 },
};

static enum posta_err parse_extra(struct posta__mqtt_settings *settings, const char *name, const char *text,
				  struct posta_error *error)
{
	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
		char *end;
		unsigned long value;

		if (strcmp(extras[i].name, name))
			continue;
		errno = 0;
		value = text ? strtoul(text, &end, 10) : 0;
		if (!text || !*text || *end || *text == '-' || errno || value < extras[i].min || value > extras[i].max)
			return posta_error_set(error, POSTA_EINVAL, "mqtt: option %s must be a number from %lu to %lu",
					       name, extras[i].min, extras[i].max);
		*(uint32_t *)(void *)((char *)settings + extras[i].offset) = (uint32_t)value;
		return POSTA_OK;
	}
	return posta_error_set(error, POSTA_EINVAL,
			       "mqtt: no option %.64s, but max_inflight_messages, session_expiry_interval (s), "
			       "consumer_keepalive (s), topic_aliases, confirm_saved (0, 1)",
			       name);
}

static enum posta_err check_will(const struct posta_bridge_options *options, struct posta_error *error)
{
	if (!options->will_topic)
		return POSTA_OK;
	if (mosquitto_pub_topic_check(options->will_topic) ||
	    mosquitto_validate_utf8(options->will_topic, (int)strlen(options->will_topic)))
		return posta_error_set(error, POSTA_EINVAL, "mqtt: will_topic must be a topic without + and #");
	if (options->will_qos < 0 || options->will_qos > 2)
		return posta_error_set(error, POSTA_EINVAL, "mqtt: will_qos must be 0, 1 or 2");
	if (options->will_len > UINT16_MAX)
		return posta_error_set(error, POSTA_EINVAL, "mqtt: the will's body is larger than 65,535 bytes");
	return POSTA_OK;
}

static enum posta_err take_credentials(struct posta__mqtt_settings *settings,
				       const struct posta_bridge_options *options, struct posta_error *error)
{
	char **out[] = { &settings->user, &settings->password };
	const char *given[] = { options->user, options->password };

	for (int i = 0; i < 2; i++) {
		if (!given[i])
			continue;
		free(*out[i]);
		*out[i] = strdup(given[i]);
		if (!*out[i])
			return posta_error_set(error, POSTA_ENOMEM, "mqtt: no memory for the options");
	}
	if (settings->password && !settings->user && !settings->mqtt5)
		return posta_error_set(error, POSTA_EINVAL, "mqtt: MQTT 3.1.1 has no password without a user");
	return POSTA_OK;
}

static enum posta_err fill(struct posta__mqtt_settings *settings, const char *url,
			   const struct posta_bridge_options *options, struct posta_error *error)
{
	enum posta_err err = parse_url(settings, url, error);

	if (!err && options->mqtt_version != 0 && options->mqtt_version != 4 && options->mqtt_version != 5)
		err = posta_error_set(error, POSTA_EINVAL, "mqtt: mqtt_version must be 5 or 4 (which is 3.1.1)");
	settings->mqtt5 = options->mqtt_version != 4;
	if (!err)
		err = take_credentials(settings, options, error);
	if (!err)
		err = check_will(options, error);
	for (const char *const *extra = options->extra; !err && extra && *extra; extra += 2) {
		err = parse_extra(settings, extra[0], extra[1], error);
		if (!extra[1])
			break;
	}
	return err;
}

enum posta_err posta__mqtt_settings_init(struct posta__mqtt_settings *settings, const char *url,
					 const struct posta_bridge_options *options, struct posta_error *error)
{
	enum posta_err err;

	*settings = (struct posta__mqtt_settings){
		.window = POSTA__MQTT_WINDOW_DEFAULT,
		.session_expiry_s = UINT32_MAX, /* never, as with 3.1.1 */
		.consumer_keepalive_s = POSTA__MQTT_CONSUMER_KEEPALIVE_S,
	};
	err = fill(settings, url, options, error);
	if (err) {
		posta__mqtt_settings_fini(settings);
		return err;
	}
	snprintf(settings->peer, sizeof settings->peer, strchr(settings->host, ':') ? "[%s]:%d" : "%s:%d",
		 settings->host, settings->port);
	return POSTA_OK;
}

void posta__mqtt_settings_fini(struct posta__mqtt_settings *settings)
{
	free(settings->host);
	free(settings->user);
	free(settings->password);
	settings->host = settings->user = settings->password = NULL;
}
