// SPDX-License-Identifier: MIT
// What every peer program does: PROGRAM WORKLOAD THREADS N [paced] prints a line of JSON for a run after a warm-up;
// with "paced" one for each line of standard input. The workload idle warms up with few actors: what they leave behind
// would be used again.
#pragma once

#include <caf/all.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

constexpr uint64_t burst = 256;

// Says whether the result of a run is right; called when its actors have stopped, untimed.
using check = std::function<bool()>;

// Runs to the end of the workload; its actors are left in all, to be stopped afterwards.
using run_function = std::function<check(caf::actor_system &, uint64_t n, std::vector<caf::actor> &all)>;

struct workload {
	const char *unit;
	std::function<uint64_t(uint64_t)> units;
	run_function run;
};

using workload_map = std::map<std::string, workload>;

// The generator that all systems use: 16 bits.
inline uint32_t draw16(uint32_t &seed)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 16;
}

inline uint32_t draw30(uint32_t &seed)
{
	uint32_t high = draw16(seed) & 0x7FFF;
	return high << 15 | (draw16(seed) & 0x7FFF);
}

inline uint32_t work(uint32_t seed, uint32_t iterations)
{
	while (iterations--)
		seed = seed * 1664525u + 1013904223u;
	return seed;
}

using ask_atom = caf::atom_constant<caf::atom("ask")>;
using answer_atom = caf::atom_constant<caf::atom("answer")>;
using more_atom = caf::atom_constant<caf::atom("more")>;
using work_atom = caf::atom_constant<caf::atom("work")>;
using done_atom = caf::atom_constant<caf::atom("done")>;

// The sender of the message in work.
inline caf::actor sender_of(caf::event_based_actor *self)
{
	return caf::actor_cast<caf::actor>(self->current_sender());
}

inline uint64_t wait_value(caf::scoped_actor &self)
{
	uint64_t result = 0;
	self->receive([&](uint64_t value) { result = value; });
	return result;
}

inline check same(uint64_t got, uint64_t expected)
{
	return [=] { return got == expected; };
}

void add_messages(workload_map &);
void add_meetings(workload_map &);
void add_accounts(workload_map &);
void add_computations(workload_map &);
