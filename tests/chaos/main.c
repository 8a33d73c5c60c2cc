/* SPDX-License-Identifier: MIT */
/*
 * chaos NAME...|--all [--short] [--json FILE] [--append]
 *
 * Runs scenes and prints a line of JSON for each, into FILE too (behind what it holds with --append). The exit status
 * is 0 if nothing was lost, nothing strange happened and no loop stood still in any of them. tests/chaos/run finds this
 * program and posta (POSTA in the environment).
 */
#include "chaos.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	chaos_scene *scene;
	int part; /* 0: only by its name; 1: of --all; 2: of --all --short too, unless another test does it in short */
	const char *what;
} scenes[] = {
	{ "kill-kafka", chaos_kill_kafka, 1, "kill -9 of Kafka, 20 times" },
	{ "kill-rabbitmq", chaos_kill_rabbitmq, 1, "kill -9 of RabbitMQ, 20 times" },
	{ "kill-mosquitto", chaos_kill_mosquitto, 1, "kill -9 of Mosquitto, 20 times, confirm_saved" },
	{ "kill-posta", chaos_kill_posta, 2, "kill -9 of posta run, 20 times, all six legs" },
	{ "puback-mosquitto", chaos_puback_mosquitto, 0, "what it acknowledges and loses by itself; not of --all" },
	{ "freeze-kafka", chaos_freeze_kafka, 1, "Kafka stopped (SIGSTOP) for 60 s" },
	{ "freeze-rabbitmq", chaos_freeze_rabbitmq, 1, "RabbitMQ stopped for 60 s" },
	{ "freeze-mosquitto", chaos_freeze_mosquitto, 2, "Mosquitto stopped for 60 s" },
	{ "alarm-rabbitmq", chaos_alarm_rabbitmq, 2, "memory alarm (connection.blocked), 5 times 10 s" },
	{ "proxy-delay", chaos_proxy_delay, 1, "100 ms more each way" },
	{ "proxy-throttle", chaos_proxy_throttle, 1, "300 KB/s a connection and way" },
	{ "proxy-hole", chaos_proxy_hole, 2, "silence for 6 s, 21 times" },
	{ "proxy-reset", chaos_proxy_reset, 2, "reset, 21 times" },
	{ "proxy-half-close", chaos_proxy_half_close, 1, "half closed, 21 times" },
	{ "proxy-cut", chaos_proxy_cut, 1, "cut behind an arbitrary byte, 40 times" },
	{ "proxy-refuse", chaos_proxy_refuse, 1, "reset, and new ones refused for some time, 20 times" },
	{ "rebalance", chaos_rebalance, 2, "three of a group, one goes and comes every 5 s, 12 times" },
	{ "poison", chaos_poison, 2, "1 % cannot be read: dead letters" },
	{ "tls-expired", chaos_tls_expired, 2, "the broker's certificate has expired" },
	{ "tls-wrong-host", chaos_tls_wrong_host, 2, "the broker's certificate is for another host" },
	{ "tls-wrong-ca", chaos_tls_wrong_ca, 2, "the broker's certificate is of another CA" },
};

#define SCENES (sizeof scenes / sizeof *scenes)

struct totals {
	unsigned sent, received, dead, duplicated, lost, strangers;
	uint64_t reconnects;
};

static void tell_lost(const struct chaos *chaos, unsigned index)
{
	const struct chaos_flow *flow = &chaos->flows[index];

	for (unsigned n = 0, told = 0; n < flow->published && told < 10; n++)
		if (!flow->seen[n] && ++told)
			fprintf(stderr, "%s: %s to %s: number %u has not arrived\n", chaos->name,
				chaos_kind_names[flow->from], chaos_kind_names[flow->to], n);
}

static struct totals sum_up(struct chaos *chaos)
{
	struct totals totals = { .reconnects = chaos->mover_restarts };

	for (unsigned i = 0; i < chaos->flow_count; i++) {
		const struct chaos_flow *flow = &chaos->flows[i];

		totals.sent += flow->published;
		totals.received += flow->arrived;
		totals.dead += flow->dead;
		totals.duplicated += flow->duplicates;
		totals.strangers += flow->strangers + flow->refused;
		tell_lost(chaos, i);
	}
	totals.lost = totals.sent - totals.received - totals.dead;
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		struct posta_bridge_status status = { .size = sizeof status };

		if (!chaos->bridges[i] || !chaos->system)
			continue;
		posta_bridge_status(chaos->bridges[i], &status);
		totals.reconnects += status.restarts;
	}
	return totals;
}

static bool report(struct chaos *chaos, const struct totals *totals, FILE *json)
{
	double seconds = (double)(chaos_now_ms() - chaos->started_ms) / 1000.;
	struct json_object *words = json_object_new_string(chaos->trouble);
	bool good = totals->lost == chaos->lost_by_broker && !totals->strangers && !chaos->trouble[0];
	char *line = NULL;

	if (asprintf(&line,
		     "{\"name\":\"%s\",\"what\":\"%s\",\"short\":%s,\"ok\":%s,\"sent\":%u,\"received\":%u,"
		     "\"duplicated\":%u,\"lost\":%u,\"dead_lettered\":%u,\"strange\":%u,\"kills\":%u,"
		     "\"reconnects\":%" PRIu64 ",\"stall_ms\":%.1f,\"seconds\":%.1f%s,\"trouble\":%s}\n",
		     chaos->name, chaos->what, chaos->shortly ? "true" : "false", good ? "true" : "false", totals->sent,
		     totals->received, totals->duplicated, totals->lost, totals->dead, totals->strangers, chaos->kills,
		     totals->reconnects, (double)chaos->stall_us / 1000., seconds, chaos->more,
		     json_object_to_json_string(words)) < 0)
		abort();
	fputs(line, stdout);
	fflush(stdout);
	if (json) {
		fputs(line, json);
		fflush(json);
	}
	free(line);
	json_object_put(words);
	return good;
}

static void clear(struct chaos *chaos)
{
	if (chaos->system)
		chaos_driver_stop(chaos);
	for (unsigned i = 0; i < CHAOS_MOVERS_MAX; i++)
		chaos_mover_free(&chaos->movers[i]);
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		kit_proxy_stop(chaos->proxies[i]);
		kit_broker_stop(chaos->brokers[i]);
	}
	for (unsigned i = 0; i < chaos->flow_count; i++) {
		free(chaos->flows[i].from_name);
		free(chaos->flows[i].to_name);
		free(chaos->flows[i].seen);
	}
	free(chaos->group);
}

static bool run(size_t index, bool shortly, FILE *json)
{
	static struct chaos chaos;

	memset(&chaos, 0, sizeof chaos);
	chaos.name = scenes[index].name;
	chaos.what = scenes[index].what;
	chaos.shortly = shortly;
	chaos.started_ms = chaos_now_ms();
	scenes[index].scene(&chaos);
	struct totals totals = sum_up(&chaos);
	bool good = report(&chaos, &totals, json);
	clear(&chaos);
	return good;
}

static int usage(void)
{
	puts("Usage: tests/chaos/run NAME...|--all [--short] [--json FILE] [--append]\n");
	for (size_t i = 0; i < SCENES; i++)
		printf("  %-18s%s\n", scenes[i].name, scenes[i].what);
	return 2;
}

struct choice {
	bool chosen[SCENES];
	bool all, shortly, append;
	const char *json;
};

static bool choose(struct choice *choice, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < SCENES; i++)
		if (!strcmp(scenes[i].name, name))
			found = choice->chosen[i] = true;
	return found;
}

static bool parse(int argc, char **argv, struct choice *choice)
{
	bool any = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--all"))
			any = choice->all = true;
		else if (!strcmp(argv[i], "--short"))
			choice->shortly = true;
		else if (!strcmp(argv[i], "--append"))
			choice->append = true;
		else if (!strcmp(argv[i], "--json") && i + 1 < argc)
			choice->json = argv[++i];
		else if (choose(choice, argv[i]))
			any = true;
		else
			return false;
	}
	return any && getenv("POSTA");
}

int main(int argc, char **argv)
{
	struct choice choice = { .json = NULL };
	unsigned passed = 0, failed = 0;
	FILE *json;

	if (!parse(argc, argv, &choice))
		return usage();
	json = choice.json ? fopen(choice.json, choice.append ? "a" : "w") : NULL;
	if (choice.json && !json) {
		perror(choice.json);
		return 2;
	}
	for (size_t i = 0; i < SCENES; i++) {
		if (!choice.chosen[i] && !(choice.all && scenes[i].part > choice.shortly))
			continue;
		if (run(i, choice.shortly, json))
			passed++;
		else
			failed++;
	}
	if (json)
		fclose(json);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
