/* SPDX-License-Identifier: MIT */
#include "legs.h"

#include <stdio.h>
#include <stdlib.h>

/* Each broker in turn is killed in mid-flow and comes back; one posta process lives through it all. */
static void broker_killed__each_in_turn__nothing_is_lost(void **state)
{
	static const struct kit_broker_options options[KIT_KIND_COUNT] = {
		[KIT_KAFKA] = { .partitions = 4 },
		[KIT_MOSQUITTO] = { .persistent = true, .config = "max_queued_messages 0\n" },
	};
	static struct legs legs;
	struct kit_broker *brokers[KIT_KIND_COUNT];
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		brokers[i] = kit_broker_begin((enum kit_kind)i, &options[i]);
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		kit_broker_wait(brokers[i]);
	legs_begin(&legs, brokers, true);
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		legs_flow(&legs, (unsigned)(i + 1) * LEGS * MESSAGES / 5, 240000);
		legs_kill(&legs, (enum kit_kind)i);
	}
	legs_flow(&legs, LEGS * MESSAGES, 240000);
	char *json = legs_end(&legs);
	legs_check(&legs);
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		long restarts = legs_figure(json, "bridges", legs_broker_names[i], "restarts");
		print_message("restarts of the connection to %s: %ld\n", legs_broker_names[i], restarts);
		assert_true(restarts >= 1);
	}
	free(json);
	legs_free(&legs);
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		kit_broker_stop(brokers[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(broker_killed__each_in_turn__nothing_is_lost) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
