/* SPDX-License-Identifier: MIT */
#include "chaos.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t chaos_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void chaos_pass(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}

unsigned chaos_random(unsigned below)
{
	unsigned value = 0;

	if (getrandom(&value, sizeof value, 0) != sizeof value)
		abort();
	return value % below;
}

void chaos_trouble(struct chaos *chaos, const char *format, ...)
{
	va_list args;

	if (chaos->trouble[0])
		return;
	va_start(args, format);
	vsnprintf(chaos->trouble, sizeof chaos->trouble, format, args);
	va_end(args);
}

void chaos_tell(struct chaos *chaos, const char *format, ...)
{
	size_t len = strlen(chaos->more);
	va_list args;

	va_start(args, format);
	vsnprintf(chaos->more + len, sizeof chaos->more - len, format, args);
	va_end(args);
}

bool chaos_wait(struct chaos *chaos, bool (*done)(const struct chaos *chaos), uint64_t timeout_ms, const char *what)
{
	uint64_t until = chaos_now_ms() + timeout_ms;

	while (!done(chaos)) {
		if (chaos->trouble[0])
			return false;
		if (chaos_now_ms() > until) {
			chaos_trouble(chaos, "not within %llu s: %s", (unsigned long long)timeout_ms / 1000, what);
			return false;
		}
		chaos_pass(5);
	}
	return true;
}

/* -- Flows and brokers */

void chaos_flow(struct chaos *chaos, enum kit_kind from, enum kit_kind to)
{
	struct chaos_flow *flow = &chaos->flows[chaos->flow_count++];

	flow->from = from;
	flow->to = to;
	flow->from_name = kit_unique("from");
	flow->to_name = kit_unique("to");
}

void chaos_flows_of(struct chaos *chaos, enum kit_kind kind)
{
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		if (i == (int)kind)
			continue;
		chaos_flow(chaos, kind, (enum kit_kind)i);
		chaos_flow(chaos, (enum kit_kind)i, kind);
	}
}

static bool needed(const struct chaos *chaos, int kind)
{
	for (unsigned i = 0; i < chaos->flow_count; i++)
		if ((int)chaos->flows[i].from == kind || (int)chaos->flows[i].to == kind)
			return true;
	return false;
}

void chaos_brokers(struct chaos *chaos, bool proxied)
{
	char advertised[96] = "";

	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		struct kit_broker_options options = { .partitions = chaos->partitions ? chaos->partitions : 4,
						      .persistent = chaos->persistent };

		if (!needed(chaos, i))
			continue;
		if (proxied)
			chaos->proxies[i] = kit_proxy_start(0);
		if (proxied && i == KIT_KAFKA) {
			snprintf(advertised, sizeof advertised, "advertised.listeners=PLAINTEXT://127.0.0.1:%d",
				 kit_proxy_port(chaos->proxies[i]));
			options.config = advertised;
		}
		chaos->brokers[i] = kit_broker_begin((enum kit_kind)i, &options);
	}
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		if (chaos->brokers[i])
			kit_broker_wait(chaos->brokers[i]);
		if (chaos->proxies[i])
			kit_proxy_aim(chaos->proxies[i], kit_broker_port(chaos->brokers[i]));
	}
}

void chaos_url(const struct chaos *chaos, enum kit_kind kind, bool proxied, char *url, size_t size)
{
	const char *direct = kit_broker_url(chaos->brokers[kind]);
	const char *port = strrchr(direct, ':');

	if (proxied && chaos->proxies[kind])
		snprintf(url, size, "%.*s:%d", (int)(port - direct), direct, kit_proxy_port(chaos->proxies[kind]));
	else
		snprintf(url, size, "%s", direct);
}

/* Mosquitto would be given the time to save before a plain kit_broker_kill9(). */
void chaos_kill_broker(struct chaos *chaos, enum kit_kind kind)
{
	kit_broker_pause(chaos->brokers[kind]);
	kit_broker_kill9(chaos->brokers[kind]);
	kit_broker_start_again(chaos->brokers[kind]);
	chaos->kills++;
}

/* -- Beginning and end */

static bool readers_subscribed(const struct chaos *chaos)
{
	return chaos->subscribed >= chaos->flow_count * (chaos->poison_every ? 2 : 1);
}

static bool movers_subscribed(const struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->mover_count; i++)
		if (!chaos_mover_ready((struct chaos *)chaos, i))
			return false;
	return true;
}

void chaos_begin(struct chaos *chaos, unsigned movers)
{
	if (!chaos->rate)
		chaos->rate = 1000;
	chaos->group = kit_unique("group");
	chaos->mover_count = movers;
	chaos_driver_start(chaos);
	for (unsigned i = 0; i < movers; i++)
		chaos_mover_start(chaos, i);
	if (!chaos_wait(chaos, readers_subscribed, 90000, "the sinks are read") ||
	    !chaos_wait(chaos, movers_subscribed, 90000, "posta has subscribed to all sources"))
		return;
	chaos->started_ms = chaos_now_ms();
	chaos->flowing = true;
}

bool chaos_moved(struct chaos *chaos, unsigned more, uint64_t timeout_ms)
{
	uint64_t until = chaos_now_ms() + timeout_ms;
	unsigned goals[CHAOS_FLOWS_MAX];

	for (unsigned i = 0; i < chaos->flow_count; i++)
		goals[i] = chaos->flows[i].arrived + more;
	for (unsigned i = 0; i < chaos->flow_count && !chaos->trouble[0]; i++) {
		while (chaos->flows[i].arrived < goals[i] && chaos_now_ms() < until)
			chaos_pass(5);
		if (chaos->flows[i].arrived < goals[i])
			chaos_trouble(chaos, "%s to %s stands still: published %u, confirmed %u, arrived %u",
				      chaos_kind_names[chaos->flows[i].from], chaos_kind_names[chaos->flows[i].to],
				      chaos->flows[i].published, chaos->flows[i].confirmed, chaos->flows[i].arrived);
	}
	return !chaos->trouble[0];
}

static bool all_arrived(const struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->flow_count; i++) {
		const struct chaos_flow *flow = &chaos->flows[i];

		if (flow->arrived + flow->dead < flow->published || flow->confirmed < flow->published)
			return false;
	}
	return true;
}

void chaos_end(struct chaos *chaos)
{
	chaos->flowing = false;
	chaos_wait(chaos, all_arrived, chaos->trouble[0] ? 0 : 120000, "all that was published has arrived");
	if (chaos->trouble[0] && chaos->mover_count) {
		char tail[4000];

		chaos_mover_log(chaos, 0, tail, sizeof tail);
		fprintf(stderr, "the end of posta's log:\n%s\n", tail);
	}
	for (unsigned i = 0; i < chaos->mover_count; i++)
		chaos_mover_end(chaos, i);
}
