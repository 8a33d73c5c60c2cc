/* SPDX-License-Identifier: MIT */
/*
 * The common part of all bridges on a virtual clock, with a broker's file that the test plays: tries, positions, lag.
 */
#include <posta/bridge_ops.h>
#include <posta/system.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

struct play {
	struct posta_system *system;
	struct posta_bridge *bridge;
	uint32_t subscription;
	/* What connect() does: fails with this, or is up. */
	enum posta_err fails;
	unsigned tries;
	uint32_t attempt; /* of the last one */
	struct posta_position position, sought;
	unsigned seeks, subscribes;
	unsigned states;
	bool was_permanent;
};

static struct play play;

static enum posta_err connect_(struct posta_bridge *bridge, void *state, struct posta_error *error)
{
	(void)state, (void)error;
	play.tries++;
	play.attempt = posta_bridge_attempt(bridge);
	if (play.fails)
		posta_bridge_down(bridge, play.fails, "refused by the test");
	else
		posta_bridge_up(bridge);
	return POSTA_OK;
}

static size_t publish(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch, size_t n)
{
	(void)bridge, (void)state, (void)batch;
	return n;
}

static void subscribe(struct posta_bridge *bridge, void *state, uint32_t subscription,
		      const struct posta_source *source)
{
	(void)state;
	play.subscribes++;
	play.position = source->position;
	posta_bridge_subscribed(bridge, subscription, POSTA_OK, NULL);
	posta_bridge_lag(bridge, subscription, 40);
}

static void seek(struct posta_bridge *bridge, void *state, uint32_t subscription, struct posta_position position)
{
	(void)bridge, (void)state, (void)subscription;
	play.seeks++;
	play.sought = position;
}

static void unsubscribe(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge, (void)state, (void)subscription;
}

static void settle(struct posta_bridge *bridge, void *state, uint32_t subscription, const uint64_t *ids, size_t n,
		   enum posta_outcome outcome)
{
	(void)bridge, (void)state, (void)subscription, (void)ids, (void)n, (void)outcome;
}

static void finish(struct posta_bridge *bridge, void *state)
{
	(void)state;
	posta_bridge_ended(bridge);
}

static void close_(struct posta_bridge *bridge, void *state)
{
	(void)bridge, (void)state;
}

static const char *const schemes[] = { "played", NULL };
static const struct posta_bridge_ops ops = {
	.name = "played",
	.schemes = schemes,
	.connect = connect_,
	.publish = publish,
	.subscribe = subscribe,
	.unsubscribe = unsubscribe,
	.settle = settle,
	.pause = unsubscribe,
	.resume = unsubscribe,
	.seek = seek,
	.finish = finish,
	.close = close_,
};

static const struct posta_source source = { .size = sizeof source,
					    .topic = "log",
					    .position = { POSTA_START_OFFSET, 7 } };

static enum posta_err user_start(struct posta_actor *self, void *state, void *argument)
{
	struct posta_error error;
	(void)state, (void)argument;
	posta_bridge_watch(self, play.bridge);
	return posta_bridge_subscribe(self, play.bridge, &source, &play.subscription, &error);
}

/* Messages of the test to the user: type is a start, the data where. */
static enum posta_err user_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	if (message->type == POSTA_MSG_BRIDGE_STATE) {
		const struct posta_bridge_status *status = posta_data(message);
		play.states++;
		play.was_permanent |= status->state == POSTA_BRIDGE_DOWN && status->permanent;
	} else if (message->type < 16) {
		struct posta_position position = { .start = (enum posta_start)message->type };
		memcpy(&position.at, posta_data(message), sizeof position.at);
		assert_int_equal(posta_bridge_seek(self, play.bridge, play.subscription, position), POSTA_OK);
	}
	return POSTA_OK;
}

static posta_ref begin(enum posta_err fails)
{
	static const struct posta_actor_class user = { .name = "user", .start = user_start, .receive = user_receive };
	const struct posta_system_options options = {
		.size = sizeof options, .workers = POSTA_HOST_DRIVEN, .virtual_clock = true, .seed = 5
	};
	const struct posta_bridge_options quick = { .size = sizeof quick,
						    .permanent_retry_ms = 20000,
						    .backoff = { .initial_ms = 100, .max_ms = 1000, .factor = 2 } };
	struct posta_error error = { 0 };
	play = (struct play){ .fails = fails };
	assert_int_equal(posta_system_start(&options, &play.system, &error), POSTA_OK);
	assert_int_equal(posta_bridge_register(play.system, &ops, &error), POSTA_OK);
	play.bridge = posta_bridge_open(play.system, "played://x", &quick, &error);
	assert_non_null(play.bridge);
	posta_ref ref = posta_system_spawn(play.system, &user, NULL, NULL, &error);
	posta_system_advance(play.system, 1);
	return ref;
}

static void end(void)
{
	posta_bridge_close(play.bridge, 10);
	posta_system_advance(play.system, 100);
	assert_int_equal(posta_system_stop(play.system, 1000, NULL), POSTA_OK);
}

static struct posta_bridge_status status(void)
{
	struct posta_bridge_status now = { .size = sizeof now };
	posta_bridge_status(play.bridge, &now);
	return now;
}

static void connect__passing_error__tried_by_the_backoff(void **state)
{
	(void)state;
	begin(POSTA_ECONNECTION);
	posta_system_advance(play.system, 20000);
	assert_in_range(play.tries, 15, 60);
	assert_int_equal(play.attempt, play.tries - 1);
	assert_false(status().permanent);
	assert_false(play.was_permanent);
	end();
}

static void connect__bad_credentials__tried_slowly_and_said_to_watchers(void **state)
{
	(void)state;
	begin(POSTA_EAUTH);
	posta_system_advance(play.system, 19000);
	assert_int_equal(play.tries, 1);
	assert_int_equal(status().state, POSTA_BRIDGE_DOWN);
	assert_true(status().permanent);
	assert_true(play.was_permanent);
	posta_system_advance(play.system, 45000);
	assert_in_range(play.tries, 3, 4);
	play.fails = POSTA_OK;
	posta_system_advance(play.system, 25000);
	assert_int_equal(status().state, POSTA_BRIDGE_CONNECTED);
	assert_false(status().permanent);
	end();
}

static void close__between_slow_tries__ends(void **state)
{
	(void)state;
	begin(POSTA_EREFUSED);
	posta_system_advance(play.system, 5000);
	posta_bridge_close(play.bridge, 10);
	play.bridge = NULL;
	posta_system_advance(play.system, 100);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(play.system, &metrics);
	assert_int_equal(play.tries, 1);
	end();
}

static void position__of_a_source__only_in_the_first_connection(void **state)
{
	(void)state;
	posta_ref user = begin(POSTA_OK);
	assert_int_equal(play.subscribes, 1);
	assert_int_equal(play.position.start, POSTA_START_OFFSET);
	assert_int_equal(play.position.at, 7);
	/* While it is connected: at once. */
	int64_t at = 99;
	posta_system_send(play.system, user, POSTA_START_TIME, &at, sizeof at);
	posta_system_advance(play.system, 1);
	assert_int_equal(play.seeks, 1);
	assert_int_equal(play.sought.start, POSTA_START_TIME);
	assert_int_equal(play.sought.at, 99);
	end();
}

static void seek__while_down__is_what_the_next_connection_begins_with(void **state)
{
	(void)state;
	posta_ref user = begin(POSTA_ECONNECTION);
	int64_t at = 5;
	posta_system_send(play.system, user, POSTA_START_OFFSET, &at, sizeof at);
	posta_system_advance(play.system, 1);
	play.fails = POSTA_OK;
	posta_system_advance(play.system, 3000);
	assert_int_equal(play.seeks, 0);
	assert_int_equal(play.subscribes, 1);
	assert_int_equal(play.position.at, 5);
	end();
}

static void lag__of_all_subscriptions__is_in_the_status(void **state)
{
	(void)state;
	begin(POSTA_ECONNECTION);
	assert_int_equal(status().lag, -1);
	play.fails = POSTA_OK;
	posta_system_advance(play.system, 3000);
	assert_int_equal(status().lag, 40);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect__passing_error__tried_by_the_backoff),
		cmocka_unit_test(connect__bad_credentials__tried_slowly_and_said_to_watchers),
		cmocka_unit_test(close__between_slow_tries__ends),
		cmocka_unit_test(position__of_a_source__only_in_the_first_connection),
		cmocka_unit_test(seek__while_down__is_what_the_next_connection_begins_with),
		cmocka_unit_test(lag__of_all_subscriptions__is_in_the_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
