/* SPDX-License-Identifier: MIT */
#include "route.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_key(struct posta_bytes key)
{
	const unsigned char *bytes = key.data;
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

static struct posta__lane *find(struct posta__route *route, struct posta_bytes key, uint32_t hash)
{
	struct posta__lane *lane = route->lanes[hash % POSTA__LANE_BUCKETS];
	while (lane && (lane->hash != hash || lane->len != key.len || memcmp(lane->key, key.data, key.len) != 0))
		lane = lane->chain;
	return lane;
}

static struct posta__lane *make(struct posta__route *route, struct posta_bytes key, uint32_t hash)
{
	struct posta__lane *lane = calloc(1, sizeof *lane + key.len);
	if (!lane)
		return NULL;
	memcpy(lane->key, key.data, key.len);
	lane->len = key.len;
	lane->hash = hash;
	lane->chain = route->lanes[hash % POSTA__LANE_BUCKETS];
	route->lanes[hash % POSTA__LANE_BUCKETS] = lane;
	return lane;
}

bool posta__lane_join(struct posta__route *route, struct posta__flight *flight, struct posta_bytes key)
{
	if (!key.data || !key.len)
		return true;
	uint32_t hash = hash_key(key);
	struct posta__lane *lane = find(route, key, hash);
	if (!lane)
		lane = make(route, key, hash);
	if (!lane)
		return false;
	flight->lane = lane;
	flight->lane_next = NULL;
	if (lane->last)
		lane->last->lane_next = flight;
	else
		lane->first = flight;
	lane->last = flight;
	return true;
}

struct posta__lane *posta__lane_leave(struct posta__route *route, struct posta__flight *flight)
{
	struct posta__lane *lane = flight->lane;
	struct posta__flight *before = NULL;
	if (!lane)
		return NULL;
	for (struct posta__flight *at = lane->first; at != flight; at = at->lane_next)
		before = at;
	if (before)
		before->lane_next = flight->lane_next;
	else
		lane->first = flight->lane_next;
	if (lane->last == flight)
		lane->last = before;
	flight->lane = NULL;
	return posta__lane_prune(route, lane) ? NULL : lane;
}

bool posta__lane_prune(struct posta__route *route, struct posta__lane *lane)
{
	if (lane->first || lane->moving)
		return false;
	struct posta__lane **at = &route->lanes[lane->hash % POSTA__LANE_BUCKETS];
	while (*at != lane)
		at = &(*at)->chain;
	*at = lane->chain;
	free(lane);
	return true;
}
