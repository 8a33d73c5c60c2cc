/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void order__many_senders__fifo_per_pair(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	posta_ref ref = kit_spawn(system, &log, NULL);
	for (uint32_t type = 0; type < 1000; type++) {
		kit_send(system, ref, 200 + type);
		if (type % 3 == 0)
			posta_system_step(system, 0);
	}
	kit_settle(system);
	assert_int_equal(log.count, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(log.types[i], 200 + i);
	kit_stop(system);
}

static void sizes__payloads_arrive_whole(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0,  1,  3,  4,  7,   8,    15,   16,     17,     31,
					32, 33, 96, 97, 500, 4064, 4065, 100000, 3000000 };
	struct posta_system *system = kit_system(NULL);
	struct kit_log log;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		memset(&log, 0, sizeof log);
		posta_ref ref = kit_spawn(system, &log, NULL);
		unsigned char *data = malloc(sizes[i] + 1);
		for (size_t j = 0; j < sizes[i]; j++)
			data[j] = (unsigned char)(j * 31 + i);
		assert_int_equal(posta_system_send(system, ref, KIT_NOTE, data, sizes[i]), POSTA_OK);
		kit_settle(system);
		assert_int_equal(log.count, 1);
		posta_system_stop_actor(system, ref, POSTA_OK);
		kit_settle(system);
		free(data);
	}
	kit_stop(system);
}

/* The same inside a system: sender and receiver are actors, and the bytes are compared. */
enum { GO = 10, DATA };

static enum posta_err checker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	size_t *checked = state;
	if (message->type == GO) {
		for (size_t size = 0; size < 5000; size += size < 100 ? 1 : 97) {
			unsigned char data[5000];
			for (size_t i = 0; i < size; i++)
				data[i] = (unsigned char)(i * 7 + size);
			if (posta_send(self, posta_self(self), DATA, data, size))
				return POSTA_EFAILED;
		}
		return POSTA_OK;
	}
	const unsigned char *data = posta_data(message);
	size_t size = posta_size(message);
	for (size_t i = 0; i < size; i++)
		if (data[i] != (unsigned char)(i * 7 + size))
			return POSTA_EFAILED;
	(*checked)++;
	return POSTA_OK;
}

static const struct posta_actor_class checker = { .name = "checker", .receive = checker_receive };

static void inside__payloads_arrive_whole(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	size_t checked = 0;
	kit_send(system, posta_system_spawn(system, &checker, &checked, NULL, NULL), GO);
	kit_settle(system);
	assert_int_equal(checked, 151);
	kit_stop(system);
}

static void release(void *data, void *context)
{
	(void)data;
	++*(unsigned *)context;
}

static void slice__is_released_once_whatever_happens(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	posta_ref ref = kit_spawn(system, &log, NULL);
	char bytes[] = "foreign";
	unsigned released = 0;
	const struct posta_slice slice = {
		.data = bytes, .size = sizeof bytes, .release = release, .context = &released
	};
	posta_system_send_slice(system, ref, KIT_NOTE, &slice);
	kit_settle(system);
	assert_int_equal(released, 1);
	posta_system_send_slice(system, POSTA_NOBODY, KIT_NOTE, &slice);
	assert_int_equal(released, 2);
	posta_system_send_slice(system, ref, KIT_STOP, &slice);
	posta_system_send_slice(system, ref, KIT_NOTE, &slice);
	kit_settle(system);
	assert_int_equal(released, 4);
	posta_system_send_slice(system, kit_spawn(system, &log, NULL), KIT_NOTE, &slice);
	kit_stop(system); /* never handled, or handled just before the end: released all the same */
	assert_int_equal(released, 5);
}

static posta_ref bounded(struct posta_system *system, struct kit_log *log, enum posta_mailbox_policy policy)
{
	const struct posta_spawn_options options = { .mailbox = { .policy = policy, .length_max = 10 } };
	return kit_spawn(system, log, &options);
}

static void reject__full__sender_hears_it(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	posta_ref ref = bounded(system, &log, POSTA_MAILBOX_REJECT);
	for (int i = 0; i < 10; i++)
		assert_int_equal(posta_system_send(system, ref, KIT_NOTE, NULL, 0), POSTA_OK);
	assert_int_equal(posta_system_send(system, ref, KIT_NOTE, NULL, 0), POSTA_EFULL);
	kit_settle(system);
	assert_int_equal(log.count, 10);
	assert_int_equal(posta_system_send(system, ref, KIT_NOTE, NULL, 0), POSTA_OK);
	kit_stop(system);
}

static void drop_newest__full__is_a_dead_letter(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { 0 };
	posta_ref ref = bounded(system, &log, POSTA_MAILBOX_DROP_NEWEST);
	for (uint32_t i = 0; i < 15; i++)
		assert_int_equal(posta_system_send(system, ref, 200 + i, NULL, 0), POSTA_OK);
	kit_settle(system);
	assert_int_equal(log.count, 10);
	assert_int_equal(log.types[9], 209);
	assert_int_equal(letters.count[POSTA_DEAD_MAILBOX], 5);
	kit_stop(system);
}

static void drop_oldest__full__newest_are_kept(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { 0 };
	posta_ref ref = bounded(system, &log, POSTA_MAILBOX_DROP_OLDEST);
	for (uint32_t i = 0; i < 15; i++)
		assert_int_equal(posta_system_send(system, ref, 200 + i, NULL, 0), POSTA_OK);
	kit_settle(system);
	assert_int_equal(log.count, 10);
	assert_int_equal(log.types[0], 205);
	assert_int_equal(log.types[9], 214);
	assert_int_equal(letters.count[POSTA_DEAD_MAILBOX], 5);
	kit_stop(system);
}

/* A producer that fills faster than it lets the others run must not outrun its consumer. */
struct race {
	posta_ref consumer;
	uint64_t left, consumed, waiting_max, produced;
};

static enum posta_err produce(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct race *race = state;
	for (int i = 0; i < 256 && race->left; i++, race->left--, race->produced++)
		posta_send(self, race->consumer, KIT_NOTE, NULL, 0);
	if (race->produced - race->consumed > race->waiting_max)
		race->waiting_max = race->produced - race->consumed;
	return race->left ? posta_send(self, posta_self(self), GO, NULL, 0) : POSTA_OK;
}

static enum posta_err consume(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)message;
	((struct race *)state)->consumed++;
	return POSTA_OK;
}

static const struct posta_actor_class producer_class = { .name = "producer", .receive = produce };
static const struct posta_actor_class consumer_class = { .name = "consumer", .receive = consume };

static void turn__takes_its_snapshot__queue_stays_short(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct race race = { .left = 100000 };
	race.consumer = posta_system_spawn(system, &consumer_class, &race, NULL, NULL);
	kit_send(system, posta_system_spawn(system, &producer_class, &race, NULL, NULL), GO);
	kit_settle(system);
	assert_int_equal(race.consumed, 100000);
	assert_true(race.waiting_max <= 512);
	kit_stop(system);
}

static enum posta_err deadline_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct kit_log *log = state;
	if (message->type == GO) {
		posta_send_within(self, log->self, 10, KIT_NOTE, "x", 1);
		posta_send_within(self, log->self, 1000, KIT_NOTE + 1, "abcdefghi", 9);
	}
	return POSTA_OK;
}

static const struct posta_actor_class deadline_class = { .receive = deadline_receive };

static void within__expired__is_dropped_and_counted(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { .fail_start = POSTA_EPENDING };
	kit_spawn(system, &log, NULL);
	kit_settle(system);
	kit_send(system, posta_system_spawn(system, &deadline_class, &log, NULL, NULL), GO);
	posta_system_advance(system, 50);
	/* It waited for its start all the while: the first one came too late for it. */
	assert_int_equal(log.count, 0);
	kit_stop(system);
	assert_int_equal(letters.count[POSTA_DEAD_STOPPED], 2);
}

/* Threads: senders everywhere, receivers on two workers, actors that move. Order per pair, nothing lost. */
enum { SENDERS = 4, EACH = 20000 };

struct sum {
	uint32_t next[SENDERS];
	_Atomic(uint32_t) got;
	_Atomic(bool) disordered;
};

struct number {
	uint32_t sender, value;
};

static enum posta_err sum_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self;
	struct sum *sum = state;
	struct number number;
	memcpy(&number, posta_data(message), sizeof number);
	if (sum->next[number.sender]++ != number.value)
		sum->disordered = true;
	atomic_fetch_add(&sum->got, 1);
	return POSTA_OK;
}

static const struct posta_actor_class sum_class = { .name = "sum", .receive = sum_receive };

struct sender {
	struct posta_system *system;
	posta_ref to;
	uint32_t id;
};

static void *send_all(void *argument)
{
	struct sender *sender = argument;
	for (uint32_t i = 0; i < EACH; i++) {
		struct number number = { .sender = sender->id, .value = i };
		posta_system_send(sender->system, sender->to, KIT_NOTE, &number, sizeof number);
	}
	return NULL;
}

static void threads__fifo_per_pair_and_nothing_lost(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = 2 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	struct sum *sum = calloc(1, sizeof *sum);
	posta_ref to = posta_system_spawn(system, &sum_class, sum, NULL, NULL);
	pthread_t threads[SENDERS];
	struct sender senders[SENDERS];
	for (uint32_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ system, to, i };
		pthread_create(&threads[i], NULL, send_all, &senders[i]);
	}
	for (uint32_t i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	while (atomic_load(&sum->got) < SENDERS * EACH)
		sched_yield();
	assert_false(sum->disordered);
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	free(sum);
}

enum { BLOCKS = 5000 };

/* Takes more blocks than the pool had ever room for, looks whether each is its own, and frees them in another order. */
static enum posta_err hoard_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	static struct posta_message *held[BLOCKS];
	unsigned *right = state;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		held[i] = posta_message_new(self, i, sizeof i);
		memcpy(posta_data(held[i]), &i, sizeof i);
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		*right += held[i]->type == i && !memcmp(posta_data(held[i]), &i, sizeof i);
	for (uint32_t i = 0; i < BLOCKS; i++)
		posta_message_free(self, held[i * 7 % BLOCKS]);
	return POSTA_OK;
}

static const struct posta_actor_class hoard_class = { .name = "hoard", .receive = hoard_receive };

static void blocks__thousands_at_once_again_and_again__each_is_one(void **state)
{
	(void)state;
	unsigned right = 0;
	struct posta_system *system = kit_system(NULL);
	posta_ref ref = posta_system_spawn(system, &hoard_class, &right, NULL, NULL);
	for (int i = 0; i < 3; i++)
		kit_send(system, ref, 1);
	kit_settle(system);
	assert_int_equal(right, 3 * BLOCKS);
	kit_stop(system);
}

/* A handler that sends a burst to an actor on another worker, which chains it, and ends in one way or another. */
enum { BURST_PLAIN = 30, BURST_FAILS, BURST_STOPS, BURST_KEEPS, BURST_WAITS, BURST = 100 };

struct burst {
	struct sum *sum;
	posta_ref to;
	uint32_t sent;
	bool late;
};

static time_t now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Returns: whether it came to so many within half a minute. */
static bool await(const struct sum *sum, uint32_t count)
{
	time_t end = now_s() + 30;
	while (atomic_load(&sum->got) < count && now_s() < end)
		sched_yield();
	return atomic_load(&sum->got) >= count;
}

static enum posta_err burst_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct burst *burst = state;
	if (message->sender == POSTA_NOBODY) /* once more, in a block of its own worker: the straight path */
		return posta_send(self, posta_self(self), message->type, NULL, 0);
	uint32_t type = message->type;
	for (uint32_t i = 0; i < BURST; i++) {
		struct number number = { .value = burst->sent++ };
		posta_send(self, burst->to, KIT_NOTE, &number, sizeof number);
		if (type == BURST_KEEPS && i == BURST / 2)
			posta_message_free(self, posta_keep(self, message));
		if (i == 0 || type == BURST_WAITS) /* it does not wait for the handler's end */
			burst->late |= !await(burst->sum, burst->sent);
	}
	if (type == BURST_STOPS)
		posta_stop(self, posta_self(self), POSTA_OK);
	return type == BURST_FAILS ? POSTA_EFAILED : POSTA_OK;
}

static const struct posta_actor_class burst_class = { .name = "burst", .receive = burst_receive };

static void bursts(uint32_t type, const struct posta_spawn_options *sender)
{
	const struct posta_system_options options = { .workers = 2 };
	const struct posta_spawn_options second = { .pinned = true, .worker = 2 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	struct sum *sum = calloc(1, sizeof *sum);
	struct burst burst = { sum, posta_system_spawn(system, &sum_class, sum, &second, NULL), 0, false };
	posta_ref from = posta_system_spawn(system, &burst_class, &burst, sender, NULL);
	for (uint32_t i = 1; i <= 3; i++) {
		kit_send(system, from, type);
		assert_true(await(sum, (type == BURST_FAILS || type == BURST_STOPS ? 1 : i) * BURST));
	}
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	assert_false(sum->disordered || burst.late);
	free(sum);
}

static void chain__however_the_handler_ends__is_pushed(void **state)
{
	(void)state;
	const struct posta_spawn_options first = { .pinned = true, .worker = 1 };
	for (uint32_t type = BURST_PLAIN; type <= BURST_KEEPS; type++)
		bursts(type, &first);
}

static void dedicated__sends_many__each_goes_at_once(void **state)
{
	(void)state;
	const struct posta_spawn_options dedicated = { .dedicated = true };
	bursts(BURST_WAITS, &dedicated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order__many_senders__fifo_per_pair),
		cmocka_unit_test(sizes__payloads_arrive_whole),
		cmocka_unit_test(inside__payloads_arrive_whole),
		cmocka_unit_test(slice__is_released_once_whatever_happens),
		cmocka_unit_test(reject__full__sender_hears_it),
		cmocka_unit_test(drop_newest__full__is_a_dead_letter),
		cmocka_unit_test(drop_oldest__full__newest_are_kept),
		cmocka_unit_test(turn__takes_its_snapshot__queue_stays_short),
		cmocka_unit_test(within__expired__is_dropped_and_counted),
		cmocka_unit_test(threads__fifo_per_pair_and_nothing_lost),
		cmocka_unit_test(blocks__thousands_at_once_again_and_again__each_is_one),
		cmocka_unit_test(chain__however_the_handler_ends__is_pushed),
		cmocka_unit_test(dedicated__sends_many__each_goes_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
