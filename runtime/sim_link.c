/* SPDX-License-Identifier: MIT */
/* Links between simulated nodes: what is on its way, in order of its arrival. */
#include "runtime/sim.h"

#include <posta/registry.h>

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define DELAY_MS_MAX UINT64_C(86400000)

static bool is_node(const struct posta_sim *sim, int node)
{
	return node >= 0 && node < sim->options.nodes;
}

enum posta_err posta_sim_link(struct posta_sim *sim, int from, int to, const struct posta_sim_link *link)
{
	if (!is_node(sim, from) || !is_node(sim, to) || link->delay_ms_min > link->delay_ms_max ||
	    link->delay_ms_max > DELAY_MS_MAX)
		return POSTA_EINVAL;
	sim->links[from][to] = *link;
	return POSTA_OK;
}

uint64_t posta__sim_packets_due_ns(const struct posta_sim *sim)
{
	return sim->packets ? sim->packets->due_ns : UINT64_MAX;
}

static void packet_free(struct posta_sim *sim, struct posta__sim_packet *packet)
{
	sim->packet_count--;
	free(packet);
}

void posta__sim_packets_drop(struct posta_sim *sim, int node)
{
	struct posta__sim_packet **link = &sim->packets;
	while (*link) {
		struct posta__sim_packet *packet = *link;
		if (node >= 0 && packet->from != node) {
			link = &packet->next;
			continue;
		}
		*link = packet->next;
		packet_free(sim, packet);
	}
}

static void deliver(struct posta_sim *sim, const struct posta__sim_packet *packet)
{
	struct posta_system *system = sim->nodes[packet->to].system;
	posta_ref to = system ? posta_lookup(system, packet->name) : POSTA_NOBODY;
	bool lost = to == POSTA_NOBODY || (sim->links[packet->from][packet->to].cut && !sim->calm);
	posta__sim_trace(sim, "link %d to %d: type %u, %zu bytes for %s%s", packet->from, packet->to, packet->type,
			 packet->size, packet->name, lost ? ": lost" : "");
	if (!lost)
		posta_system_send(system, to, packet->type, packet->data, packet->size);
}

bool posta__sim_packets_deliver(struct posta_sim *sim)
{
	bool any = false;
	while (posta__sim_packets_due_ns(sim) <= sim->now_ns) {
		struct posta__sim_packet *packet = sim->packets;
		sim->packets = packet->next;
		deliver(sim, packet);
		packet_free(sim, packet);
		any = true;
	}
	return any;
}

static void insert(struct posta_sim *sim, struct posta__sim_packet *packet)
{
	struct posta__sim_packet **link = &sim->packets;
	while (*link && (*link)->due_ns <= packet->due_ns)
		link = &(*link)->next;
	packet->next = *link;
	*link = packet;
	sim->packet_count++;
}

/* When it arrives: after those before it, unless it overtakes. */
static uint64_t due_of(struct posta_sim *sim, int from, int to)
{
	const struct posta_sim_link *link = &sim->links[from][to];
	uint64_t span = link->delay_ms_max - link->delay_ms_min + 1;
	uint64_t due = sim->now_ns + (link->delay_ms_min + posta_sim_random(sim) % span) * NS_PER_MS;
	uint64_t *last = &sim->link_due_ns[from][to];
	if (!sim->calm && posta_sim_chance(sim, link->reorder_per_mille))
		return due;
	if (due < *last)
		due = *last;
	return *last = due;
}

static enum posta_err put_on(struct posta_sim *sim, const struct posta__sim_packet *model, const void *data)
{
	size_t name_size = strlen(model->name) + 1;
	if (sim->packet_count >= POSTA__SIM_PACKETS_MAX)
		return POSTA_EFULL;
	struct posta__sim_packet *packet = malloc(sizeof *packet + model->size + name_size);
	if (!packet)
		return POSTA_ENOMEM;
	*packet = *model;
	packet->name = memcpy(packet->data + model->size, model->name, name_size);
	if (model->size)
		memcpy(packet->data, data, model->size);
	packet->due_ns = due_of(sim, model->from, model->to);
	packet->order = sim->packet_order++;
	insert(sim, packet);
	return POSTA_OK;
}

int posta_sim_node(const struct posta_actor *self)
{
	const struct posta_system *system = posta_system_of(self);
	for (int i = 0; system->sim && i < system->sim->options.nodes; i++)
		if (system->sim->nodes[i].system == system)
			return i;
	return -1;
}

enum posta_err posta_sim_send(struct posta_actor *self, int node, const char *name, uint32_t type, const void *data,
			      size_t size)
{
	struct posta_sim *sim = posta_system_of(self)->sim;
	if (!sim)
		return POSTA_ESTATE;
	if (!is_node(sim, node) || !name || size > POSTA_COPY_MAX || strlen(name) > POSTA_NAME_MAX)
		return POSTA_EINVAL;
	struct posta__sim_packet model = {
		.from = posta_sim_node(self), .to = node, .type = type, .size = size, .name = (char *)(uintptr_t)name
	};
	const struct posta_sim_link *link = &sim->links[model.from][node];
	if (!sim->calm && (link->cut || posta_sim_chance(sim, link->drop_per_mille))) {
		posta__sim_trace(sim, "link %d to %d: type %u for %s: dropped", model.from, node, type, name);
		return POSTA_OK;
	}
	bool twice = !sim->calm && posta_sim_chance(sim, link->duplicate_per_mille);
	enum posta_err result = put_on(sim, &model, data);
	return result || !twice ? result : put_on(sim, &model, data);
}
