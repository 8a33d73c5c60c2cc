/* SPDX-License-Identifier: MIT */
#include "conformance_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tally {
	int passed, failed, left_out;
};

static void run_one(const struct kit_bridge *bridge, const struct kit_behaviour *behaviour, struct tally *tally)
{
	if ((bridge->ops->capabilities & behaviour->needs) != behaviour->needs || bridge->lacks & behaviour->not_with) {
		printf("left out  %s %s\n", bridge->name, behaviour->name);
		tally->left_out++;
		return;
	}
	uint64_t began = kit_now_ms();
	struct kit_world *world = malloc(sizeof *world);
	if (!world)
		exit(1);
	kit_world_init(world, bridge);
	behaviour->run(world);
	kit_world_fini(world);
	printf("%s  %s %s (%llu ms)\n", world->failed ? "FAILED  " : "ok      ", bridge->name, behaviour->name,
	       (unsigned long long)(kit_now_ms() - began));
	*(world->failed ? &tally->failed : &tally->passed) += 1;
	fflush(stdout);
	free(world);
}

int kit_conformance(const struct kit_bridge *bridge, const char *only)
{
	const struct kit_behaviour *const themes[] = { kit_publish_behaviours, kit_consume_behaviours,
						       kit_life_behaviours, kit_edge_behaviours,
						       kit_log_behaviours,     kit_network_behaviours,
						       kit_ask_behaviours };
	struct tally tally = { 0 };
	if (bridge->start)
		bridge->start();
	for (size_t i = 0; i < sizeof themes / sizeof themes[0]; i++)
		for (const struct kit_behaviour *behaviour = themes[i]; behaviour->name; behaviour++)
			if (!only || strstr(behaviour->name, only))
				run_one(bridge, behaviour, &tally);
	if (bridge->stop)
		bridge->stop();
	printf("%s: %d behaviours hold, %d do not, %d are left out\n", bridge->name, tally.passed, tally.failed,
	       tally.left_out);
	return tally.failed;
}
