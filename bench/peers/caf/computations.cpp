// SPDX-License-Identifier: MIT
// Workloads that compute.
#include "jobs.hpp"

using namespace caf;

namespace {

using given_atom = atom_constant<atom("given")>;
using end_atom = atom_constant<atom("end")>;

struct fib_state {
	uint64_t sum = 0;
	int missing = 2;
};

behavior fib(stateful_actor<fib_state> *self, actor parent, uint64_t n)
{
	if (n <= 2) {
		self->send(parent, uint64_t(1));
		self->quit();
		return {};
	}
	self->spawn(fib, actor{self}, n - 1);
	self->spawn(fib, actor{self}, n - 2);
	return {[=](uint64_t value) {
		self->state.sum += value;
		if (--self->state.missing == 0) {
			self->send(parent, self->state.sum);
			self->quit();
		}
	}};
}

uint64_t fibonacci(uint64_t n)
{
	uint64_t a = 0, b = 1;
	for (; n > 0; n--) {
		uint64_t next = a + b;
		a = b, b = next;
	}
	return a;
}

check run_fib(actor_system &system, uint64_t n, std::vector<actor> &)
{
	scoped_actor self{system};
	system.spawn(fib, actor_cast<actor>(self), n);
	return same(wait_value(self), fibonacci(n));
}

template <class Job> struct worker_state {
	std::unique_ptr<Job> job;
};

template <class Job> behavior worker(stateful_actor<worker_state<Job>> *self, actor dealer, Job job)
{
	self->state.job = std::make_unique<Job>(job);
	return {[=](const typename Job::item &item) {
		auto give = [&](const typename Job::item &part) { self->send(dealer, given_atom::value, part); };
		self->send(dealer, done_atom::value, self->state.job->work(item, give));
	}};
}

struct dealer_state {
	std::vector<actor> workers;
	uint64_t missing = 0, dealt = 0, sum = 0;
};

template <class Item> behavior dealer(stateful_actor<dealer_state> *self, actor main)
{
	return {[=](std::vector<actor> &workers) { self->state.workers = std::move(workers); },
		[=](given_atom, const Item &item) {
			auto &state = self->state;
			state.missing++;
			self->send(state.workers[state.dealt++ % 20], item);
		},
		[=](done_atom, uint64_t value) {
			auto &state = self->state;
			state.sum += value;
			if (--state.missing == 0)
				self->send(main, state.sum);
		}};
}

template <class Job>
uint64_t deal(actor_system &system, std::vector<actor> &all, const Job &job, const typename Job::item &first)
{
	scoped_actor self{system};
	auto master = system.spawn(dealer<typename Job::item>, actor_cast<actor>(self));
	for (int i = 0; i < 20; i++)
		all.push_back(system.spawn(worker<Job>, master, job));
	self->send(master, all);
	self->send(master, given_atom::value, first);
	all.push_back(master);
	return wait_value(self);
}

check run_queens(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	static const uint64_t known[] = {1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712};
	return same(deal(system, all, queens{(1u << n) - 1}, board{}), known[n]);
}

check run_matmul(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	static matrices kept{n};
	deal(system, all, product{&kept}, block{0, 0, uint32_t(n)});
	return [] { return kept.right(); };
}

check run_astar(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	return same(deal(system, all, search{n}, node{0}), n * n * n);
}

behavior filter(stateful_actor<filter_state> *self, actor main)
{
	return {[=](uint32_t candidate) {
			auto &state = self->state;
			if (!state.pass(candidate))
				return;
			if (!state.next)
				state.next = self->spawn(filter, main);
			self->send(state.next, candidate);
		},
		[=](end_atom, uint64_t before) {
			auto &state = self->state;
			if (state.next)
				self->send(state.next, end_atom::value, before + state.primes.size());
			else
				self->send(main, before + state.primes.size());
			self->quit();
		}};
}

struct candidates_state {
	uint32_t next = 3;
};

behavior candidates(stateful_actor<candidates_state> *self, actor first, uint64_t end)
{
	self->send(self, more_atom::value);
	return {[=](more_atom) {
		auto &next = self->state.next;
		for (uint64_t i = 0; i < burst && next < end; i++, next += 2)
			self->send(first, next);
		if (next < end)
			self->send(self, more_atom::value);
		else
			self->send(first, end_atom::value, uint64_t(1)); // 2 is one
	}};
}

check run_sieve(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	auto first = system.spawn(filter, actor_cast<actor>(self));
	all.push_back(system.spawn(candidates, first, n));
	uint64_t primes = wait_value(self);
	return [=] {
		uint64_t expected = 0;
		for (uint64_t i = 2, k; i < n; i++) {
			for (k = 2; k * k <= i && i % k != 0; k++)
				;
			expected += k * k > i;
		}
		return primes == expected;
	};
}

struct sorter_state {
	uint64_t missing;
	std::vector<uint32_t> kept;
};

behavior sorter(stateful_actor<sorter_state> *self, actor next, uint32_t bit, uint64_t n)
{
	self->state.missing = n;
	self->state.kept.reserve(n);
	return {[=](uint32_t number) {
		auto &state = self->state;
		if (number >> bit & 1)
			state.kept.push_back(number);
		else
			self->send(next, number);
		if (--state.missing == 0)
			for (uint32_t kept : state.kept)
				self->send(next, kept);
	}};
}

struct sink_state {
	uint64_t seen = 0, sum = 0;
	uint32_t last = 0;
	bool sorted = true;
};

behavior sink(stateful_actor<sink_state> *self, actor main, uint64_t n)
{
	return {[=](uint32_t number) {
		auto &state = self->state;
		state.sorted = state.sorted && number >= state.last;
		state.last = number;
		state.sum += number;
		if (++state.seen == n)
			self->send(main, state.sorted ? state.sum : 0);
	}};
}

struct source_state {
	uint64_t left;
	uint32_t seed = 1;
};

behavior source(stateful_actor<source_state> *self, actor first, uint64_t n)
{
	self->state.left = n;
	self->send(self, more_atom::value);
	return {[=](more_atom) {
		auto &state = self->state;
		for (uint64_t i = 0; i < burst && state.left > 0; i++, state.left--)
			self->send(first, draw30(state.seed));
		if (state.left > 0)
			self->send(self, more_atom::value);
	}};
}

check run_radix(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	all.push_back(system.spawn(sink, actor_cast<actor>(self), n));
	for (uint32_t bit = 30; bit-- > 0;)
		all.push_back(system.spawn(sorter, all.back(), bit, n));
	all.push_back(system.spawn(source, all.back(), n));
	uint64_t sum = wait_value(self);
	return [=] {
		uint64_t expected = 0;
		for (int64_t number : numbers(n))
			expected += uint64_t(number);
		return sum == expected;
	};
}

using array = std::vector<int64_t>;

struct quick_state {
	int missing = 2;
	array equal, sides[2];
};

// A list comes alone to be sorted, and with its side from a child when it is.
behavior quick(stateful_actor<quick_state> *self, actor parent, int side)
{
	auto hand_up = [=](array &&sorted) {
		self->send(parent, side, std::move(sorted));
		self->quit();
	};
	return {[=](array &items) {
			if (items.size() < 2048) {
				std::sort(items.begin(), items.end());
				hand_up(std::move(items));
				return;
			}
			int64_t pivot = items[items.size() / 2];
			array less, more;
			less.reserve(items.size() / 2), more.reserve(items.size() / 2);
			for (int64_t item : items)
				(item < pivot ? less : item > pivot ? more : self->state.equal).push_back(item);
			self->send(self->spawn(quick, actor{self}, 0), std::move(less));
			self->send(self->spawn(quick, actor{self}, 1), std::move(more));
		},
		[=](int from, array &items) {
			auto &state = self->state;
			state.sides[from] = std::move(items);
			if (--state.missing > 0)
				return;
			array whole;
			whole.reserve(state.sides[0].size() + state.equal.size() + state.sides[1].size());
			for (array *part : {&state.sides[0], &state.equal, &state.sides[1]})
				whole.insert(whole.end(), part->begin(), part->end());
			hand_up(std::move(whole));
		}};
}

check run_quicksort(actor_system &system, uint64_t n, std::vector<actor> &)
{
	scoped_actor self{system};
	self->send(system.spawn(quick, actor_cast<actor>(self), 0), numbers(n));
	array sorted;
	self->receive([&](int, array &items) { sorted = std::move(items); });
	return [n, sorted = std::move(sorted)] {
		array expected = numbers(n);
		std::sort(expected.begin(), expected.end());
		return sorted == expected;
	};
}

behavior integrator(event_based_actor *self, actor main)
{
	return {[=](double left, double width, uint64_t pieces) { self->send(main, integrate(left, width, pieces)); }};
}

check run_trapezoid(actor_system &system, uint64_t n, std::vector<actor> &all)
{
	scoped_actor self{system};
	uint64_t pieces = n / 100;
	double width = 4.0 / double(pieces * 100), area = 0;
	for (uint64_t i = 0; i < 100; i++) {
		all.push_back(system.spawn(integrator, actor_cast<actor>(self)));
		self->send(all.back(), 1 + double(i * pieces) * width, width, pieces);
	}
	for (int i = 0; i < 100; i++)
		self->receive([&](double part) { area += part; });
	return [=] { return std::abs(area - integrate(1, width, pieces * 100)) < 1e-9; };
}

} // namespace

void add_computations(workload_map &map)
{
	auto run = [](uint64_t) { return uint64_t(1); };
	map["fib"] = {"actor", [](uint64_t n) { return 2 * fibonacci(n) - 1; }, run_fib};
	map["nqueens"] = {"run", run, run_queens};
	map["sieve"] = {"run", run, run_sieve};
	map["radix-sort"] = {"message", [](uint64_t n) { return 31 * n; }, run_radix};
	map["quicksort"] = {"run", run, run_quicksort};
	map["trapezoid"] = {"run", run, run_trapezoid};
	map["matmul"] = {"run", run, run_matmul};
	map["astar"] = {"run", run, run_astar};
}
