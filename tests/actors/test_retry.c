/* SPDX-License-Identifier: MIT */
#include "../runtime/kit.h"

#include <posta/retry.h>

struct scene {
	struct posta_system *system;
	enum posta_err answers[8];
	uint32_t attempts, ended;
	enum posta_err result;
	uint32_t told;
	uint64_t at_ms[8];
};

static enum posta_err attempt(struct posta_actor *self, posta_ref retry, uint32_t number, void *context)
{
	struct scene *scene = context;
	(void)retry;
	assert_int_equal(number, scene->attempts + 1);
	scene->at_ms[scene->attempts] = posta_now_ns(self) / 1000000;
	return scene->answers[scene->attempts++];
}

static void on_done(void *context, enum posta_err result, uint32_t attempts)
{
	struct scene *scene = context;
	scene->ended++;
	scene->result = result;
	scene->told = attempts;
}

static posta_ref begin(struct scene *scene, const struct posta_retry_options *options)
{
	struct posta_error error;
	scene->system = kit_system(NULL);
	posta_ref retry = posta_system_retry_start(scene->system, options, attempt, on_done, scene, &error);
	assert_true(retry != POSTA_NOBODY);
	kit_settle(scene->system);
	return retry;
}

static void three_attempts__wait_1000_then_2000_ms(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EIO, POSTA_EIO, POSTA_ECONNECTION } };
	begin(&scene, NULL);
	posta_system_advance(scene.system, 999);
	assert_int_equal(scene.attempts, 1);
	posta_system_advance(scene.system, 1);
	assert_int_equal(scene.attempts, 2);
	posta_system_advance(scene.system, 1999);
	assert_int_equal(scene.attempts, 2);
	assert_int_equal(scene.ended, 0);
	posta_system_advance(scene.system, 1);
	assert_int_equal(scene.attempts, 3);
	assert_int_equal(scene.ended, 1);
	assert_int_equal(scene.result, POSTA_ECONNECTION);
	assert_int_equal(scene.told, 3);
	kit_stop(scene.system);
	assert_int_equal(scene.ended, 1);
}

static void success__ends_at_once(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EIO, POSTA_OK } };
	begin(&scene, NULL);
	posta_system_advance(scene.system, 10000);
	assert_int_equal(scene.attempts, 2);
	assert_int_equal(scene.ended, 1);
	assert_int_equal(scene.result, POSTA_OK);
	kit_stop(scene.system);
}

static void not_retriable__ends_at_once(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EAUTH } };
	begin(&scene, &(struct posta_retry_options){ .attempts = 5, .retriable = posta_err_retriable });
	posta_system_advance(scene.system, 100000);
	assert_int_equal(scene.attempts, 1);
	assert_int_equal(scene.result, POSTA_EAUTH);
	kit_stop(scene.system);
}

static void waits__grow_up_to_the_cap(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EIO, POSTA_EIO, POSTA_EIO, POSTA_EIO, POSTA_OK } };
	begin(&scene, &(struct posta_retry_options){ .attempts = 5,
						     .backoff = { .initial_ms = 10, .factor = 3, .max_ms = 50 } });
	posta_system_advance(scene.system, 1000);
	assert_int_equal(scene.attempts, 5);
	assert_int_equal(scene.at_ms[1] - scene.at_ms[0], 10);
	assert_int_equal(scene.at_ms[2] - scene.at_ms[1], 30);
	assert_int_equal(scene.at_ms[3] - scene.at_ms[2], 50);
	assert_int_equal(scene.at_ms[4] - scene.at_ms[3], 50);
	kit_stop(scene.system);
}

static void pending__its_result_counts_once(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EPENDING, POSTA_EPENDING } };
	posta_ref retry = begin(&scene, &(struct posta_retry_options){ .backoff.initial_ms = 1 });
	posta_retry_result(scene.system, retry, 1, POSTA_EIO);
	posta_retry_result(scene.system, retry, 1, POSTA_OK); /* again: ignored */
	kit_settle(scene.system);
	posta_system_advance(scene.system, 1);
	assert_int_equal(scene.attempts, 2);
	posta_retry_result(scene.system, retry, 1, POSTA_OK); /* of another attempt: ignored */
	kit_settle(scene.system);
	assert_int_equal(scene.ended, 0);
	posta_retry_result(scene.system, retry, 2, POSTA_OK);
	kit_settle(scene.system);
	assert_int_equal(scene.ended, 1);
	assert_int_equal(scene.result, POSTA_OK);
	kit_stop(scene.system);
}

static void pending__too_long__fails_and_goes_on(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EPENDING, POSTA_EPENDING } };
	begin(&scene,
	      &(struct posta_retry_options){ .attempts = 2, .backoff.initial_ms = 10, .attempt_timeout_ms = 100 });
	posta_system_advance(scene.system, 110);
	assert_int_equal(scene.attempts, 2);
	posta_system_advance(scene.system, 100);
	assert_int_equal(scene.result, POSTA_ETIMEDOUT);
	assert_int_equal(scene.ended, 1);
	kit_stop(scene.system);
}

static void pending__failed__its_timer_is_gone(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EPENDING } };
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_ref retry = begin(&scene, &(struct posta_retry_options){ .attempt_timeout_ms = 100000 });
	posta_retry_result(scene.system, retry, 1, POSTA_EIO);
	kit_settle(scene.system);
	posta_system_metrics(scene.system, &metrics);
	assert_int_equal(metrics.timers, 1); /* that of the back-off alone */
	kit_stop(scene.system);
}

static void cancel__ends_it_while_it_waits(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EIO } };
	posta_ref retry = begin(&scene, NULL);
	posta_retry_cancel(scene.system, retry);
	posta_retry_cancel(scene.system, retry);
	kit_settle(scene.system);
	assert_int_equal(scene.result, POSTA_ECANCELED);
	posta_system_advance(scene.system, 10000);
	assert_int_equal(scene.attempts, 1);
	assert_int_equal(scene.ended, 1);
	kit_stop(scene.system);
}

static void system_stops__its_end_is_told(void **state)
{
	(void)state;
	struct scene scene = { .answers = { POSTA_EPENDING } };
	begin(&scene, NULL);
	kit_stop(scene.system);
	assert_int_equal(scene.ended, 1);
	assert_int_equal(scene.result, POSTA_ECANCELED);
}

static void no_function__is_refused(void **state)
{
	(void)state;
	struct posta_error error;
	struct posta_system *system = kit_system(NULL);
	assert_true(posta_system_retry_start(system, NULL, NULL, NULL, NULL, &error) == POSTA_NOBODY);
	assert_int_equal(error.code, POSTA_EINVAL);
	kit_stop(system);
}

static enum posta_err owner_start(struct posta_actor *self, void *state, void *argument)
{
	struct posta_error error;
	(void)state;
	return posta_deadline_start(self, 250, attempt, on_done, argument, &error) ? POSTA_OK : error.code;
}

static enum posta_err owner_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_OK;
}

static void deadline__passes__and_its_timer_is_gone(void **state)
{
	(void)state;
	static const struct posta_actor_class owner = { .start = owner_start, .receive = owner_receive };
	struct scene scene = { .answers = { POSTA_EPENDING }, .system = kit_system(NULL) };
	struct posta_error error;
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_spawn(scene.system, &owner, &scene, NULL, &error);
	kit_settle(scene.system);
	posta_system_advance(scene.system, 249);
	assert_int_equal(scene.ended, 0);
	posta_system_advance(scene.system, 1);
	assert_int_equal(scene.result, POSTA_ETIMEDOUT);
	posta_system_metrics(scene.system, &metrics);
	assert_int_equal(metrics.timers, 0);
	kit_stop(scene.system);
}

static enum posta_err starter_start(struct posta_actor *self, void *state, void *argument)
{
	struct posta_error error;
	(void)state;
	assert_true(posta_retry_start(self, NULL, NULL, NULL, NULL, &error) == POSTA_NOBODY);
	assert_int_equal(error.code, POSTA_EINVAL);
	return posta_retry_start(self, NULL, attempt, on_done, argument, &error) ? POSTA_OK : error.code;
}

static void owner__ends__its_retry_ends_with_it(void **state)
{
	(void)state;
	static const struct posta_actor_class starter = { .start = starter_start, .receive = owner_receive };
	struct scene scene = { .answers = { POSTA_EIO, POSTA_EIO, POSTA_EIO }, .system = kit_system(NULL) };
	struct posta_error error;
	posta_ref owner = posta_system_spawn(scene.system, &starter, &scene, NULL, &error);
	kit_settle(scene.system);
	posta_system_advance(scene.system, 1000);
	assert_int_equal(scene.attempts, 2);
	posta_system_stop_actor(scene.system, owner, POSTA_ESHUTDOWN);
	kit_settle(scene.system);
	assert_int_equal(scene.ended, 1);
	assert_int_equal(scene.result, POSTA_ECANCELED);
	posta_system_advance(scene.system, 10000);
	assert_int_equal(scene.attempts, 2);
	kit_stop(scene.system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_attempts__wait_1000_then_2000_ms),
		cmocka_unit_test(success__ends_at_once),
		cmocka_unit_test(not_retriable__ends_at_once),
		cmocka_unit_test(waits__grow_up_to_the_cap),
		cmocka_unit_test(pending__its_result_counts_once),
		cmocka_unit_test(pending__too_long__fails_and_goes_on),
		cmocka_unit_test(pending__failed__its_timer_is_gone),
		cmocka_unit_test(cancel__ends_it_while_it_waits),
		cmocka_unit_test(system_stops__its_end_is_told),
		cmocka_unit_test(no_function__is_refused),
		cmocka_unit_test(deadline__passes__and_its_timer_is_gone),
		cmocka_unit_test(owner__ends__its_retry_ends_with_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
