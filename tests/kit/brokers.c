/* SPDX-License-Identifier: MIT */
#include "brokers.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "brokers/broker.h"
#include "brokers/probe.h"

/* How often a broker is started anew because a port was taken meanwhile. */
#define PORT_TRIES 4

static const struct kit_kind_info kinds[KIT_KIND_COUNT] = {
	[KIT_KAFKA] = {
		.name = "kafka",
		.scheme = "kafka",
		.shared = "POSTA_TEST_KAFKA",
		.shared_dir = "POSTA_TEST_KAFKA_DIR",
		.probe = kit_probe_kafka,
	},
	[KIT_RABBITMQ] = {
		.name = "rabbitmq",
		.scheme = "amqp",
		.shared = "POSTA_TEST_AMQP",
		.shared_dir = "POSTA_TEST_AMQP_DIR",
		.helper = true,
		.probe = kit_probe_rabbitmq,
	},
	[KIT_MOSQUITTO] = {
		.name = "mosquitto",
		.scheme = "mqtt",
		.shared = "POSTA_TEST_MQTT",
		.shared_dir = "POSTA_TEST_MQTT_DIR",
		.probe = kit_probe_mosquitto,
	},
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* ---- waiting until it is ready ------------------------------------------ */

static bool log_says_port_taken(const struct kit_broker *b)
{
	static const char *const words[] = { "ddress already in use", "eaddrinuse", "BindException" };
	char *path = kit_broker_file(b, "log");
	FILE *f = fopen(path, "re");
	char line[1024];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			found = found || strstr(line, words[i]);
	if (f)
		fclose(f);
	free(path);
	return found;
}

static _Noreturn void end_unprepared(struct kit_broker *b, long status)
{
	const char *require = getenv("POSTA_TEST_REQUIRE");

	if (status == 77 && !(require && *require))
		kit__end_test(b, 77, "skipped: not installed (scripts/setup --test does it)");
	kit__end_test(b, 1, "could not be prepared (status %ld)", status);
}

/* False: it ended before it was ready. */
static bool becomes_ready(struct kit_broker *b)
{
	long long end = now_ms() + b->ready_ms;
	struct kit_state s;

	for (;;) {
		s = kit__ask(b, "status");
		if (kit__is(s, "unprepared"))
			end_unprepared(b, s.number);
		if (kit__is(s, "down"))
			return false;
		/* That it still runs is asked once more: on a taken port it was
		 * another one who answered. */
		if (b->kind->probe(b->ports[0], b->user, b->password) && kit__is(kit__ask(b, "status"), "up"))
			return true;
		if (now_ms() > end)
			kit__end_test(b, 1, "not ready within %d ms", b->ready_ms);
		poll(NULL, 0, 10);
	}
}

void kit_broker_wait(struct kit_broker *b)
{
	for (int i = 1; b->host && !becomes_ready(b); i++) {
		if (i == PORT_TRIES || !log_says_port_taken(b))
			kit__end_test(b, 1, "ended while it started");
		kit__dismiss(b);
		kit__launch(b);
	}
}

/* ---- life ---------------------------------------------------------------- */

struct kit_broker *kit_broker_begin(enum kit_kind kind, const struct kit_broker_options *o)
{
	static const struct kit_broker_options defaults;
	struct kit_broker *b = kit__must(calloc(1, sizeof(*b)));

	o = o ? o : &defaults;
	b->kind = &kinds[kind];
	b->env = kit__environment(o);
	b->user = kit__copy(o->user);
	b->password = kit__copy(o->password);
	b->vhost = kit__copy(o->vhost);
	b->tls = o->tls;
	b->persistent = o->persistent && kind == KIT_MOSQUITTO;
	b->ready_ms = o->ready_ms ? o->ready_ms : 90000;
	kit__launch(b);
	return b;
}

struct kit_broker *kit_broker_start(enum kit_kind kind, const struct kit_broker_options *o)
{
	struct kit_broker *b = kit_broker_begin(kind, o);

	kit_broker_wait(b);
	return b;
}

static void free_broker(struct kit_broker *b)
{
	kit__free_environment(b->env);
	free(b->user);
	free(b->password);
	free(b->vhost);
	free(b);
}

void kit_broker_stop(struct kit_broker *b)
{
	if (!b || !b->host)
		return;
	kit__dismiss(b);
	free_broker(b);
}

static struct kit_broker *shared[KIT_KIND_COUNT];

static void stop_shared(void)
{
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		if (!shared[i])
			continue;
		if (shared[i]->host)
			kit__dismiss(shared[i]);
		free_broker(shared[i]);
		shared[i] = NULL;
	}
}

static struct kit_broker *from_environment(const struct kit_kind_info *kind, const char *address)
{
	struct kit_broker *b = kit__must(calloc(1, sizeof(*b)));
	const char *colon = strrchr(address, ':'), *dir = getenv(kind->shared_dir);

	b->kind = kind;
	b->ports[0] = colon ? atoi(colon + 1) : 0;
	if (!b->ports[0])
		kit__end_test(b, 1, "%s=%s is not host:port", kind->shared, address);
	snprintf(b->dir, sizeof(b->dir), "%s", dir ? dir : "");
	return b;
}

struct kit_broker *kit_broker_shared(enum kit_kind kind)
{
	const char *address = getenv(kinds[kind].shared);
	static bool registered;

	if (!registered)
		registered = !atexit(stop_shared);
	if (!shared[kind])
		shared[kind] =
			address && *address ? from_environment(&kinds[kind], address) : kit_broker_start(kind, NULL);
	return shared[kind];
}

/* ---- what it is called --------------------------------------------------- */

int kit_broker_door(const struct kit_broker *b, enum kit_door door)
{
	bool offered =
		door == KIT_PLAIN ||
		(b->kind == &kinds[KIT_KAFKA] && door == KIT_SASL ? b->user != NULL : b->tls && door != KIT_SASL);

	if (!offered)
		kit__end_test((struct kit_broker *)b, 1, "has no such door; see its options");
	return b->ports[door];
}

int kit_broker_port(const struct kit_broker *b)
{
	return b->ports[0];
}

/* Written on demand: a start that loses its port goes on with another. */
const char *kit_broker_url(const struct kit_broker *b)
{
	struct kit_broker *own = (struct kit_broker *)b;
	bool amqp = b->kind == &kinds[KIT_RABBITMQ], kafka = b->kind == &kinds[KIT_KAFKA];
	const char *user = b->user ? b->user : "guest";
	const char *password = b->password ? b->password : "guest";
	bool login = amqp || (b->user && !kafka);

	snprintf(own->url, sizeof(own->url), "%s://%s%s%s%s127.0.0.1:%d%s%s", b->kind->scheme, login ? user : "",
		 login ? ":" : "", login ? password : "", login ? "@" : "", b->ports[0], amqp && b->vhost ? "/" : "",
		 amqp && b->vhost ? b->vhost : "");
	return b->url;
}

char *kit_broker_file(const struct kit_broker *b, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", b->dir, name) < 0)
		kit__end_test(NULL, 1, "no memory");
	return path;
}

char *kit_unique(const char *prefix)
{
	static atomic_uint count;
	unsigned int random[2], n = atomic_fetch_add(&count, 1);
	char *name;

	if (getrandom(random, sizeof(random), 0) != sizeof(random) ||
	    asprintf(&name, "%s-%08x%08xn%u", prefix, random[0], random[1], n) < 0)
		kit__end_test(NULL, 1, "no name");
	return name;
}

/* ---- faults -------------------------------------------------------------- */

static void order(struct kit_broker *b, const char *text, const char *expected)
{
	struct kit_state s = kit__ask(b, text);

	if (!kit__is(s, expected))
		kit__end_test(b, 1, "after \"%s\" it is %s, not %s", text, s.word, expected);
}

/*
 * Mosquitto acknowledges a message some milliseconds before it writes its file,
 * at the end of the same round of its loop. Whoever is answered on a new
 * connection has been served in a later round. A frozen one has no say.
 */
void kit_broker_kill9(struct kit_broker *b)
{
	if (b->persistent && !b->paused)
		b->kind->probe(b->ports[0], b->user, b->password);
	order(b, "kill9", "down");
}

void kit_broker_shutdown(struct kit_broker *b)
{
	order(b, "shutdown", "down");
}

void kit_broker_pause(struct kit_broker *b)
{
	order(b, "pause", "up");
	b->paused = true;
}

void kit_broker_cont(struct kit_broker *b)
{
	order(b, "cont", "up");
	b->paused = false;
}

void kit_broker_start_again(struct kit_broker *b)
{
	kit__ask(b, "start");
	b->paused = false;
	if (!becomes_ready(b))
		kit__end_test(b, 1, "ended while it started again");
}

void kit_broker_restart(struct kit_broker *b)
{
	kit_broker_shutdown(b);
	kit_broker_start_again(b);
}

long kit_broker_pid(struct kit_broker *b)
{
	struct kit_state s = kit__ask(b, "status");

	return kit__is(s, "up") ? s.number : 0;
}

bool kit_broker_runs(struct kit_broker *b)
{
	return kit_broker_pid(b) != 0;
}

/* ---- rabbitmqctl --------------------------------------------------------- */

char *kit_broker_ctl_output(struct kit_broker *b, const char *const argv[])
{
	int status;
	char *text;

	if (b->kind != &kinds[KIT_RABBITMQ] || !b->dir[0])
		kit__end_test(b, 1, "has no rabbitmqctl");
	text = kit__run_ctl(b, argv, &status);
	if (status)
		kit__end_test(b, 1, "rabbitmqctl %s failed:\n%s", *argv ? *argv : "", text);
	return text;
}

void kit_broker_ctl(struct kit_broker *b, const char *const argv[])
{
	free(kit_broker_ctl_output(b, argv));
}
