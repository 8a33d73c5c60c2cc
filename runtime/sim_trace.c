/* SPDX-License-Identifier: MIT */
/* The trace of a simulation: a hash of what happened always, and words for it when somebody reads them. */
#include "runtime/sim.h"
#include "runtime/block.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_LEN 512

void posta__sim_mix(struct posta_sim *sim, uint64_t value)
{
	uint64_t hash = (sim->hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
	sim->hash = hash ^ hash >> 29;
}

static void mix_text(struct posta_sim *sim, const char *text)
{
	uint64_t hash = UINT64_C(0xCBF29CE484222325);
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
	posta__sim_mix(sim, hash);
}

static void say(struct posta_sim *sim, const char *words)
{
	char line[LINE_MAX_LEN + 32];
	snprintf(line, sizeof line, "%9.3f ms  %s", (double)sim->now_ns / 1e6, words);
	sim->options.trace(sim->options.trace_context, line);
}

static uint32_t waiting(const struct posta_actor *actor)
{
	uint32_t count = 0;
	for (const struct posta_message *message = actor->head; message; message = message->next_)
		count++;
	const struct posta_message *message = atomic_load_explicit(&actor->stack, memory_order_relaxed);
	for (; (uintptr_t)message > (uintptr_t)POSTA__GUARD; message = message->next_)
		count++;
	return count;
}

void posta__sim_trace_turn(struct posta_sim *sim, int node, const struct posta__worker *worker,
			   const struct posta_actor *actor, const char *what)
{
	uint32_t messages = waiting(actor), first = actor->head ? actor->head->type : 0;
	posta__sim_mix(sim, (uint64_t)actor->index << 32 | actor->generation);
	posta__sim_mix(sim, (uint64_t)node << 56 | (uint64_t)worker->id << 48 | (uint64_t)(unsigned char)what[0] << 40 |
				    (uint64_t)actor->attention << 32 | messages);
	posta__sim_mix(sim, sim->now_ns ^ (uint64_t)first << 40);
	if (!sim->options.trace)
		return;
	char words[LINE_MAX_LEN];
	snprintf(words, sizeof words, "node %d worker %u %*s%-5s %s %u.%u: %u waiting, first of type %u", node,
		 worker->id + 1u, 2 * (sim->depth - 1), "", what,
		 actor->klass && actor->klass->name ? actor->klass->name : "actor", actor->index, actor->generation,
		 messages, first);
	say(sim, words);
}

static void trace(struct posta_sim *sim, const char *format, va_list arguments)
{
	char words[LINE_MAX_LEN];
	vsnprintf(words, sizeof words, format, arguments);
	mix_text(sim, words);
	posta__sim_mix(sim, sim->now_ns);
	if (sim->options.trace)
		say(sim, words);
}

void posta__sim_trace(struct posta_sim *sim, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	trace(sim, format, arguments);
	va_end(arguments);
}

void posta_sim_note(struct posta_sim *sim, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	trace(sim, format, arguments);
	va_end(arguments);
}

void posta__sim_problem(struct posta_sim *sim, const char *format, ...)
{
	if (sim->problem[0])
		return; /* the first one is the cause of the others */
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sim->problem, sizeof sim->problem, format, arguments);
	va_end(arguments);
	posta__sim_trace(sim, "problem: %s", sim->problem);
}

uint64_t posta_sim_hash(const struct posta_sim *sim)
{
	return sim->hash;
}

const char *posta_sim_problem(const struct posta_sim *sim)
{
	return sim->problem[0] ? sim->problem : NULL;
}
