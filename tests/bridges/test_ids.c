/* SPDX-License-Identifier: MIT */
/* The set of delivery ids beside one that is only a table of flags. */
#include "bridges/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define IDS 3000u
#define STEPS 200000u

static bool there[IDS];
static uint64_t state;

static uint32_t next(uint32_t below)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % below;
}

/* Far apart and close together: what the set hashes. */
static uint64_t id_of(uint32_t index)
{
	return index % 2 ? index : (uint64_t)index << 33;
}

static uint32_t count_there(void)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < IDS; i++)
		count += there[i];
	return count;
}

static bool third(uint64_t id, void *context)
{
	(void)context;
	return id % 3 == 0;
}

static void forget_thirds(struct posta__ids *ids)
{
	uint32_t expected = 0;
	for (uint32_t i = 0; i < IDS; i++) {
		bool goes = there[i] && third(id_of(i), NULL);
		expected += goes;
		there[i] &= !goes;
	}
	assert_int_equal(posta__ids_remove_if(ids, third, NULL), expected);
}

static void ids__any_order_of_calls__is_as_a_table_of_flags(void **unused)
{
	(void)unused;
	struct posta__ids ids = { 0 };
	state = 7;
	memset(there, 0, sizeof there);
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t i = next(IDS);
		if (there[i] || step % 3 == 2) {
			assert_int_equal(posta__ids_remove(&ids, id_of(i)), there[i]);
			there[i] = false;
		} else {
			assert_true(posta__ids_add(&ids, id_of(i)));
			there[i] = true;
		}
		if (step % 5000 == 4999)
			forget_thirds(&ids);
		if (step % 1000 == 999)
			assert_int_equal(ids.count, count_there());
	}
	for (uint32_t i = 0; i < IDS; i++)
		assert_int_equal(posta__ids_remove(&ids, id_of(i)), there[i]);
	assert_int_equal(ids.count, 0);
	free(ids.slots);
}

static void ids__cleared__are_none(void **unused)
{
	(void)unused;
	struct posta__ids ids = { 0 };
	posta__ids_clear(&ids);
	assert_false(posta__ids_remove(&ids, 5));
	assert_true(posta__ids_add(&ids, 5) && posta__ids_add(&ids, 69));
	posta__ids_clear(&ids);
	assert_false(posta__ids_remove(&ids, 5));
	assert_int_equal(posta__ids_remove_if(&ids, third, NULL), 0);
	free(ids.slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids__any_order_of_calls__is_as_a_table_of_flags),
		cmocka_unit_test(ids__cleared__are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
