/* SPDX-License-Identifier: MIT */
#include <posta/circuit_breaker.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct scene {
	uint64_t now;
	unsigned changes, calls;
	enum posta_circuit last;
	enum posta_err answer;
	struct posta_circuit_breaker *breaker;
};

static uint64_t now(void *context)
{
	return ((struct scene *)context)->now;
}

static void on_change(void *context, enum posta_circuit from, enum posta_circuit to)
{
	struct scene *scene = context;
	assert_int_equal(from, scene->last);
	scene->last = to;
	scene->changes++;
}

static enum posta_err call(void *argument)
{
	struct scene *scene = argument;
	scene->calls++;
	return scene->answer;
}

static bool only_io(enum posta_err error)
{
	return error == POSTA_EIO;
}

static void begin_with(struct scene *scene, bool (*counts)(enum posta_err), uint64_t timeout_ms)
{
	struct posta_circuit_breaker_options options = {
		.timeout_ms = timeout_ms,
		.counts = counts,
		.on_change = on_change,
		.context = scene,
		.now_ms = now,
		.now_context = scene,
	};
	*scene = (struct scene){ .now = 1000, .answer = POSTA_EIO };
	scene->breaker = posta_circuit_breaker_new(&options);
	assert_non_null(scene->breaker);
}

static void begin(struct scene *scene, bool (*counts)(enum posta_err))
{
	begin_with(scene, counts, 0);
}

static void fail_times(struct scene *scene, unsigned times)
{
	while (times--)
		assert_int_equal(posta_circuit_breaker_call(scene->breaker, call, scene), POSTA_EIO);
}

static void five_failures__open_for_a_minute(void **state)
{
	(void)state;
	struct scene scene;
	uint64_t ticket, wait;
	begin(&scene, NULL);
	fail_times(&scene, 4);
	assert_int_equal(scene.changes, 0);
	fail_times(&scene, 1);
	assert_int_equal(scene.last, POSTA_CIRCUIT_OPEN);
	scene.now += 59999;
	assert_int_equal(posta_circuit_breaker_acquire(scene.breaker, &ticket, &wait), POSTA_EBLOCKED);
	assert_int_equal(wait, 1);
	assert_int_equal(posta_circuit_breaker_call(scene.breaker, call, &scene), POSTA_EBLOCKED);
	assert_int_equal(scene.calls, 5);
	posta_circuit_breaker_free(scene.breaker);
}

static void success_between__starts_the_count_again(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, NULL);
	fail_times(&scene, 4);
	scene.answer = POSTA_OK;
	posta_circuit_breaker_call(scene.breaker, call, &scene);
	scene.answer = POSTA_EIO;
	fail_times(&scene, 4);
	assert_int_equal(scene.last, POSTA_CIRCUIT_CLOSED);
	posta_circuit_breaker_free(scene.breaker);
}

static void half_open__lets_one_probe_through(void **state)
{
	(void)state;
	struct scene scene;
	uint64_t probe, other;
	begin(&scene, NULL);
	fail_times(&scene, 5);
	scene.now += 60000;
	assert_int_equal(posta_circuit_breaker_acquire(scene.breaker, &probe, NULL), POSTA_OK);
	assert_int_equal(scene.last, POSTA_CIRCUIT_HALF_OPEN);
	assert_int_equal(posta_circuit_breaker_acquire(scene.breaker, &other, NULL), POSTA_EBLOCKED);
	posta_circuit_breaker_report(scene.breaker, probe, POSTA_OK);
	assert_int_equal(scene.last, POSTA_CIRCUIT_CLOSED);
	posta_circuit_breaker_free(scene.breaker);
}

static void probe__fails__opens_again(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, NULL);
	fail_times(&scene, 5);
	scene.now += 60000;
	fail_times(&scene, 1);
	assert_int_equal(scene.last, POSTA_CIRCUIT_OPEN);
	assert_int_equal(posta_circuit_breaker_call(scene.breaker, call, &scene), POSTA_EBLOCKED);
	struct posta_circuit_metrics metrics;
	posta_circuit_breaker_metrics(scene.breaker, &metrics);
	assert_int_equal(metrics.opened, 2);
	assert_int_equal(metrics.calls, 6);
	assert_int_equal(metrics.failed, 6);
	assert_int_equal(metrics.refused, 1);
	posta_circuit_breaker_free(scene.breaker);
}

static void probe__never_reported__another_one_after_the_timeout(void **state)
{
	(void)state;
	struct scene scene;
	uint64_t lost, ticket;
	begin(&scene, NULL);
	fail_times(&scene, 5);
	scene.now += 60000;
	assert_int_equal(posta_circuit_breaker_acquire(scene.breaker, &lost, NULL), POSTA_OK);
	scene.now += 60000;
	assert_int_equal(posta_circuit_breaker_acquire(scene.breaker, &ticket, NULL), POSTA_OK);
	posta_circuit_breaker_report(scene.breaker, lost, POSTA_EIO);
	assert_int_equal(scene.last, POSTA_CIRCUIT_HALF_OPEN);
	posta_circuit_breaker_free(scene.breaker);
}

static void late_report__says_nothing_about_now(void **state)
{
	(void)state;
	struct scene scene;
	uint64_t early;
	begin(&scene, NULL);
	assert_int_equal(posta_circuit_breaker_acquire(scene.breaker, &early, NULL), POSTA_OK);
	fail_times(&scene, 5);
	posta_circuit_breaker_report(scene.breaker, early, POSTA_OK);
	assert_int_equal(scene.last, POSTA_CIRCUIT_OPEN);
	posta_circuit_breaker_free(scene.breaker);
}

static void uncounted_errors__do_not_open(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, only_io);
	scene.answer = POSTA_EINVAL;
	for (int i = 0; i < 10; i++)
		assert_int_equal(posta_circuit_breaker_call(scene.breaker, call, &scene), POSTA_EINVAL);
	assert_int_equal(scene.changes, 0);
	assert_string_equal(posta_circuit_name(POSTA_CIRCUIT_HALF_OPEN), "half-open");
	posta_circuit_breaker_free(scene.breaker);
}

static void endless_timeout__never_probes(void **state)
{
	(void)state;
	struct scene scene;
	begin_with(&scene, NULL, UINT64_MAX);
	fail_times(&scene, 5);
	scene.now = UINT64_MAX - 1;
	assert_int_equal(posta_circuit_breaker_call(scene.breaker, call, &scene), POSTA_EBLOCKED);
	assert_int_equal(scene.last, POSTA_CIRCUIT_OPEN);
	posta_circuit_breaker_free(scene.breaker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(five_failures__open_for_a_minute),
		cmocka_unit_test(success_between__starts_the_count_again),
		cmocka_unit_test(half_open__lets_one_probe_through),
		cmocka_unit_test(probe__fails__opens_again),
		cmocka_unit_test(probe__never_reported__another_one_after_the_timeout),
		cmocka_unit_test(late_report__says_nothing_about_now),
		cmocka_unit_test(uncounted_errors__do_not_open),
		cmocka_unit_test(endless_timeout__never_probes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
