/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <posta/envelope.h>

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 4096u
#define HEADERS_MAX 64

struct settings {
	const char *url;
	struct posta_target target;
	const char *attributes[POSTA_ATTR_COUNT];
	const char *headers[HEADERS_MAX];
	int header_count;
	int priority;
	bool envelope; /* lines are events */
	uint64_t timeout_ms;
};

struct publisher {
	struct cli_session session;
	struct settings settings;
	posta_ref actor;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	uint64_t sent, confirmed, failed;
};

enum { MSG_LINE = 1 };

static void count(struct publisher *publisher, const char *error)
{
	pthread_mutex_lock(&publisher->lock);
	publisher->confirmed += !error;
	publisher->failed += error != NULL;
	pthread_cond_signal(&publisher->changed);
	pthread_mutex_unlock(&publisher->lock);
	if (error)
		cli_fail("pub", "%s", error);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct publisher *publisher = state;
	if (message->type == MSG_LINE) {
		struct posta_envelope *envelope = *(struct posta_envelope **)posta_data(message);
		enum posta_err err =
			posta_bridge_publish(self, publisher->session.bridge, &publisher->settings.target, envelope, 0);
		posta_envelope_unref(envelope);
		if (err)
			count(publisher, posta_strerror(err));
	} else if (message->type == POSTA_MSG_PUBLISHED) {
		const struct posta_published *published = posta_data(message);
		count(publisher, !published->result ? NULL
				 : *published->text ? published->text
						    : posta_strerror(published->result));
	} else if (message->type == POSTA_MSG_BRIDGE_STATE) {
		cli_session_state(&publisher->session, posta_data(message));
	}
	return POSTA_OK;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct publisher *publisher = argument;
	return posta_bridge_watch(self, publisher->session.bridge);
}

static const struct posta_actor_class publisher_class = { .name = "pub", .receive = receive, .start = start };

static bool looks_like_json(const char *line)
{
	return *line == '{' || *line == '[' || *line == '"';
}

static enum posta_err dress(const struct settings *settings, struct posta_envelope *envelope)
{
	enum posta_err err = POSTA_OK;
	for (int i = 0; i < POSTA_ATTR_COUNT && !err; i++)
		if (settings->attributes[i])
			err = posta_envelope_set_text(envelope, (enum posta_attribute)i, settings->attributes[i]);
	for (int i = 0; i < settings->header_count && !err; i++) {
		char name[256];
		const char *value = strchr(settings->headers[i], '=') + 1;
		snprintf(name, sizeof name, "%.*s", (int)(value - 1 - settings->headers[i]), settings->headers[i]);
		err = posta_envelope_add_header(envelope, name, value, strlen(value));
	}
	if (settings->priority >= 0)
		posta_envelope_set_priority(envelope, settings->priority);
	return err ? err : posta_envelope_complete(envelope);
}

static struct posta_envelope *make(const struct settings *settings, const char *line, size_t len,
				   struct posta_error *error)
{
	struct posta_envelope *envelope = NULL;
	enum posta_err err;
	if (settings->envelope) {
		err = posta_envelope_from_json(line, len, &envelope, error);
	} else {
		envelope = posta_envelope_new();
		err = envelope ? posta_envelope_set_body(envelope, line, len) : POSTA_ENOMEM;
		if (!err)
			err = posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE,
						      looks_like_json(line) ? "application/json" : "text/plain");
	}
	if (!err)
		err = dress(settings, envelope);
	if (!err)
		return envelope;
	posta_envelope_unref(envelope);
	if (error->code != err)
		posta_error_set(error, err, "%s", posta_strerror(err));
	return NULL;
}

/* Waits for room, or at the end (max 0) until all have their answer or nothing has come for the time-out. */
static bool wait_for(struct publisher *publisher, uint64_t max, uint64_t timeout_ms)
{
	struct timespec until;
	bool in_time = true;
	pthread_mutex_lock(&publisher->lock);
	while (in_time && publisher->sent - publisher->confirmed - publisher->failed > max) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += (time_t)(timeout_ms / 1000) + 1;
		in_time = pthread_cond_timedwait(&publisher->changed, &publisher->lock, &until) == 0;
	}
	pthread_mutex_unlock(&publisher->lock);
	return in_time;
}

static bool publish_lines(struct publisher *publisher)
{
	struct posta_error error = { POSTA_OK, false, "" };
	char *line = NULL;
	size_t room = 0, number = 0;
	bool in_time = true;
	for (ssize_t len; in_time && (len = getline(&line, &room, stdin)) >= 0;) {
		number++;
		while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			line[--len] = '\0';
		struct posta_envelope *envelope = make(&publisher->settings, line, (size_t)len, &error);
		pthread_mutex_lock(&publisher->lock);
		publisher->sent++;
		publisher->failed += !envelope;
		pthread_mutex_unlock(&publisher->lock);
		if (!envelope)
			cli_fail("pub", "line %zu: %s", number, error.text);
		else if (posta_system_send(publisher->session.system, publisher->actor, MSG_LINE, &envelope,
					   sizeof envelope))
			count(publisher, "out of memory");
		in_time = wait_for(publisher, IN_FLIGHT_MAX, publisher->settings.timeout_ms);
	}
	free(line);
	return in_time && wait_for(publisher, 0, publisher->settings.timeout_ms);
}

static int add_header(struct settings *settings, const char *text)
{
	const char *equals = strchr(text, '=');
	if (!equals || equals == text || equals - text > 255 || settings->header_count == HEADERS_MAX)
		return cli_usage_error("pub", "--header: NAME=VALUE, at most %d of them", HEADERS_MAX);
	settings->headers[settings->header_count++] = text;
	return CLI_OK;
}

static int take_format(struct settings *settings, const char *name)
{
	static const char *const formats[] = { "binary", "structured", "raw" };
	for (int i = 0; i < 3; i++) {
		if (strcmp(formats[i], name) == 0) {
			settings->target.format = (enum posta_format)i;
			return CLI_OK;
		}
	}
	return cli_usage_error("pub", "--format: binary, structured or raw");
}

static int take_number(int *to, const char *text, int max, const char *usage)
{
	long long number;
	if (!cli_number(text, 0, max, &number))
		return cli_usage_error("pub", "%s", usage);
	*to = (int)number;
	return CLI_OK;
}

static int take_option(struct settings *settings, int option, struct posta_bridge_options *bridge)
{
	switch (option) {
	case 'H':
		return add_header(settings, optarg);
	case 'e':
		settings->envelope = true;
		return CLI_OK;
	case 'f':
		return take_format(settings, optarg);
	case 'r':
		settings->target.format = POSTA_FORMAT_RAW;
		return CLI_OK;
	case 'R':
		settings->target.retain = true;
		return CLI_OK;
	case 'c':
		bridge->client_id = optarg;
		return CLI_OK;
	case 'T':
		return cli_duration(optarg, &settings->timeout_ms)
			       ? CLI_OK
			       : cli_usage_error("pub", "--timeout: \"%s\" is no duration: 30s", optarg);
	case 'q':
		return take_number(&settings->target.qos, optarg, 2, "--qos: 0, 1 or 2");
	case 'p':
		return take_number(&settings->priority, optarg, 9, "--priority: 0 to 9");
	default:
		if (option >= POSTA_ATTR_COUNT)
			return CLI_USAGE;
		settings->attributes[option] = optarg;
		return CLI_OK;
	}
}

static int parse(int argc, char **argv, struct settings *settings, struct posta_bridge_options *bridge)
{
	/* An attribute is its own number: those are below every letter. */
	static const struct option options[] = {
		{ "id", required_argument, NULL, POSTA_ATTR_ID },
		{ "source", required_argument, NULL, POSTA_ATTR_SOURCE },
		{ "type", required_argument, NULL, POSTA_ATTR_TYPE },
		{ "subject", required_argument, NULL, POSTA_ATTR_SUBJECT },
		{ "content-type", required_argument, NULL, POSTA_ATTR_CONTENT_TYPE },
		{ "key", required_argument, NULL, POSTA_ATTR_KEY },
		{ "correlation-id", required_argument, NULL, POSTA_ATTR_CORRELATION_ID },
		{ "reply-to", required_argument, NULL, POSTA_ATTR_REPLY_TO },
		{ "header", required_argument, NULL, 'H' },
		{ "priority", required_argument, NULL, 'p' },
		{ "envelope", no_argument, NULL, 'e' },
		{ "raw", no_argument, NULL, 'r' },
		{ "format", required_argument, NULL, 'f' },
		{ "qos", required_argument, NULL, 'q' },
		{ "retain", no_argument, NULL, 'R' },
		{ "client-id", required_argument, NULL, 'c' },
		{ "timeout", required_argument, NULL, 'T' },
		{ NULL, 0, NULL, 0 },
	};
	struct posta_target flags = { .qos = -1 };
	settings->target = flags;
	for (int option; (option = getopt_long(argc, argv, "H:", options, NULL)) != -1;) {
		int status = take_option(settings, option, bridge);
		if (status)
			return status;
	}
	if (optind + 2 != argc)
		return cli_usage_error("pub", "a URL and a TARGET are needed");
	flags = settings->target;
	settings->url = argv[optind];
	if (!cli_target(settings->url, argv[optind + 1], &settings->target))
		return cli_usage_error("pub", "\"%s\" is no target: topic:NAME, queue:NAME or exchange:NAME/KEY",
				       argv[optind + 1]);
	if (flags.qos >= 0)
		settings->target.qos = flags.qos;
	settings->target.retain = flags.retain;
	settings->target.format = flags.format;
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	static struct publisher publisher = { .settings = { .priority = -1, .timeout_ms = 30000 },
					      .lock = PTHREAD_MUTEX_INITIALIZER,
					      .changed = PTHREAD_COND_INITIALIZER };
	struct posta_bridge_options bridge = { .size = sizeof bridge };
	struct posta_bridge_status status = { .size = sizeof status };
	struct posta_error error = { POSTA_OK, false, "" };
	int code = parse(argc, argv, &publisher.settings, &bridge);
	if (code)
		return code;
	signal(SIGPIPE, SIG_IGN);
	code = cli_session_open(&publisher.session, "pub", publisher.settings.url, &bridge);
	if (code)
		return code;
	publisher.actor = posta_system_spawn(publisher.session.system, &publisher_class, &publisher, NULL, &error);
	bool in_time = publisher.actor && publish_lines(&publisher);
	posta_bridge_status(publisher.session.bridge, &status);
	cli_session_close(&publisher.session);
	if (error.code)
		return cli_fail("pub", "%s", error.text);
	if (!in_time)
		return cli_fail("pub", "%llu of %llu messages were not confirmed in time: %s",
				(unsigned long long)(publisher.sent - publisher.confirmed),
				(unsigned long long)publisher.sent, status.last_error);
	return publisher.failed ? CLI_FAILED : CLI_OK;
}

const struct cli_command cli_pub = {
	.name = "pub",
	.summary = "publishes lines of the standard input",
	.usage = "pub [OPTION]... URL TARGET < LINES\n"
		 "Publishes each line of the standard input as one message, and waits until the broker has confirmed "
		 "all.\n\n"
		 "URL      kafka://host:9092, amqp://user:password@host, mqtt://host (and kafkas, amqps, mqtts)\n"
		 "TARGET   topic:NAME, queue:NAME, exchange:NAME/KEY, or a name alone: the broker's natural kind\n\n"
		 "  --key K, --type T, --id I, --source S, --subject S, --content-type C, --correlation-id I, "
		 "--reply-to R\n"
		 "                      attributes; without --id each message gets one of its own\n"
		 "  -H, --header N=V    a header; may be repeated\n"
		 "  --priority 0..9\n"
		 "  --envelope          each line is a CloudEvent in JSON, as posta sub prints it\n"
		 "  --format F          binary (attributes as headers), structured (one JSON event), raw (the body "
		 "alone)\n"
		 "  --raw               as --format raw\n"
		 "  --qos Q, --retain   MQTT; qos is 1\n"
		 "  --client-id ID\n"
		 "  --timeout TIME      gives up when nothing was confirmed for so long; 30s\n\n"
		 "Exit status: 0 all confirmed, 1 not all (says which and why), 2 wrong usage.\n",
	.run = run,
};
