/* SPDX-License-Identifier: MIT */
/* Which offset may be committed, whatever the order of settlement. */
#include "bridges/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t add(struct posta__kafka_offsets *offsets, int64_t offset)
{
	struct posta_envelope *envelope = posta_envelope_new();
	uint64_t sequence = UINT64_MAX;

	assert_non_null(envelope);
	assert_int_equal(posta__kafka_offsets_add(offsets, offset, envelope, &sequence), POSTA_OK);
	posta_envelope_unref(envelope);
	return sequence;
}

static void settle__in_order__moves_one_by_one(void **state)
{
	struct posta__kafka_offsets offsets = { .settled = -1 };

	(void)state;
	for (int i = 0; i < 3; i++)
		add(&offsets, 10 + i);
	for (uint64_t i = 0; i < 3; i++) {
		assert_true(posta__kafka_offsets_settle(&offsets, i));
		assert_int_equal(offsets.settled, 10 + (int64_t)i);
		assert_true(offsets.dirty);
	}
	assert_int_equal(offsets.count, 0);
	posta__kafka_offsets_fini(&offsets);
}

static void settle__out_of_order__waits_for_the_oldest(void **state)
{
	struct posta__kafka_offsets offsets = { .settled = -1 };
	uint64_t first = add(&offsets, 5), second = add(&offsets, 9), third = add(&offsets, 12);

	(void)state;
	assert_true(posta__kafka_offsets_settle(&offsets, third));
	assert_true(posta__kafka_offsets_settle(&offsets, second));
	assert_int_equal(offsets.settled, -1);
	assert_false(offsets.dirty);
	assert_true(posta__kafka_offsets_settle(&offsets, first));
	assert_int_equal(offsets.settled, 12);
	posta__kafka_offsets_fini(&offsets);
}

static void settle__twice_or_unknown__is_refused(void **state)
{
	struct posta__kafka_offsets offsets = { .settled = -1 };
	uint64_t first = add(&offsets, 0), second = add(&offsets, 1);

	(void)state;
	assert_true(posta__kafka_offsets_settle(&offsets, second));
	assert_false(posta__kafka_offsets_settle(&offsets, second));
	assert_false(posta__kafka_offsets_settle(&offsets, 7));
	assert_true(posta__kafka_offsets_settle(&offsets, first));
	assert_false(posta__kafka_offsets_settle(&offsets, first));
	posta__kafka_offsets_fini(&offsets);
}

static void requeue__holds_the_offset_until_settled(void **state)
{
	struct posta__kafka_offsets offsets = { .settled = -1 };
	uint64_t first = add(&offsets, 0), second = add(&offsets, 1);

	(void)state;
	assert_true(posta__kafka_offsets_requeue(&offsets, first));
	assert_int_equal(offsets.waiting, 1);
	assert_false(posta__kafka_offsets_settle(&offsets, first));
	assert_true(posta__kafka_offsets_settle(&offsets, second));
	assert_int_equal(offsets.settled, -1);
	posta__kafka_offsets_find(&offsets, first)->state = POSTA__KAFKA_OPEN;
	assert_true(posta__kafka_offsets_settle(&offsets, first));
	assert_int_equal(offsets.settled, 1);
	posta__kafka_offsets_fini(&offsets);
}

static void window__any_order__matches_a_plain_model(void **state)
{
	enum { N = 3000 };
	static bool settled[N];
	struct posta__kafka_offsets offsets = { .settled = -1 };
	uint64_t random = 1, added = 0;

	(void)state;
	for (int turn = 0; turn < 20 * N; turn++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		if (added < N && (random >> 60) < 6) {
			assert_int_equal(add(&offsets, (int64_t)added * 3), added);
			added++;
		}
		uint64_t pick = added ? (random >> 33) % added : 0;
		if (added)
			assert_int_equal(posta__kafka_offsets_settle(&offsets, pick), !settled[pick]);
		if (added)
			settled[pick] = true;
		int64_t expected = -1;
		for (uint64_t i = offsets.first ? offsets.first - 1 : 0; i < added && settled[i]; i++)
			expected = (int64_t)i * 3;
		assert_int_equal(offsets.settled, expected);
	}
	posta__kafka_offsets_fini(&offsets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settle__in_order__moves_one_by_one),
		cmocka_unit_test(settle__out_of_order__waits_for_the_oldest),
		cmocka_unit_test(settle__twice_or_unknown__is_refused),
		cmocka_unit_test(requeue__holds_the_offset_until_settled),
		cmocka_unit_test(window__any_order__matches_a_plain_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
