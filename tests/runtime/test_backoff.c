/* SPDX-License-Identifier: MIT */
#include "kit.h"

static void none__doubles_up_to_the_cap(void **state)
{
	(void)state;
	const struct posta_backoff backoff = { .initial_ms = 100, .max_ms = 1000, .factor = 2 };
	static const uint64_t expected[] = { 100, 200, 400, 800, 1000, 1000 };
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(posta_backoff_delay_ms(&backoff, i, 0, 12345), expected[i]);
	assert_int_equal(posta_backoff_delay_ms(&backoff, UINT32_MAX, 0, 0), 1000);
}

static void initial_zero__restarts_at_once(void **state)
{
	(void)state;
	const struct posta_backoff backoff = { .factor = 10 };
	assert_int_equal(posta_backoff_delay_ms(&backoff, 30, 0, UINT64_MAX), 0);
}

static void jitter__stays_within_its_bounds(void **state)
{
	(void)state;
	uint64_t random = 88172645463325252u;
	for (int i = 0; i < 100000; i++) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		struct posta_backoff backoff = {
			.initial_ms = 50, .max_ms = 700, .factor = 1.5, .jitter = (enum posta_jitter)(i % 4)
		};
		uint32_t attempt = (uint32_t)(i % 20);
		uint64_t previous = (uint64_t)(i % 700),
			 delay = posta_backoff_delay_ms(&backoff, attempt, previous, random);
		struct posta_backoff plain = backoff;
		plain.jitter = POSTA_JITTER_NONE;
		uint64_t full = posta_backoff_delay_ms(&plain, attempt, 0, 0);
		assert_true(delay <= 700);
		if (backoff.jitter == POSTA_JITTER_FULL)
			assert_true(delay <= full);
		if (backoff.jitter == POSTA_JITTER_EQUAL)
			assert_true(delay >= full / 2 && delay <= full);
		if (backoff.jitter == POSTA_JITTER_DECORRELATED)
			assert_true(delay >= 50 && delay <= (previous ? previous * 3 > 50 ? previous * 3 : 50 : 150));
	}
}

static void full_jitter__reaches_both_ends(void **state)
{
	(void)state;
	const struct posta_backoff backoff = { .initial_ms = 3, .max_ms = 3, .jitter = POSTA_JITTER_FULL };
	unsigned seen = 0;
	for (uint64_t random = 0; random < 16; random++)
		seen |= 1u << posta_backoff_delay_ms(&backoff, 0, 0, random);
	assert_int_equal(seen, 0xF);
}

static void factor_of_one__waits_the_same_each_time(void **state)
{
	(void)state;
	const struct posta_backoff backoff = { .initial_ms = 30, .max_ms = 1000, .factor = 1 };
	for (uint32_t attempt = 0; attempt < 5; attempt++)
		assert_int_equal(posta_backoff_delay_ms(&backoff, attempt, 0, 0), 30);
}

/* Uniform up to the cap, not up to three times the last wait and then cut: that would crowd at the cap. */
static void decorrelated_jitter__near_the_cap__is_uniform_up_to_it(void **state)
{
	(void)state;
	const struct posta_backoff backoff = { .initial_ms = 10, .max_ms = 100, .jitter = POSTA_JITTER_DECORRELATED };
	assert_int_equal(posta_backoff_delay_ms(&backoff, 3, 50, 95), 10 + 95 % 91);
	assert_int_equal(posta_backoff_delay_ms(&backoff, 3, 50, 90), 100);
	assert_int_equal(posta_backoff_delay_ms(&backoff, 3, 33, 90), 10); /* up to 99 */
	assert_int_equal(posta_backoff_delay_ms(&backoff, 3, 34, 90), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none__doubles_up_to_the_cap),
		cmocka_unit_test(initial_zero__restarts_at_once),
		cmocka_unit_test(jitter__stays_within_its_bounds),
		cmocka_unit_test(full_jitter__reaches_both_ends),
		cmocka_unit_test(factor_of_one__waits_the_same_each_time),
		cmocka_unit_test(decorrelated_jitter__near_the_cap__is_uniform_up_to_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
