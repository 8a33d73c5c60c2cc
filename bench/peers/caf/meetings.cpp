// SPDX-License-Identifier: MIT
// Workloads of actors that meet around a common one.
#include "contract.hpp"

using namespace caf;

namespace {

using meet_atom = atom_constant<atom("meet")>;
using change_atom = atom_constant<atom("change")>;
using exit_atom2 = atom_constant<atom("leave")>;
using get_atom2 = atom_constant<atom("get")>;
using put_atom2 = atom_constant<atom("put")>;
using hungry_atom = atom_constant<atom("hungry")>;
using denied_atom = atom_constant<atom("denied")>;
using eat_atom = atom_constant<atom("eat")>;

uint32_t complement(uint32_t a, uint32_t b)
{
	return a == b ? a : 3 - a - b;
}

struct creature_state {
	uint32_t colour;
	uint64_t meetings = 0;
};

behavior creature(stateful_actor<creature_state> *self, actor mall, uint32_t colour)
{
	self->state.colour = colour;
	self->send(mall, meet_atom::value, actor{self}, colour);
	auto again = [=](uint32_t colour) {
		self->state.colour = colour;
		self->state.meetings++;
		self->send(mall, meet_atom::value, actor{self}, colour);
	};
	return {[=](meet_atom, const actor &other, uint32_t colour) {
			uint32_t mine = complement(self->state.colour, colour);
			self->send(other, change_atom::value, mine);
			again(mine);
		},
		[=](change_atom, uint32_t colour) { again(colour); },
		[=](exit_atom2) { self->send(mall, done_atom::value, self->state.meetings); }};
}

struct mall_state {
	uint64_t left, gone = 0, met = 0;
	actor waiting;
};

behavior mall(stateful_actor<mall_state> *self, actor main, uint64_t n)
{
	self->state.left = n;
	return {[=](meet_atom meet, const actor &from, uint32_t colour) {
			auto &state = self->state;
			if (state.left == 0) {
				self->send(from, exit_atom2::value);
			} else if (!state.waiting) {
				state.waiting = from;
			} else {
				self->send(state.waiting, meet, from, colour);
				state.waiting = nullptr;
				state.left--;
			}
		},
		[=](done_atom, uint64_t meetings) {
			self->state.met += meetings;
			if (++self->state.gone == 100)
				self->send(main, self->state.met);
		}};
}

check run_chameneos(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(mall, actor_cast<actor>(self), n));
	for (uint32_t i = 0; i < 100; i++)
		all.push_back(system.spawn(creature, all[0], i % 3));
	return same(wait_value(self), 2 * n);
}

struct dictionary_state {
	std::unordered_map<uint64_t, uint64_t> entries;
};

behavior dictionary(stateful_actor<dictionary_state> *self)
{
	self->state.entries.reserve(4096);
	return {[=](get_atom2, uint64_t key) {
			auto found = self->state.entries.find(key);
			self->send(sender_of(self), found == self->state.entries.end() ? uint64_t(0) : found->second);
		},
		[=](put_atom2, uint64_t key) {
			self->state.entries[key] = key;
			self->send(sender_of(self), key);
		}};
}

struct worker_state {
	uint64_t left, right = 0, key = 0;
	uint32_t seed;
};

behavior worker(stateful_actor<worker_state> *self, actor dictionary, actor main, uint32_t index, uint64_t share)
{
	self->state.left = share;
	self->state.seed = index * 7919 + 1;
	auto ask = [=] {
		auto &state = self->state;
		if (state.left-- == 0) {
			self->send(main, state.right);
			return;
		}
		state.key = draw16(state.seed) % 4096 + 1;
		if (draw16(state.seed) % 100 < 10)
			self->send(dictionary, put_atom2::value, state.key);
		else
			self->send(dictionary, get_atom2::value, state.key);
	};
	ask();
	return {[=](uint64_t value) {
		self->state.right += value == 0 || value == self->state.key;
		ask();
	}};
}

check run_dictionary(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(dictionary));
	for (uint32_t i = 0; i < 20; i++)
		all.push_back(system.spawn(worker, all[0], actor_cast<actor>(self), i, n / 20));
	uint64_t right = 0;
	for (int i = 0; i < 20; i++)
		right += wait_value(self);
	return same(right, n / 20 * 20);
}

struct philosopher_state {
	uint64_t left;
};

behavior philosopher(stateful_actor<philosopher_state> *self, actor arbitrator, uint32_t seat, uint64_t share)
{
	self->state.left = share;
	self->send(arbitrator, hungry_atom::value, seat);
	return {[=](denied_atom) { self->send(arbitrator, hungry_atom::value, seat); },
		[=](eat_atom) {
			self->send(arbitrator, done_atom::value, seat);
			if (--self->state.left > 0)
				self->send(arbitrator, hungry_atom::value, seat);
			else
				self->send(arbitrator, exit_atom2::value);
		}};
}

struct arbitrator_state {
	bool used[20] = {};
	uint64_t meals = 0, gone = 0;
};

behavior arbitrator(stateful_actor<arbitrator_state> *self, actor main)
{
	return {[=](hungry_atom, uint32_t seat) {
			bool *used = self->state.used, &left = used[seat], &right = used[(seat + 1) % 20];
			if (left || right) {
				self->send(sender_of(self), denied_atom::value);
			} else {
				left = right = true;
				self->send(sender_of(self), eat_atom::value);
			}
		},
		[=](done_atom, uint32_t seat) {
			self->state.used[seat] = self->state.used[(seat + 1) % 20] = false;
			self->state.meals++;
		},
		[=](exit_atom2) {
			if (++self->state.gone == 20)
				self->send(main, self->state.meals);
		}};
}

check run_philosophers(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(arbitrator, actor_cast<actor>(self)));
	for (uint32_t i = 0; i < 20; i++)
		all.push_back(system.spawn(philosopher, all[0], i, n / 20));
	return same(wait_value(self), n / 20 * 20);
}

struct smoker_state {
	uint32_t smoke = 0;
};

behavior smoker(stateful_actor<smoker_state> *self)
{
	return {[=](uint32_t iterations) {
		self->send(sender_of(self), done_atom::value);
		self->state.smoke = work(self->state.smoke, iterations);
	}};
}

struct arbiter_state {
	uint64_t started = 0;
	uint32_t seed = 1;
};

behavior arbiter(stateful_actor<arbiter_state> *self, std::vector<actor> smokers, actor main, uint64_t n)
{
	auto choose = [=] {
		uint32_t chosen = draw16(self->state.seed) % 200;
		self->send(smokers[chosen], draw16(self->state.seed) % 50);
	};
	choose();
	return {[=](done_atom) {
		if (++self->state.started < n)
			choose();
		else
			self->send(main, self->state.started);
	}};
}

check run_smokers(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	for (int i = 0; i < 200; i++)
		all.push_back(system.spawn(smoker));
	all.push_back(system.spawn(arbiter, all, actor_cast<actor>(self), n));
	return same(wait_value(self), n);
}

} // namespace

void add_meetings(workload_map &map)
{
	map["chameneos"] = {"message", [](uint64_t n) { return 4 * n; }, run_chameneos};
	map["dictionary"] = {"message", [](uint64_t n) { return n / 20 * 40; }, run_dictionary};
	map["philosophers"] = {"meal", [](uint64_t n) { return n / 20 * 20; }, run_philosophers};
	map["smokers"] = {"message", [](uint64_t n) { return 2 * n; }, run_smokers};
}
