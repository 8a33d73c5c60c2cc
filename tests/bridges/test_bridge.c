/* SPDX-License-Identifier: MIT */
/* What the common part does whatever the broker: here one that is registered by the test and only connects. */
#include <posta/bridge_ops.h>

#include <pthread.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open__several_workers__each_in_turn),
		cmocka_unit_test(open__worker_named__lives_there),
		cmocka_unit_test(register__scheme_taken_or_op_missing__says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
