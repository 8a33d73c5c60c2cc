/* SPDX-License-Identifier: MIT */
/* What the common part does whatever the broker: here one that is registered by the test and only connects. */
#include <posta/bridge_ops.h>

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BRIDGES 6

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[BRIDGES];
	unsigned count;
};

static struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static enum posta_err connect_(struct posta_bridge *bridge, void *state, struct posta_error *error)
{
	(void)state, (void)error;
	pthread_mutex_lock(&seen.lock);
	if (seen.count < BRIDGES)
		seen.threads[seen.count++] = pthread_self();
	pthread_cond_signal(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
	posta_bridge_up(bridge);
	return POSTA_OK;
}

static size_t publish(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch, size_t n)
{
	(void)state;
	for (size_t i = 0; i < n; i++)
		posta_bridge_confirm(bridge, batch[i]->id, POSTA_OK, NULL);
	return n;
}

static void subscribe(struct posta_bridge *bridge, void *state, uint32_t subscription,
		      const struct posta_source *source)
{
	(void)state, (void)source;
	posta_bridge_subscribed(bridge, subscription, POSTA_OK, NULL);
}

static void one(struct posta_bridge *bridge, void *state, uint32_t subscription)
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

static const char *const schemes[] = { "test", NULL };

static const struct posta_bridge_ops ops = {
	.name = "test",
	.schemes = schemes,
	.state_size = 1,
	.connect = connect_,
	.publish = publish,
	.subscribe = subscribe,
	.unsubscribe = one,
	.settle = settle,
	.pause = one,
	.resume = one,
	.finish = finish,
	.close = close_,
};

static struct posta_system *system_of(int workers)
{
	struct posta_system_options options = { .size = sizeof options, .workers = workers };
	struct posta_system *system;
	struct posta_error error;
	seen.count = 0;
	assert_int_equal(posta_system_start(&options, &system, &error), POSTA_OK);
	assert_int_equal(posta_bridge_register(system, &ops, &error), POSTA_OK);
	return system;
}

static void open_all(struct posta_system *system, const struct posta_bridge_options *options,
		     struct posta_bridge *bridges[BRIDGES])
{
	struct posta_error error;
	for (int i = 0; i < BRIDGES; i++) {
		bridges[i] = posta_bridge_open(system, "test:", options, &error);
		assert_non_null(bridges[i]);
	}
	pthread_mutex_lock(&seen.lock);
	while (seen.count < BRIDGES)
		pthread_cond_wait(&seen.changed, &seen.lock);
	pthread_mutex_unlock(&seen.lock);
}

static void close_all(struct posta_system *system, struct posta_bridge *bridges[BRIDGES])
{
	for (int i = 0; i < BRIDGES; i++)
		posta_bridge_close(bridges[i], 0);
	assert_int_equal(posta_system_stop(system, 5000, NULL), POSTA_OK);
}

/* How many live with the first one that connected. */
static unsigned together(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < BRIDGES; i++)
		count += pthread_equal(seen.threads[i], seen.threads[0]) != 0;
	return count;
}

static void open__several_workers__each_in_turn(void **state)
{
	(void)state;
	struct posta_bridge *bridges[BRIDGES];
	struct posta_system *system = system_of(3);
	open_all(system, NULL, bridges);
	assert_int_equal(together(), BRIDGES / 3);
	close_all(system, bridges);
}

static void open__worker_named__lives_there(void **state)
{
	(void)state;
	struct posta_bridge_options options = { .size = sizeof options, .worker = 2 };
	struct posta_bridge *bridges[BRIDGES];
	struct posta_error error;
	struct posta_system *system = system_of(2);
	open_all(system, &options, bridges);
	assert_int_equal(together(), BRIDGES);
	options.worker = 3;
	assert_null(posta_bridge_open(system, "test:", &options, &error));
	assert_int_equal(error.code, POSTA_EINVAL);
	close_all(system, bridges);
}

static void register__scheme_taken_or_op_missing__says_so(void **state)
{
	(void)state;
	struct posta_error error;
	struct posta_system *system = system_of(1);
	struct posta_bridge_ops other = ops;
	assert_int_equal(posta_bridge_register(system, &ops, &error), POSTA_EEXISTS);
	other.settle = NULL;
	assert_int_equal(posta_bridge_register(system, &other, &error), POSTA_EINVAL);
	assert_non_null(strstr(error.text, "settle"));
	assert_int_equal(posta_system_stop(system, 5000, NULL), POSTA_OK);
}

/* -- Calls instead of messages, between those who live on one worker */

enum { LOOK = 1 };

struct neighbour {
	struct posta_bridge *bridge;
	struct posta_route_target *target;
	struct posta_token tokens[3];
	unsigned count;
	struct posta_bridge_status at_once, behind, later;
	sem_t over;
};

static void subscribe_and_deliver(struct posta_bridge *bridge, void *state, uint32_t subscription,
				  const struct posta_source *source)
{
	subscribe(bridge, state, subscription, source);
	for (uint64_t id = 1; id <= 3; id++)
		posta_bridge_deliver(bridge, subscription, posta_envelope_new(), id, false);
}

static size_t take_none(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch,
			size_t n)
{
	(void)bridge, (void)state, (void)batch, (void)n;
	return 0;
}

static void seek(struct posta_bridge *bridge, void *state, uint32_t subscription, struct posta_position position)
{
	(void)bridge, (void)state, (void)subscription, (void)position;
}

static void publish_one(struct posta_actor *self, const struct neighbour *neighbour)
{
	struct posta_envelope *envelope = posta_envelope_new();
	posta_bridge_publish_to(self, neighbour->bridge, neighbour->target, envelope, 0);
	posta_envelope_unref(envelope);
}

static struct posta_bridge_status status_of(const struct neighbour *neighbour)
{
	struct posta_bridge_status status = { .size = sizeof status };
	posta_bridge_status(neighbour->bridge, &status);
	return status;
}

/* The seek is a message: what is called behind it has to be one, too. */
static void call_all(struct posta_actor *self, struct neighbour *neighbour)
{
	const struct posta_position position = { POSTA_START_OFFSET, 0 };
	posta_settle(self, neighbour->tokens[0], POSTA_ACK);
	publish_one(self, neighbour);
	neighbour->at_once = status_of(neighbour);
	posta_bridge_seek(self, neighbour->bridge, neighbour->tokens[0].subscription, position);
	posta_settle(self, neighbour->tokens[1], POSTA_ACK);
	publish_one(self, neighbour);
	neighbour->behind = status_of(neighbour);
	posta_send(self, posta_self(self), LOOK, NULL, 0);
}

static enum posta_err neighbour_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct neighbour *neighbour = state;
	if (message->type == POSTA_MSG_DELIVERY) {
		const struct posta_delivery *delivery = posta_data(message);
		neighbour->tokens[neighbour->count++] = delivery->token;
		if (neighbour->count == 3)
			call_all(self, neighbour);
	}
	if (message->type == LOOK) {
		neighbour->later = status_of(neighbour);
		sem_post(&neighbour->over);
	}
	return POSTA_OK;
}

static enum posta_err neighbour_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	const struct neighbour *neighbour = state;
	const struct posta_source source = { .size = sizeof source, .topic = "t" };
	struct posta_error error;
	uint32_t subscription;
	return posta_bridge_subscribe(self, neighbour->bridge, &source, &subscription, &error);
}

static void call__from_the_same_worker__is_at_once_and_overtakes_no_message(void **state)
{
	(void)state;
	static const char *const near[] = { "near", NULL };
	const struct posta_actor_class klass = { .name = "neighbour",
						 .start = neighbour_start,
						 .receive = neighbour_receive };
	const struct posta_target target = { .size = sizeof target, .topic = "t" };
	struct posta_system *system = system_of(1);
	struct posta_error error;
	struct posta_bridge_ops own = ops;
	struct neighbour neighbour = { 0 };
	own.schemes = near;
	own.subscribe = subscribe_and_deliver;
	own.publish = take_none;
	own.seek = seek;
	assert_int_equal(posta_bridge_register(system, &own, &error), POSTA_OK);
	sem_init(&neighbour.over, 0, 0);
	neighbour.bridge = posta_bridge_open(system, "near:", NULL, &error);
	assert_non_null(neighbour.bridge);
	neighbour.target = posta_target_prepare(neighbour.bridge, &target, &error);
	assert_true(posta_system_spawn(system, &klass, &neighbour, NULL, &error) != POSTA_NOBODY);
	while (sem_wait(&neighbour.over))
		;
	assert_int_equal(neighbour.at_once.settled, 1);
	assert_int_equal(neighbour.at_once.pending, 1);
	assert_int_equal(neighbour.behind.settled, 1);
	assert_int_equal(neighbour.behind.pending, 1);
	assert_int_equal(neighbour.later.settled, 1);
	assert_int_equal(neighbour.later.stale, 1);
	assert_int_equal(neighbour.later.pending, 2);
	posta_bridge_close(neighbour.bridge, 0);
	assert_int_equal(posta_system_stop(system, 5000, NULL), POSTA_OK);
	posta_target_unref(neighbour.target);
}

/* -- A question, and what its asker publishes next */

static char left[8]; /* what left, in its order: 'q' a question, 'p' a publication */
static uint32_t replies_subscription;

static size_t note_what_leaves(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch,
			       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool asks = *posta_envelope_text(batch[i]->envelope, POSTA_ATTR_REPLY_TO);
		assert_true(strlen(left) + 1 < sizeof left);
		strcat(left, asks ? "q" : "p");
	}
	return publish(bridge, state, batch, n);
}

static void replies_by_themselves(char address[POSTA_REPLY_ADDRESS_SIZE], struct posta_source *source)
{
	(void)address, (void)source;
}

static void replies_on_a_topic(char address[POSTA_REPLY_ADDRESS_SIZE], struct posta_source *source)
{
	source->topic = address;
}

static void subscribe_in_a_while(struct posta_bridge *bridge, void *state, uint32_t subscription,
				 const struct posta_source *source)
{
	(void)state, (void)source;
	replies_subscription = subscription;
	posta_bridge_timer(bridge, 50);
}

static void subscribed_now(struct posta_bridge *bridge, void *state)
{
	(void)state;
	posta_bridge_subscribed(bridge, replies_subscription, POSTA_OK, NULL);
}

static enum posta_err asker_start(struct posta_actor *self, void *state, void *argument)
{
	struct posta_bridge *bridge = argument;
	const struct posta_target target = { .size = sizeof target, .topic = "t" };
	struct posta_envelope *envelope = posta_envelope_new();
	(void)state;
	assert_int_equal(posta_bridge_ask(self, bridge, &target, envelope, 1000, 1), POSTA_OK);
	assert_int_equal(posta_bridge_publish(self, bridge, &target, envelope, 2), POSTA_OK);
	assert_int_equal(posta_bridge_ask(self, bridge, &target, envelope, 1000, 3), POSTA_OK);
	posta_envelope_unref(envelope);
	return POSTA_OK;
}

static enum posta_err asker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_OK;
}

/* Its asker lives where the bridge does, and so may call it. Returns: what left. */
static const char *ask_and_publish(const struct posta_bridge_ops *own)
{
	static const struct posta_actor_class klass = {
		.name = "asker", .state_size = 8, .start = asker_start, .receive = asker_receive
	};
	const struct posta_system_options options = { .workers = POSTA_HOST_DRIVEN, .virtual_clock = true };
	struct posta_system *system;
	struct posta_error error;
	left[0] = '\0';
	assert_int_equal(posta_system_start(&options, &system, &error), POSTA_OK);
	assert_int_equal(posta_bridge_register(system, own, &error), POSTA_OK);
	struct posta_bridge *bridge = posta_bridge_open(system, "test:", NULL, &error);
	assert_non_null(bridge);
	posta_system_advance(system, 1);
	assert_true(posta_system_spawn(system, &klass, bridge, NULL, &error) != POSTA_NOBODY);
	posta_system_advance(system, 500);
	posta_bridge_close(bridge, 0);
	posta_system_advance(system, 500);
	assert_int_equal(posta_system_stop(system, 5000, NULL), POSTA_OK);
	return left;
}

static void ask__then_publish__leave_in_that_order(void **state)
{
	(void)state;
	struct posta_bridge_ops own = ops;
	own.capabilities = POSTA_CAN_ASK;
	own.publish = note_what_leaves;
	own.replies = replies_by_themselves;
	assert_string_equal(ask_and_publish(&own), "qpq");
}

/* A subscription to replies that is slow, or refused, holds up no publications. */
static void ask__its_reply_would_not_be_heard_yet__publications_do_not_wait(void **state)
{
	(void)state;
	struct posta_bridge_ops own = ops;
	own.capabilities = POSTA_CAN_ASK;
	own.publish = note_what_leaves;
	own.replies = replies_on_a_topic;
	own.subscribe = subscribe_in_a_while;
	own.timer = subscribed_now;
	assert_string_equal(ask_and_publish(&own), "pqq");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open__several_workers__each_in_turn),
		cmocka_unit_test(open__worker_named__lives_there),
		cmocka_unit_test(register__scheme_taken_or_op_missing__says_so),
		cmocka_unit_test(call__from_the_same_worker__is_at_once_and_overtakes_no_message),
		cmocka_unit_test(ask__then_publish__leave_in_that_order),
		cmocka_unit_test(ask__its_reply_would_not_be_heard_yet__publications_do_not_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
