/* SPDX-License-Identifier: MIT */
/*
 * The Kafka bridge against librdkafka's mock cluster, which can be told to answer what a real broker answers once a
 * year. Where publications must survive a connection the test plays the common part: what is not confirmed is offered
 * again.
 */
#include "kafka_scene.h"

#include "bridges/kafka.h"

#include <librdkafka/rdkafka_mock.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PRODUCE 0
#define FETCH 1
#define END_TXN 26

static rd_kafka_t *host;
static rd_kafka_mock_cluster_t *cluster;
static char url[256];

static void topic_with(const char *topic, int partitions)
{
	assert_int_equal(rd_kafka_mock_topic_create(cluster, topic, partitions, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void assert_read_in_order(const char *topic, int count)
{
	struct posta_bridge *core = kafka_connected(url);

	kafka_subscribe(core, 1, topic, NULL);
	core_wait(core, core->delivery_count >= (size_t)count);
	core_run_for(core, .2);
	kafka_assert_numbers(core, 0, 0, count);
	kafka_finish(core);
}

/* -- publishing */

static void produce__passing_errors__sent_again_by_the_library_once_each(void **state)
{
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	topic_with("passing", 1);
	rd_kafka_mock_push_request_errors(cluster, PRODUCE, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
					  RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
	kafka_publish(core, "passing", 0, 50);
	assert_int_equal(core->downs, 0);
	kafka_finish(core);
	assert_read_in_order("passing", 50);
}

static void produce__refused_for_good__that_one_only(void **state)
{
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target target = kafka_to("invalid");

	(void)state;
	topic_with("invalid", 1);
	rd_kafka_mock_push_request_errors(cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
	uint64_t id = core_publish(core, &target, core_text("x", "x"), false);
	core_wait(core, core_confirm_of(core, id));
	assert_int_equal(core_confirm_of(core, id)->result, POSTA_EREFUSED);
	kafka_publish(core, "invalid", 0, 5);
	assert_int_equal(core->downs, 0);
	kafka_finish(core);
	assert_read_in_order("invalid", 5);
}

/*
 * The broker has forgotten the producer's sequence: nothing of it can be written any more. A new producer writes all.
 */
static void produce__fatal_idempotence_error__a_new_producer_sends_all(void **state)
{
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target target = kafka_to("fatal");

	(void)state;
	topic_with("fatal", 1);
	kafka_publish(core, "fatal", 0, 10);
	rd_kafka_test_fatal_error(((struct posta__kafka *)core->state)->producer.client->rk,
				  RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "by the test");
	kafka_send(core, &target, 10, 60, "one partition");
	core_wait(core, core->downs);
	assert_int_equal(core->down_code, POSTA_EPROTOCOL);
	kafka_again(core);
	core_wait(core, core->confirm_count == 60);
	for (size_t i = 0; i < 60; i++)
		assert_int_equal(core->confirms[i].result, POSTA_OK);
	kafka_finish(core);
	assert_read_in_order("fatal", 60);
}

static void produce__broker_goes_down__down_with_words_and_nothing_is_lost(void **state)
{
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target target = kafka_to("gone");

	(void)state;
	topic_with("gone", 1);
	kafka_publish(core, "gone", 0, 10);
	rd_kafka_mock_broker_set_down(cluster, 1);
	kafka_send(core, &target, 10, 20, "one partition");
	core_wait(core, core->downs);
	assert_int_equal(core->down_code, POSTA_ECONNECTION);
	assert_true(core->down_text[0] != '\0');
	rd_kafka_mock_broker_set_up(cluster, 1);
	kafka_again(core);
	core_wait(core, core->confirm_count == 20);
	kafka_finish(core);
	assert_read_in_order("gone", 20);
}

/* -- consuming */

static void fetch__passing_errors__nothing_is_missed(void **state)
{
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	topic_with("fetched", 1);
	kafka_publish(core, "fetched", 0, 30);
	rd_kafka_mock_push_request_errors(cluster, FETCH, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
					  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
					  RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE);
	kafka_finish(core);
	assert_read_in_order("fetched", 30);
}

/* -- transactions */

static void commit__coordinator_moves__committed_all_the_same(void **state)
{
	struct posta_bridge *core = kafka_transactional(url, "tx-moves", 0);

	(void)state;
	topic_with("moves", 1);
	rd_kafka_mock_push_request_errors(cluster, END_TXN, 3, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
					  RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
					  RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
	kafka_publish(core, "moves", 0, 20);
	assert_int_equal(core->downs, 0);
	kafka_finish(core);
}

/* Confirmed is committed: a commit that failed confirms nothing. */
static void commit__fenced__nothing_is_confirmed_and_a_new_producer_writes_it(void **state)
{
	struct posta_bridge *core = kafka_transactional(url, "tx-fenced", 0);
	struct posta_target target = kafka_to("fenced");

	(void)state;
	topic_with("fenced", 1);
	rd_kafka_mock_push_request_errors(cluster, END_TXN, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
	kafka_send(core, &target, 0, 20, "one partition");
	core_wait(core, core->downs);
	assert_int_equal(core->confirm_count, 0);
	kafka_again(core);
	core_wait(core, core->confirm_count == 20);
	kafka_finish(core);
}

static int start(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char words[256];

	(void)state;
	rd_kafka_conf_set(conf, "log_level", "2", words, sizeof words);
	host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
	if (!host)
		return -1;
	cluster = rd_kafka_mock_cluster_new(host, 1);
	snprintf(url, sizeof url, "kafka://%s", rd_kafka_mock_cluster_bootstraps(cluster));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(host);
	kafka_assert_nothing_left();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(produce__passing_errors__sent_again_by_the_library_once_each),
		cmocka_unit_test(produce__refused_for_good__that_one_only),
		cmocka_unit_test(produce__fatal_idempotence_error__a_new_producer_sends_all),
		cmocka_unit_test(produce__broker_goes_down__down_with_words_and_nothing_is_lost),
		cmocka_unit_test(fetch__passing_errors__nothing_is_missed),
		cmocka_unit_test(commit__coordinator_moves__committed_all_the_same),
		cmocka_unit_test(commit__fenced__nothing_is_confirmed_and_a_new_producer_writes_it),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
