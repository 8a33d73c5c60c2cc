/* SPDX-License-Identifier: MIT */
#include "legs.h"

#include <stdio.h>
#include <stdlib.h>

static void six_legs__real_brokers__ids_and_order_arrive(void **state)
{
	/* By itself Mosquitto drops what is more than 1,000 messages behind. */
	static const struct kit_broker_options deep = { .config = "max_queued_messages 0\n" };
	static struct legs legs;
	struct kit_broker *brokers[KIT_KIND_COUNT];
	brokers[KIT_MOSQUITTO] = kit_broker_start(KIT_MOSQUITTO, &deep);
	brokers[KIT_KAFKA] = kit_broker_shared(KIT_KAFKA);
	brokers[KIT_RABBITMQ] = kit_broker_shared(KIT_RABBITMQ);
	legs_begin(&legs, brokers, false);
	legs_flow(&legs, LEGS * MESSAGES, 240000);
	char *json = legs_end(&legs);
	legs_check(&legs);
	for (int i = 0; i < LEGS; i++) {
		char name[16];
		snprintf(name, sizeof name, "leg-%d", i);
		assert_true(legs_figure(json, "routes", name, "sent") >= MESSAGES);
		assert_int_equal(legs_figure(json, "routes", name, "dead_lettered"), 0);
		assert_int_equal(legs_figure(json, "routes", name, "in_flight"), 0);
	}
	free(json);
	legs_free(&legs);
	kit_broker_stop(brokers[KIT_MOSQUITTO]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(six_legs__real_brokers__ids_and_order_arrive) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
