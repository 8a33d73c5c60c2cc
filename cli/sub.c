/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <posta/envelope.h>

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 20
#define CREDIT 1024u

struct settings {
	const char *url;
	struct posta_source source;
	long long count; /* 0: no end */
	bool raw;
	uint64_t until_idle_ms;
};

struct subscriber {
	struct cli_session session;
	struct settings settings;
	uint32_t subscription;
	_Atomic uint64_t printed;
	_Atomic bool done;
	_Atomic bool failed;
};

static bool print(const struct settings *settings, const struct posta_envelope *envelope)
{
	char *json = NULL;
	size_t len = 0;
	if (settings->raw) {
		struct posta_bytes body = posta_envelope_body(envelope);
		if (body.len)
			fwrite(body.data, 1, body.len, stdout);
	} else {
		if (posta_envelope_to_json(envelope, &json, &len))
			return false;
		fwrite(json, 1, len, stdout);
		free(json);
	}
	putchar('\n');
	return fflush(stdout) == 0;
}

/* What cannot be printed goes back to its broker, and no more is taken. */
static void on_delivery(struct posta_actor *self, struct subscriber *subscriber, const struct posta_delivery *delivery)
{
	uint64_t printed = atomic_load(&subscriber->printed);
	if (atomic_load(&subscriber->done)) {
		posta_settle(self, delivery->token, POSTA_REQUEUE);
		return;
	}
	if (!print(&subscriber->settings, delivery->envelope)) {
		posta_settle(self, delivery->token, POSTA_REQUEUE);
		atomic_store(&subscriber->failed, true);
		atomic_store(&subscriber->done, true);
		return;
	}
	posta_settle(self, delivery->token, POSTA_ACK);
	atomic_store(&subscriber->printed, ++printed);
	if (subscriber->settings.count && printed >= (uint64_t)subscriber->settings.count) {
		posta_bridge_unsubscribe(self, subscriber->session.bridge, subscriber->subscription);
		atomic_store(&subscriber->done, true);
	}
}

static void on_subscribed(struct subscriber *subscriber, const struct posta_subscribed *answer)
{
	if (!answer->result || answer->result == POSTA_ECLOSED)
		return;
	cli_fail("sub", "%s", answer->text);
	atomic_store(&subscriber->failed, true);
	atomic_store(&subscriber->done, true);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct subscriber *subscriber = state;
	if (message->type == POSTA_MSG_DELIVERY)
		on_delivery(self, subscriber, posta_data(message));
	else if (message->type == POSTA_MSG_SUBSCRIBED)
		on_subscribed(subscriber, posta_data(message));
	else if (message->type == POSTA_MSG_BRIDGE_STATE)
		cli_session_state(&subscriber->session, posta_data(message));
	return POSTA_OK;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct subscriber *subscriber = argument;
	struct posta_error error = { POSTA_OK, false, "out of memory" };
	enum posta_err err = posta_bridge_watch(self, subscriber->session.bridge);
	if (!err)
		err = posta_bridge_subscribe(self, subscriber->session.bridge, &subscriber->settings.source,
					     &subscriber->subscription, &error);
	if (err) {
		cli_fail("sub", "%s", error.text);
		atomic_store(&subscriber->failed, true);
		atomic_store(&subscriber->done, true);
	}
	return err;
}

static const struct posta_actor_class subscriber_class = { .name = "sub", .receive = receive, .start = start };

static void wait_until_done(struct subscriber *subscriber, const sigset_t *signals)
{
	uint64_t printed = 0, since = cli_now_ms();
	while (!atomic_load(&subscriber->done) && !cli_wait_signal(signals, TICK_MS)) {
		uint64_t now = atomic_load(&subscriber->printed);
		if (now != printed)
			since = cli_now_ms();
		printed = now;
		if (subscriber->settings.until_idle_ms && cli_now_ms() - since >= subscriber->settings.until_idle_ms)
			return;
	}
}

static int take_option(struct settings *settings, int option, struct posta_bridge_options *bridge)
{
	long long number;
	switch (option) {
	case 'g':
		settings->source.group = optarg;
		return CLI_OK;
	case 's':
		settings->source.share = optarg;
		return CLI_OK;
	case 'l':
		settings->source.from_latest = true;
		return CLI_OK;
	case 'r':
		settings->raw = true;
		return CLI_OK;
	case 'c':
		bridge->client_id = optarg;
		return CLI_OK;
	case 'n':
		return cli_number(optarg, 1, INT64_MAX, &settings->count)
			       ? CLI_OK
			       : cli_usage_error("sub", "--count: 1 or more");
	case 'i':
		return cli_duration(optarg, &settings->until_idle_ms)
			       ? CLI_OK
			       : cli_usage_error("sub", "--until-idle: 5s, 500ms");
	case 'q':
		if (!cli_number(optarg, 0, 2, &number))
			return cli_usage_error("sub", "--qos: 0, 1 or 2");
		settings->source.qos = (int)number;
		return CLI_OK;
	default:
		return CLI_USAGE;
	}
}

static int parse(int argc, char **argv, struct settings *settings, struct posta_bridge_options *bridge)
{
	static const struct option options[] = {
		{ "group", required_argument, NULL, 'g' },
		{ "count", required_argument, NULL, 'n' },
		{ "raw", no_argument, NULL, 'r' },
		{ "latest", no_argument, NULL, 'l' },
		{ "share", required_argument, NULL, 's' },
		{ "qos", required_argument, NULL, 'q' },
		{ "client-id", required_argument, NULL, 'c' },
		{ "until-idle", required_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	settings->source.qos = -1;
	for (int option; (option = getopt_long(argc, argv, "g:n:", options, NULL)) != -1;) {
		int status = take_option(settings, option, bridge);
		if (status)
			return status;
	}
	if (optind + 2 != argc)
		return cli_usage_error("sub", "a URL and a SOURCE are needed");
	struct posta_source flags = settings->source;
	settings->url = argv[optind];
	if (!cli_source(settings->url, argv[optind + 1], &settings->source))
		return cli_usage_error("sub",
				       "\"%s\" is no source: topic:NAME, queue:NAME, filter:a/+ or exchange:NAME/KEY",
				       argv[optind + 1]);
	settings->source.group = flags.group;
	settings->source.share = flags.share;
	settings->source.from_latest = flags.from_latest;
	if (flags.qos >= 0)
		settings->source.qos = flags.qos;
	settings->source.credit = settings->count && settings->count < CREDIT ? (uint32_t)settings->count : CREDIT;
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	static struct subscriber subscriber;
	struct posta_bridge_options bridge = { .size = sizeof bridge };
	struct posta_error error = { POSTA_OK, false, "" };
	sigset_t signals;
	int status = parse(argc, argv, &subscriber.settings, &bridge);
	if (status)
		return status;
	/* A reader that only looks leaves nothing behind at the broker. */
	bridge.clean_session = !bridge.client_id;
	cli_block_signals(&signals, false);
	status = cli_session_open(&subscriber.session, "sub", subscriber.settings.url, &bridge);
	if (status)
		return status;
	if (posta_system_spawn(subscriber.session.system, &subscriber_class, &subscriber, NULL, &error))
		wait_until_done(&subscriber, &signals);
	cli_session_close(&subscriber.session);
	if (error.code)
		return cli_fail("sub", "%s", error.text);
	return atomic_load(&subscriber.failed) ? CLI_FAILED : CLI_OK;
}

const struct cli_command cli_sub = {
	.name = "sub",
	.summary = "prints messages as lines",
	.usage = "sub [OPTION]... URL SOURCE\n"
		 "Prints each message as one line, a CloudEvent in JSON, and acknowledges it. Ends on SIGINT and "
		 "SIGTERM.\n\n"
		 "URL      kafka://host:9092, amqp://user:password@host, mqtt://host (and kafkas, amqps, mqtts)\n"
		 "SOURCE   topic:NAME, queue:NAME, filter:a/+, exchange:NAME/KEY, or a name alone: the broker's "
		 "natural kind\n\n"
		 "  -g, --group G       Kafka: a consumer group, which goes on where it stopped; without: all from the "
		 "beginning\n"
		 "  --latest            Kafka: a group that is new begins with what comes from now on\n"
		 "  --share G, --qos Q  MQTT; qos is 1\n"
		 "  -n, --count N       ends after N messages\n"
		 "  --until-idle TIME   ends when nothing has come for TIME (5s, 500ms)\n"
		 "  --raw               the body alone\n"
		 "  --client-id ID      MQTT: with one the session stays, and messages are kept between two calls\n\n"
		 "Exit status: 0 ended as asked, 1 failed, 2 wrong usage.\n",
	.run = run,
};
