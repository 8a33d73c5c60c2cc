// SPDX-License-Identifier: MIT
// Workloads of actors that keep others waiting.
#include "contract.hpp"

#include <cmath>
#include <deque>

using namespace caf;

namespace {

using produce_atom = atom_constant<atom("produce")>;
using item_atom = atom_constant<atom("item")>;
using ready_atom = atom_constant<atom("ready")>;

template <class T> T pop(std::deque<T> &queue)
{
	T first = std::move(queue.front());
	queue.pop_front();
	return first;
}

struct producer_state {
	uint64_t left;
	uint32_t item;
};

behavior producer(stateful_actor<producer_state> *self, actor manager, uint64_t share, uint32_t index)
{
	self->state = {share, index};
	return {[=](produce_atom) {
		auto &state = self->state;
		if (state.left-- == 0) {
			self->send(manager, done_atom::value);
			return;
		}
		state.item = work(state.item, 25);
		self->send(manager, item_atom::value, state.item);
	}};
}

struct consumer_state {
	uint32_t used = 0;
};

behavior consumer(stateful_actor<consumer_state> *self, actor manager)
{
	return {[=](item_atom, uint32_t item) {
		self->state.used += work(item, 25);
		self->send(manager, ready_atom::value);
	}};
}

struct manager_state {
	std::deque<uint32_t> pending;
	std::deque<actor> consumers, producers;
	uint32_t finished = 0, sum = 0;
};

behavior manager(stateful_actor<manager_state> *self, actor main)
{
	auto end = [=] {
		if (self->state.finished == 40 && self->state.consumers.size() == 40)
			self->send(main, uint64_t(self->state.sum));
	};
	return {[=](const std::vector<actor> &all) {
			self->state.consumers.assign(all.begin(), all.begin() + 40);
			for (size_t i = 40; i < all.size(); i++)
				self->send(all[i], produce_atom::value);
		},
		[=](item_atom, uint32_t item) {
			auto &state = self->state;
			state.sum += item;
			if (state.consumers.empty())
				state.pending.push_back(item);
			else
				self->send(pop(state.consumers), item_atom::value, item);
			if (state.pending.size() >= 10)
				state.producers.push_back(sender_of(self));
			else
				self->send(sender_of(self), produce_atom::value);
		},
		[=](ready_atom) {
			auto &state = self->state;
			if (state.pending.empty()) {
				state.consumers.push_back(sender_of(self));
				end();
				return;
			}
			self->send(sender_of(self), item_atom::value, pop(state.pending));
			if (!state.producers.empty())
				self->send(pop(state.producers), produce_atom::value);
		},
		[=](done_atom) {
			self->state.finished++;
			end();
		}};
}

check run_buffer(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	auto buffer = system.spawn(manager, actor_cast<actor>(self));
	for (int i = 0; i < 40; i++)
		all.push_back(system.spawn(consumer, buffer));
	for (uint32_t i = 1; i <= 40; i++)
		all.push_back(system.spawn(producer, buffer, n / 40, i));
	self->send(buffer, all);
	all.push_back(buffer);
	uint32_t sum = uint32_t(wait_value(self));
	return [=] {
		uint32_t expected = 0;
		for (uint32_t i = 1; i <= 40; i++) {
			uint32_t item = i;
			for (uint64_t k = 0; k < n / 40; k++)
				expected += item = work(item, 25);
		}
		return sum == expected;
	};
}

using enter_atom = atom_constant<atom("enter")>;
using full_atom = atom_constant<atom("full")>;
using wait_atom = atom_constant<atom("wait")>;
using start_atom = atom_constant<atom("start")>;
using returned_atom = atom_constant<atom("returned")>;

behavior customer(event_based_actor *self, actor factory)
{
	return {[=](full_atom) { self->send(factory, returned_atom::value); },
		[=](wait_atom) {},
		[=](start_atom) {},
		[=](done_atom) {
			self->send(factory, done_atom::value);
			self->quit();
		}};
}

struct room_state {
	std::deque<actor> seats;
	bool busy = false;
};

behavior room(stateful_actor<room_state> *self, actor barber)
{
	return {[=](enter_atom, const actor &customer) {
			auto &state = self->state;
			if (!state.busy) {
				state.busy = true;
				self->send(barber, enter_atom::value, customer);
			} else if (state.seats.size() == 1000) {
				self->send(customer, full_atom::value);
			} else {
				state.seats.push_back(customer);
				self->send(customer, wait_atom::value);
			}
		},
		[=](more_atom) {
			auto &state = self->state;
			state.busy = !state.seats.empty();
			if (state.busy)
				self->send(barber, enter_atom::value, pop(state.seats));
		}};
}

struct worker_state {
	uint32_t seed = 0;
	uint64_t left = 0, served = 0;
};

behavior barber(stateful_actor<worker_state> *self)
{
	return {[=](enter_atom, const actor &customer) {
		self->send(customer, start_atom::value);
		self->state.seed = work(self->state.seed, 50);
		self->send(customer, done_atom::value);
		self->send(sender_of(self), more_atom::value);
	}};
}

behavior factory(stateful_actor<worker_state> *self, actor room, actor main, uint64_t n)
{
	self->state.left = n;
	self->send(self, more_atom::value);
	return {[=](more_atom) {
			auto &state = self->state;
			state.seed = work(state.seed, 50);
			self->send(room, enter_atom::value, self->spawn(customer, actor{self}));
			if (--state.left > 0)
				self->send(self, more_atom::value);
		},
		[=](returned_atom) { self->send(room, enter_atom::value, sender_of(self)); },
		[=](done_atom) {
			if (++self->state.served == n)
				self->send(main, self->state.served);
		}};
}

check run_barber(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(barber));
	all.push_back(system.spawn(room, all[0]));
	all.push_back(system.spawn(factory, all[1], actor_cast<actor>(self), n));
	return same(wait_value(self), n);
}

using next_atom2 = atom_constant<atom("next")>;
using term_atom = atom_constant<atom("term")>;
using last_atom = atom_constant<atom("last")>;

double rate(size_t index)
{
	return 3.46 + 0.0025 * double(index);
}

double first_term(size_t index)
{
	return 0.1 + 0.01 * double(index);
}

behavior computer(event_based_actor *self, double rate)
{
	return {[=](double x) { self->send(sender_of(self), term_atom::value, rate * x * (1 - x)); }};
}

struct series_state {
	double term;
	uint64_t wanted = 0;
	bool asked = false;
};

behavior series(stateful_actor<series_state> *self, actor computer, actor main, double first)
{
	self->state.term = first;
	auto go_on = [=] {
		if (self->state.wanted > 0)
			self->send(computer, self->state.term);
		else if (self->state.asked)
			self->send(main, self->state.term);
	};
	return {[=](next_atom2) {
			if (++self->state.wanted == 1)
				go_on();
		},
		[=](term_atom, double term) {
			self->state.term = term;
			self->state.wanted--;
			go_on();
		},
		[=](last_atom) {
			self->state.asked = true;
			if (self->state.wanted == 0)
				go_on();
		}};
}

check run_logistic(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	for (size_t i = 0; i < 10; i++)
		all.push_back(system.spawn(computer, rate(i)));
	for (size_t i = 0; i < 10; i++)
		all.push_back(system.spawn(series, all[i], actor_cast<actor>(self), first_term(i)));
	for (uint64_t k = 0; k < n / 10; k++)
		for (size_t i = 10; i < 20; i++)
			self->send(all[i], next_atom2::value);
	for (size_t i = 10; i < 20; i++)
		self->send(all[i], last_atom::value);
	double sum = 0;
	for (size_t i = 0; i < 10; i++)
		self->receive([&](double term) { sum += term; });
	return [=] {
		double expected = 0;
		for (size_t i = 0; i < 10; i++) {
			double x = first_term(i);
			for (uint64_t k = 0; k < n / 10; k++)
				x = rate(i) * x * (1 - x);
			expected += x;
		}
		return std::abs(sum - expected) < 1e-9;
	};
}

using deposit_atom = atom_constant<atom("deposit")>;
using close_atom2 = atom_constant<atom("shut")>;
using balance_atom = atom_constant<atom("balance")>;

struct account_state {
	std::shared_ptr<std::vector<actor>> all;
	int64_t balance = 0;
	bool waiting = false;
	std::deque<std::pair<uint32_t, int64_t>> kept;
};

behavior account(stateful_actor<account_state> *self, actor teller, std::shared_ptr<std::vector<actor>> all)
{
	self->state.all = all;
	auto begin = [=](uint32_t to, int64_t amount) {
		auto &state = self->state;
		state.waiting = true;
		state.balance -= amount;
		self->send((*state.all)[to], deposit_atom::value, amount);
	};
	return {[=](uint32_t to, int64_t amount) {
			if (self->state.waiting)
				self->state.kept.emplace_back(to, amount);
			else
				begin(to, amount);
		},
		[=](deposit_atom, int64_t amount) {
			self->state.balance += amount;
			self->send(sender_of(self), ready_atom::value);
		},
		[=](ready_atom) {
			auto &state = self->state;
			self->send(teller, done_atom::value);
			state.waiting = false;
			if (!state.kept.empty()) {
				auto next = pop(state.kept);
				begin(next.first, next.second);
			}
		},
		[=](close_atom2) { self->send(teller, balance_atom::value, self->state.balance); }};
}

struct teller_state {
	uint64_t missing;
	size_t open = 1000;
	int64_t total = 0;
};

behavior teller(stateful_actor<teller_state> *self, std::shared_ptr<std::vector<actor>> all, actor main, uint64_t n)
{
	self->state.missing = n;
	return {[=](more_atom) {
			uint32_t seed = 1;
			for (uint64_t i = 0; i < n; i++) {
				uint32_t from = draw16(seed) % 999, to = from + 1 + draw16(seed) % (999 - from);
				self->send((*all)[from], to, int64_t(draw16(seed) % 1000));
			}
		},
		[=](done_atom) {
			if (--self->state.missing == 0)
				for (auto &account : *all)
					self->send(account, close_atom2::value);
		},
		[=](balance_atom, int64_t balance) {
			auto &state = self->state;
			state.total += balance;
			if (--state.open == 0)
				self->send(main, uint64_t(state.total));
		}};
}

check run_bank(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	auto accounts = std::make_shared<std::vector<actor>>();
	auto clerk = system.spawn(teller, accounts, actor_cast<actor>(self), n);
	for (int i = 0; i < 1000; i++)
		accounts->push_back(system.spawn(account, clerk, accounts));
	self->send(clerk, more_atom::value);
	uint64_t total = wait_value(self);
	all = *accounts;
	all.push_back(clerk);
	return [=] {
		accounts->clear(); // they know each other by it
		return total == 0;
	};
}

} // namespace

void add_accounts(workload_map &map)
{
	map["bounded-buffer"] = {"message", [](uint64_t n) { return n / 40 * 160; }, run_buffer};
	map["sleeping-barber"] = {"customer", [](uint64_t n) { return n; }, run_barber};
	map["logistic-map"] = {"message", [](uint64_t n) { return n / 10 * 30; }, run_logistic};
	map["bank"] = {"message", [](uint64_t n) { return 4 * n; }, run_bank};
}
