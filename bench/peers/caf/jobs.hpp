// SPDX-License-Identifier: MIT
// What workers compute.
#pragma once

#include "contract.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <queue>

// A job is what a master deals to 20 workers: work(item, give) does an item, or gives parts of it back. Returns: what
// the master adds up.

struct board {
	uint32_t columns, left, right, queens;
};

struct queens {
	using item = board;
	uint32_t all;

	uint64_t count(uint32_t columns, uint32_t left, uint32_t right) const
	{
		uint64_t found = 0;
		if (columns == all)
			return 1;
		for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
			uint32_t bit = free & -free;
			found += count(columns | bit, (left | bit) << 1, (right | bit) >> 1);
		}
		return found;
	}

	template <class Give> uint64_t work(const board &b, Give give)
	{
		if (b.queens >= 4)
			return count(b.columns, b.left, b.right);
		for (uint32_t free = all & ~(b.columns | b.left | b.right); free; free &= free - 1) {
			uint32_t bit = free & -free;
			give(board{b.columns | bit, (b.left | bit) << 1, (b.right | bit) >> 1, b.queens + 1});
		}
		return 0;
	}
};

struct block {
	uint32_t row, column, size;
};

// Two matrices and their product, made once and kept from run to run.
struct matrices {
	uint64_t n;
	std::vector<double> a, b, c;

	explicit matrices(uint64_t n) : n(n), a(n * n), b(n * n), c(n * n)
	{
		for (uint64_t i = 0; i < n * n; i++)
			a[i] = double((i / n + i % n) % 7), b[i] = double((i / n * 3 + i % n) % 5);
	}

	void multiply(const block &part)
	{
		for (uint64_t i = part.row; i < part.row + 32; i++) {
			double sums[32] = {}; // in registers
			for (uint64_t k = 0; k < n; k++) {
				const double factor = a[i * n + k], *from = &b[k * n + part.column];
				for (uint32_t j = 0; j < 32; j++)
					sums[j] += factor * from[j];
			}
			std::copy(sums, sums + 32, &c[i * n + part.column]);
		}
	}

	// Every seventh row, by its definition; clears the result for the next run.
	bool right()
	{
		bool right = true;
		for (uint64_t i = 0; i < n; i += 7)
			for (uint64_t j = 0; j < n; j++) {
				double expected = 0;
				for (uint64_t k = 0; k < n; k++)
					expected += a[i * n + k] * b[k * n + j];
				right = right && c[i * n + j] == expected;
			}
		std::fill(c.begin(), c.end(), -1);
		return right;
	}
};

struct product {
	using item = block;
	matrices *all;

	template <class Give> uint64_t work(const block &b, Give give)
	{
		uint32_t half = b.size / 2;
		if (b.size == 32)
			all->multiply(b);
		else
			for (uint32_t i = 0; i < 4; i++)
				give(block{b.row + i / 2 * half, b.column + i % 2 * half, half});
		return 0;
	}
};

struct node {
	uint32_t node;
};

struct search {
	using item = node;
	using open = std::pair<uint32_t, uint32_t>; // distance, node
	uint32_t side;
	std::shared_ptr<std::vector<std::atomic<bool>>> seen;
	std::priority_queue<open, std::vector<open>, std::greater<open>> heap;

	explicit search(uint64_t n)
		: side(uint32_t(n)), seen(std::make_shared<std::vector<std::atomic<bool>>>(n * n * n))
	{
		(*seen)[0] = true;
	}

	void push(uint32_t at)
	{
		heap.emplace(3 * (side - 1) - at % side - at / side % side - at / side / side, at);
	}

	void take(uint32_t at)
	{
		if (!(*seen)[at].exchange(true, std::memory_order_relaxed))
			push(at);
	}

	uint32_t pop()
	{
		uint32_t at = heap.top().second;
		heap.pop();
		return at;
	}

	template <class Give> uint64_t work(const node &first, Give give)
	{
		uint64_t opened = 0;
		push(first.node);
		for (; opened < 1024 && !heap.empty(); opened++) {
			uint32_t at = pop();
			for (uint32_t step : {1u, side, side * side}) {
				uint32_t place = at / step % side;
				if (place > 0)
					take(at - step);
				if (place + 1 < side)
					take(at + step);
			}
		}
		while (!heap.empty())
			give(node{pop()});
		return opened;
	}
};

// What a filter of the sieve holds: up to 1,000 primes.
struct filter_state {
	std::vector<uint32_t> primes;
	caf::actor next;

	// Must the candidate go to the next filter?
	bool pass(uint32_t candidate)
	{
		for (uint32_t prime : primes)
			if (candidate % prime == 0)
				return false;
		if (primes.size() < 1000) {
			primes.push_back(candidate);
			return false;
		}
		return true;
	}
};

inline double f(double x)
{
	return 1 / (x + 1) * std::sqrt(1 + std::exp(std::sqrt(2 * x))) * std::sin(x * x * x - 1);
}

// By trapezoids of a width.
inline double integrate(double left, double width, uint64_t pieces)
{
	double sum = 0;
	for (uint64_t i = 0; i < pieces; i++) {
		double x = left + double(i) * width;
		sum += (f(x) + f(x + width)) / 2 * width;
	}
	return sum;
}

// What is sorted.
inline std::vector<int64_t> numbers(uint64_t n)
{
	uint32_t seed = 1;
	std::vector<int64_t> items(n);
	for (auto &item : items)
		item = draw30(seed);
	return items;
}

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(board)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(block)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(node)
