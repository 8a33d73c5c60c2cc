/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <string.h>

enum { ARM = 10, ARM_EVERY, CANCEL, TICK };

struct holder {
	posta_timer timer;
	uint64_t delay_ms;
	bool canceled;
	unsigned ticks;
	uint64_t at_ns[64];
};

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct holder *holder = state;
	switch (message->type) {
	case ARM:
		holder->timer = posta_send_after(self, holder->delay_ms, posta_self(self), TICK, NULL, 0);
		break;
	case ARM_EVERY:
		holder->timer = posta_send_every(self, holder->delay_ms, posta_self(self), TICK, NULL, 0);
		break;
	case CANCEL:
		holder->canceled = posta_cancel(self, holder->timer);
		break;
	default:
		holder->at_ns[holder->ticks++ % 64] = posta_now_ns(self);
	}
	return POSTA_OK;
}

static const struct posta_actor_class klass = { .name = "holder", .receive = receive };

static posta_ref spawn(struct posta_system *system, struct holder *holder)
{
	return posta_system_spawn(system, &klass, holder, NULL, NULL);
}

static void after__fires_once_and_not_early(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct holder holder = { .delay_ms = 50 };
	kit_send(system, spawn(system, &holder), ARM);
	posta_system_advance(system, 49);
	assert_int_equal(holder.ticks, 0);
	posta_system_advance(system, 1);
	assert_int_equal(holder.ticks, 1);
	posta_system_advance(system, 1000);
	assert_int_equal(holder.ticks, 1);
	kit_stop(system);
}

static void every__keeps_its_raster(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct holder holder = { .delay_ms = 10 };
	kit_send(system, spawn(system, &holder), ARM_EVERY);
	posta_system_advance(system, 105);
	assert_int_equal(holder.ticks, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(holder.at_ns[i], (i + 1) * 10000000u);
	kit_stop(system);
}

static void cancel__before_due__never_fires(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct holder holder = { .delay_ms = 10 };
	posta_ref ref = spawn(system, &holder);
	kit_send(system, ref, ARM);
	posta_system_advance(system, 9);
	kit_send(system, ref, CANCEL);
	posta_system_advance(system, 100);
	assert_true(holder.canceled);
	assert_int_equal(holder.ticks, 0);
	kit_stop(system);
}

static void cancel__after_it_fired__says_so(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct holder holder = { .delay_ms = 10, .canceled = true };
	posta_ref ref = spawn(system, &holder);
	kit_send(system, ref, ARM);
	posta_system_advance(system, 10);
	kit_send(system, ref, CANCEL);
	kit_settle(system);
	assert_false(holder.canceled);
	assert_int_equal(holder.ticks, 1);
	kit_stop(system);
}

static void owner_ends__its_timers_end(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct holder holder = { .delay_ms = 10 };
	posta_ref ref = spawn(system, &holder);
	for (int i = 0; i < 100; i++)
		kit_send(system, ref, i % 2 ? ARM : ARM_EVERY);
	kit_settle(system);
	posta_system_stop_actor(system, ref, POSTA_OK);
	posta_system_advance(system, 100);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	assert_int_equal(metrics.timers, 0);
	assert_int_equal(letters.count[POSTA_DEAD_NO_ACTOR], 0);
	kit_stop(system);
}

/* What the end of one costs must not grow with what others have armed: then this takes minutes. */
static enum posta_err armed_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	for (uint64_t i = 0; i < 2; i++)
		if (!posta_send_after(self, 1000000 + i, posta_self(self), TICK, NULL, 0))
			return POSTA_ENOMEM;
	return POSTA_OK;
}

static void owner_ends__beside_many_others__in_no_time(void **state)
{
	(void)state;
	static const struct posta_actor_class armed = { .name = "armed", .receive = receive, .start = armed_start };
	struct posta_system *system = kit_system(NULL);
	for (int i = 0; i < 100000; i++)
		posta_system_spawn(system, &armed, NULL, NULL, NULL);
	kit_settle(system);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	assert_int_equal(metrics.timers, 200000);
	kit_stop(system); /* all of them: it looks at the time that takes */
}

/* One of several is cancelled, or fires, at either end or in the midst: the others are still its owner's. */
struct several {
	posta_timer timers[5];
	unsigned ticks[5];
};

static enum posta_err several_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct several *several = state;
	if (message->type == CANCEL) {
		uint32_t which;
		memcpy(&which, posta_data(message), sizeof which);
		return posta_cancel(self, several->timers[which]) ? POSTA_OK : POSTA_EINTERNAL;
	}
	if (message->type >= TICK) {
		several->ticks[message->type - TICK]++;
		return POSTA_OK;
	}
	for (uint32_t i = 0; i < 5; i++)
		several->timers[i] = posta_send_after(self, i == 3 ? 1 : 10, posta_self(self), TICK + i, NULL, 0);
	return POSTA_OK;
}

static void cancel__one_of_several__others_stay(void **state)
{
	(void)state;
	static const struct posta_actor_class klass_of_several = { .name = "several", .receive = several_receive };
	for (uint32_t first = 0; first < 5; first++)
		for (uint32_t second = 0; second < 5; second++) {
			struct posta_system *system = kit_system(NULL);
			struct several several = { .ticks = { 0 } };
			posta_ref ref = posta_system_spawn(system, &klass_of_several, &several, NULL, NULL);
			kit_send(system, ref, ARM);
			posta_system_advance(system, second == 3 ? 1 : 0); /* the one that fires of itself */
			for (int i = 0; i < 2; i++) {
				uint32_t which = i ? second : first;
				if (which == 3 || (i && first == second))
					continue;
				posta_system_send(system, ref, CANCEL, &which, sizeof which);
			}
			posta_system_advance(system, 5);
			struct posta_metrics metrics = { .size = sizeof metrics };
			posta_system_metrics(system, &metrics);
			assert_int_equal(several.ticks[3], 1);
			unsigned gone = 1 + (first != 3) + (second != 3 && second != first);
			assert_int_equal(metrics.timers, 5 - gone);
			posta_system_stop_actor(system, ref, POSTA_OK);
			posta_system_advance(system, 100);
			posta_system_metrics(system, &metrics);
			assert_int_equal(metrics.timers, 0);
			kit_stop(system);
		}
}

/* Many timers in no order: they fire by time, and those of one moment in the order in which they were armed. */
struct many {
	uint32_t count;
	uint64_t last_ns;
	uint32_t last_number;
	bool ordered;
};

static enum posta_err many_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct many *many = state;
	if (message->type == ARM) {
		for (uint32_t i = 0; i < 5000; i++)
			posta_send_after(self, (i * 7919u) % 97u, posta_self(self), TICK, &i, sizeof i);
		return POSTA_OK;
	}
	uint32_t number;
	memcpy(&number, posta_data(message), sizeof number);
	uint64_t now = posta_now_ns(self);
	many->ordered &=
		now > many->last_ns || (now == many->last_ns && (many->count == 0 || number > many->last_number));
	many->ordered &= now == (number * 7919u) % 97u * UINT64_C(1000000);
	many->last_ns = now;
	many->last_number = number;
	many->count++;
	return POSTA_OK;
}

static const struct posta_actor_class many_class = { .name = "many", .receive = many_receive };

static void many__fire_in_order(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct many many = { .ordered = true };
	kit_send(system, posta_system_spawn(system, &many_class, &many, NULL, NULL), ARM);
	posta_system_advance(system, 100);
	assert_int_equal(many.count, 5000);
	assert_true(many.ordered);
	kit_stop(system);
}

static bool ticked(void *context)
{
	return ((struct holder *)context)->ticks >= 3;
}

static void real_clock__sleeping_worker_wakes_for_its_timer(void **state)
{
	(void)state;
	struct posta_system_options options = { .workers = POSTA_HOST_DRIVEN };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	struct holder holder = { .delay_ms = 2 };
	kit_send(system, spawn(system, &holder), ARM_EVERY);
	assert_true(posta_system_run_until(system, ticked, &holder, 10000));
	kit_stop(system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after__fires_once_and_not_early),
		cmocka_unit_test(every__keeps_its_raster),
		cmocka_unit_test(cancel__before_due__never_fires),
		cmocka_unit_test(cancel__after_it_fired__says_so),
		cmocka_unit_test(owner_ends__its_timers_end),
		cmocka_unit_test(owner_ends__beside_many_others__in_no_time),
		cmocka_unit_test(cancel__one_of_several__others_stay),
		cmocka_unit_test(many__fire_in_order),
		cmocka_unit_test(real_clock__sleeping_worker_wakes_for_its_timer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
