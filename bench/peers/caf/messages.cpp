// SPDX-License-Identifier: MIT
// The six workloads of the core, and what an idle actor needs, on event-based actors.
#include "contract.hpp"

using namespace caf;

namespace {

behavior pong(event_based_actor *self)
{
	return {[=](uint64_t left) { self->send(sender_of(self), left - 1); }};
}

behavior ping(event_based_actor *self, actor pong, actor main, uint64_t n)
{
	self->send(pong, n / 2 * 2 - 1);
	auto rallies = std::make_shared<uint64_t>(0);
	return {[=](uint64_t left) {
		++*rallies;
		if (left > 0)
			self->send(pong, left - 1);
		else
			self->send(main, *rallies);
	}};
}

check run_ping_pong(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(pong));
	all.push_back(system.spawn(ping, all[0], actor_cast<actor>(self), n));
	return same(wait_value(self), n / 2);
}

behavior counter(event_based_actor *self, actor main, uint64_t wanted)
{
	auto counted = std::make_shared<uint64_t>(0);
	return {[=, c = counted.get()](uint64_t) {
		(void)counted;
		if (++*c == wanted)
			self->send(main, *c);
	}};
}

behavior producer(event_based_actor *self, std::vector<actor> targets, uint64_t left)
{
	self->send(self, more_atom::value, left);
	return {[=](more_atom, uint64_t left) {
		uint64_t count = left < burst ? left : burst;
		for (uint64_t i = 0; i < count; i++)
			self->send(targets[(left - i) % targets.size()], i);
		if (left > count)
			self->send(self, more_atom::value, left - count);
	}};
}

check run_counting(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(counter, actor_cast<actor>(self), n));
	all.push_back(system.spawn(producer, std::vector<actor>{all[0]}, n));
	return same(wait_value(self), n);
}

check run_fork_join(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	for (int i = 0; i < 60; i++)
		all.push_back(system.spawn(counter, actor_cast<actor>(self), n / 60));
	all.push_back(system.spawn(producer, std::vector<actor>(all.begin(), all.begin() + 60), n / 60 * 60));
	uint64_t received = 0;
	for (int i = 0; i < 60; i++)
		received += wait_value(self);
	return same(received, n / 60 * 60);
}

struct member_state {
	actor next;
};

behavior member(stateful_actor<member_state> *self, actor main, uint64_t index)
{
	return {[=](actor next) { self->state.next = next; },
		[=](uint64_t left) {
			if (left > 0)
				self->send(self->state.next, left - 1);
			else
				self->send(main, index);
		}};
}

check run_ring(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	for (uint64_t i = 0; i < 100; i++)
		all.push_back(system.spawn(member, actor_cast<actor>(self), i));
	for (size_t i = 0; i < 100; i++)
		self->send(all[i], all[(i + 1) % 100]);
	self->send(all[0], n - 1);
	return same(wait_value(self), (n - 1) % 100);
}

struct big_state {
	std::vector<actor> bigs;
	uint64_t left, answers = 0;
	uint32_t seed;
};

behavior big(stateful_actor<big_state> *self, actor main, uint32_t index, uint64_t rounds)
{
	self->state.left = rounds;
	self->state.seed = index * 7919 + 1;
	auto next = [=] {
		auto &state = self->state;
		if (state.left == 0) {
			self->send(main, state.answers);
			return;
		}
		state.left--;
		self->send(state.bigs[draw16(state.seed) % 64], ask_atom::value);
	};
	return {[=](std::vector<actor> &bigs) {
			self->state.bigs = std::move(bigs);
			next();
		},
		[=](ask_atom) { self->send(sender_of(self), answer_atom::value); },
		[=](answer_atom) {
			self->state.answers++;
			next();
		}};
}

check run_big(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	for (uint32_t i = 0; i < 64; i++)
		all.push_back(system.spawn(big, actor_cast<actor>(self), i, n / 128));
	for (auto &actor : all)
		self->send(actor, all);
	uint64_t answers = 0;
	for (int i = 0; i < 64; i++)
		answers += wait_value(self);
	return same(answers, n / 128 * 64);
}

// Answers, and then ends or stays.
behavior leaf(event_based_actor *self, bool stays)
{
	return {[=](work_atom, uint64_t) {
		self->send(sender_of(self), done_atom::value);
		if (!stays)
			self->quit();
	}};
}

// An actor whose last handle goes ends: those that stay are kept.
behavior forker(event_based_actor *self, actor main, uint64_t n, bool stay)
{
	self->send(self, more_atom::value, n);
	auto kept = std::make_shared<std::vector<actor>>();
	auto joined = std::make_shared<uint64_t>(0);
	return {[=](done_atom) {
			if (++*joined == n)
				self->send(main, *joined);
		},
		[=](more_atom, uint64_t left) {
			uint64_t count = left < burst ? left : burst;
			for (uint64_t i = 0; i < count; i++) {
				auto made = self->spawn(leaf, stay);
				self->send(made, work_atom::value, i);
				if (stay)
					kept->push_back(made);
			}
			if (left > count)
				self->send(self, more_atom::value, left - count);
		}};
}

check run_create(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(forker, actor_cast<actor>(self), n, false));
	return same(wait_value(self), n);
}

check run_idle(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(forker, actor_cast<actor>(self), n, true));
	return same(wait_value(self), n);
}

} // namespace

void add_messages(workload_map &map)
{
	auto same = [](uint64_t n) { return n; };
	map["ping-pong"] = {"message", [](uint64_t n) { return n / 2 * 2; }, run_ping_pong};
	map["counting"] = {"message", same, run_counting};
	map["ring"] = {"message", same, run_ring};
	map["big"] = {"message", [](uint64_t n) { return n / 128 * 128; }, run_big};
	map["fork-join-create"] = {"actor", same, run_create};
	map["idle"] = {"actor", same, run_idle};
	map["fork-join"] = {"message", [](uint64_t n) { return n / 60 * 60; }, run_fork_join};
}
