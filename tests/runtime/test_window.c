/* SPDX-License-Identifier: MIT */
/* The window of restarts: it slides, its ring grows in the midst and goes round, and it is the model's twin. */
#include "kit.h"

#include "runtime/supervisor.h"

#include <string.h>

#define PERIOD_MS 100
#define MS UINT64_C(1000000)
#define TIMES_MAX 4096

/* The same without a ring: all times that were admitted. */
struct twin {
	uint64_t times[TIMES_MAX];
	unsigned count;
};

static bool twin_admit(struct twin *twin, uint32_t intensity, uint64_t now)
{
	unsigned within = 0;
	for (unsigned i = 0; i < twin->count; i++)
		within += twin->times[i] + PERIOD_MS * MS >= now;
	if (within >= intensity)
		return false;
	twin->times[twin->count++] = now;
	return true;
}

static void admit__at_random_times__is_as_without_a_ring(void **state)
{
	(void)state;
	static const uint32_t intensities[] = { 1, 2, 7, 8, 9, 20, 40 };
	struct posta_system *system = kit_system(NULL);
	for (size_t i = 0; i < sizeof intensities / sizeof *intensities; i++) {
		struct posta__window window = { 0 };
		struct twin twin = { .count = 0 };
		uint64_t now = 5 * MS, random = 7;
		for (int step = 0; step < 2000; step++) {
			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			now += step % 500 < 100 ? random % MS : random % (20 * MS);
			assert_int_equal(posta__window_admit(system, &window, intensities[i], PERIOD_MS, now),
					 twin_admit(&twin, intensities[i], now));
		}
		posta__window_free(system, &window);
		assert_null(window.times);
		assert_int_equal(window.room, 0);
	}
	kit_stop(system);
}

static void admit__at_the_very_end_of_the_period__still_counts(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct posta__window window = { 0 };
	assert_true(posta__window_admit(system, &window, 1, PERIOD_MS, MS));
	assert_false(posta__window_admit(system, &window, 1, PERIOD_MS, MS + PERIOD_MS * MS));
	assert_true(posta__window_admit(system, &window, 1, PERIOD_MS, MS + PERIOD_MS * MS + 1));
	posta__window_free(system, &window);
	kit_stop(system);
}

/* The ring grows when it has gone round: none of its times is lost, or out of order. */
static void admit__grows_when_it_has_gone_round__slides_as_before(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct posta__window window = { 0 };
	uint64_t start = 1000 * MS;
	for (uint64_t i = 0; i < 8; i++)
		assert_true(posta__window_admit(system, &window, 12, PERIOD_MS, start + 10 * i * MS));
	uint64_t round = start + 35 * MS + PERIOD_MS * MS; /* four are over */
	for (uint64_t i = 0; i < 8; i++)
		assert_true(posta__window_admit(system, &window, 12, PERIOD_MS, round + i));
	assert_int_equal(window.room, 16);
	assert_false(posta__window_admit(system, &window, 12, PERIOD_MS, round + 8));
	for (uint64_t i = 4; i < 8; i++) { /* the others, one by one */
		uint64_t over = start + 10 * i * MS + PERIOD_MS * MS;
		assert_false(posta__window_admit(system, &window, 12, PERIOD_MS, over));
		assert_true(posta__window_admit(system, &window, 12, PERIOD_MS, over + 1));
	}
	posta__window_free(system, &window);
	kit_stop(system);
}

/* What cannot be noted cannot be counted. */
static void admit__no_memory__is_refused(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct posta__window window = { 0 };
	kit_heap(system)->empty = true;
	assert_false(posta__window_admit(system, &window, 9, PERIOD_MS, MS));
	kit_heap(system)->empty = false;
	for (uint64_t i = 0; i < 8; i++)
		assert_true(posta__window_admit(system, &window, 9, PERIOD_MS, MS + i));
	kit_heap(system)->empty = true;
	assert_false(posta__window_admit(system, &window, 9, PERIOD_MS, MS + 8));
	kit_heap(system)->empty = false;
	assert_true(posta__window_admit(system, &window, 9, PERIOD_MS, MS + 9));
	posta__window_free(system, &window);
	kit_stop(system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(admit__at_random_times__is_as_without_a_ring),
		cmocka_unit_test(admit__at_the_very_end_of_the_period__still_counts),
		cmocka_unit_test(admit__grows_when_it_has_gone_round__slides_as_before),
		cmocka_unit_test(admit__no_memory__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
