/* SPDX-License-Identifier: MIT */
/* Mailboxes whose senders wait for room, and what a limit never drops. */
#include "kit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { GO = 10, DATA, FORWARD, END_IT };

/* Sends burst messages each time it is told to go, and tells itself until nothing is left. */
struct producer {
	posta_ref to;
	unsigned burst, left, turns, sent;
};

static enum posta_err produce(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct producer *producer = state;
	if (message->type == FORWARD)
		return posta_forward(self, producer->to, message);
	producer->turns++;
	for (unsigned i = 0; i < producer->burst && producer->left; i++, producer->left--, producer->sent++) {
		enum posta_err result = posta_send(self, producer->to, DATA, &producer->sent, sizeof producer->sent);
		if (result)
			return result;
	}
	return producer->left ? posta_send(self, posta_self(self), GO, NULL, 0) : POSTA_OK;
}

static const struct posta_actor_class producer_class = { .name = "producer", .receive = produce };

/* Its start is awaited, so nothing is handled until it has started. */
struct consumer {
	struct posta_actor *self;
	posta_ref ref;
	enum posta_err start_with;
	unsigned handled, in_order;
};

static enum posta_err consumer_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state;
	struct consumer *consumer = argument;
	consumer->self = self;
	consumer->ref = posta_self(self);
	return consumer->start_with;
}

static enum posta_err consume(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self;
	struct consumer *consumer = state;
	if (message->type != DATA)
		return POSTA_OK;
	unsigned number;
	memcpy(&number, posta_data(message), sizeof number);
	consumer->in_order += number == consumer->handled++;
	return POSTA_OK;
}

static const struct posta_actor_class consumer_class = { .name = "consumer",
							 .receive = consume,
							 .start = consumer_start };

static posta_ref spawn_consumer(struct posta_system *system, struct consumer *consumer,
				enum posta_mailbox_policy policy, uint32_t max)
{
	const struct posta_spawn_options options = { .mailbox = { .policy = policy, .length_max = max } };
	posta_ref ref = posta_system_spawn(system, &consumer_class, consumer, &options, NULL);
	assert_true(ref != POSTA_NOBODY);
	return ref;
}

static posta_ref go(struct posta_system *system, struct producer *producer)
{
	posta_ref ref = posta_system_spawn(system, &producer_class, producer, NULL, NULL);
	kit_send(system, ref, GO);
	kit_settle(system);
	return ref;
}

static void park__full__sender_waits_and_goes_on(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct consumer consumer = { .start_with = POSTA_EPENDING };
	struct producer producer = { .burst = 4, .left = 1000 };
	producer.to = spawn_consumer(system, &consumer, POSTA_MAILBOX_PARK, 10);
	go(system, &producer);
	assert_int_equal(producer.turns, 3); /* the third burst went over the limit, by what one handler sends */
	assert_int_equal(producer.sent, 12);
	posta_started(consumer.self, POSTA_OK);
	kit_settle(system);
	assert_int_equal(consumer.handled, 1000);
	assert_int_equal(consumer.in_order, 1000);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	assert_true(metrics.parked >= 1);
	assert_int_equal(metrics.dead_letters, 0);
	kit_stop(system);
}

static void park__receiver_ends__sender_goes_on(void **state)
{
	(void)state;
	struct kit_letters letters = { 0 };
	struct posta_system *system = kit_system(&letters);
	struct consumer consumer = { .start_with = POSTA_EPENDING };
	struct producer producer = { .burst = 4, .left = 40 };
	producer.to = spawn_consumer(system, &consumer, POSTA_MAILBOX_PARK, 10);
	posta_ref ref = go(system, &producer);
	posta_system_stop_actor(system, producer.to, POSTA_OK);
	kit_settle(system);
	assert_int_equal(letters.count[POSTA_DEAD_STOPPED], 12);
	/* Its next send said EDEAD, which it took for its own failure. */
	assert_int_equal(posta_system_send(system, ref, GO, NULL, 0), POSTA_EDEAD);
	kit_stop(system);
}

static void park__sender_ends__receiver_goes_on(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct consumer consumer = { .start_with = POSTA_EPENDING };
	struct producer producer = { .burst = 20, .left = 40 };
	producer.to = spawn_consumer(system, &consumer, POSTA_MAILBOX_PARK, 10);
	posta_system_stop_actor(system, go(system, &producer), POSTA_OK);
	posta_started(consumer.self, POSTA_OK);
	kit_settle(system);
	assert_int_equal(consumer.handled, 20);
	kit_stop(system);
}

/* Who forwards waits, not the one whose message it was. */
static void park__forwarded__forwarder_waits(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct consumer consumer = { .start_with = POSTA_EPENDING };
	struct producer forwarder = { .burst = 1 };
	forwarder.to = spawn_consumer(system, &consumer, POSTA_MAILBOX_PARK, 2);
	posta_ref ref = go(system, &forwarder);
	for (int i = 0; i < 6; i++)
		kit_send(system, ref, FORWARD);
	kit_settle(system);
	unsigned before = forwarder.turns;
	kit_send(system, ref, GO);
	kit_settle(system);
	assert_int_equal(forwarder.turns, before);
	posta_started(consumer.self, POSTA_OK);
	kit_settle(system);
	assert_int_equal(forwarder.turns, before + 1);
	kit_stop(system);
}

/* Each message makes two more for the next in the ring, until its number is 0. All mailboxes hold one. */
struct link {
	posta_ref next;
	unsigned handled;
};

static enum posta_err pass_on(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct link *link = state;
	unsigned number;
	memcpy(&number, posta_data(message), sizeof number);
	link->handled++;
	if (!number--)
		return POSTA_OK;
	enum posta_err result = posta_send(self, link->next, DATA, &number, sizeof number);
	return result ? result : posta_send(self, link->next, DATA, &number, sizeof number);
}

static const struct posta_actor_class link_class = { .name = "link", .receive = pass_on };

static void ring(unsigned size)
{
	enum { DEPTH = 12 };
	struct posta_system *system = kit_system(NULL);
	const struct posta_spawn_options options = { .mailbox = { POSTA_MAILBOX_PARK, 1 } };
	struct link links[8] = { 0 };
	posta_ref refs[8];
	for (unsigned i = 0; i < size; i++)
		refs[i] = posta_system_spawn(system, &link_class, &links[i], &options, NULL);
	for (unsigned i = 0; i < size; i++)
		links[i].next = refs[(i + 1) % size];
	unsigned depth = DEPTH, handled = 0;
	posta_system_send(system, refs[0], DATA, &depth, sizeof depth);
	kit_settle(system);
	for (unsigned i = 0; i < size; i++)
		handled += links[i].handled;
	assert_int_equal(handled, (1u << (DEPTH + 1)) - 1);
	kit_stop(system);
}

static void park__to_itself__goes_through(void **state)
{
	(void)state;
	ring(1);
}

static void park__circle_of_two__no_deadlock(void **state)
{
	(void)state;
	ring(2);
}

static void park__circle_of_seven__no_deadlock(void **state)
{
	(void)state;
	ring(7);
}

static void park__foreign_thread__is_refused(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct consumer consumer = { .start_with = POSTA_EPENDING };
	posta_ref ref = spawn_consumer(system, &consumer, POSTA_MAILBOX_PARK, 2);
	assert_int_equal(posta_system_send(system, ref, GO, NULL, 0), POSTA_OK);
	assert_int_equal(posta_system_send(system, ref, GO, NULL, 0), POSTA_OK);
	assert_int_equal(posta_system_send(system, ref, GO, NULL, 0), POSTA_EFULL);
	kit_stop(system);
}

/* Time-out: the message is not sent, also not later. */
static void send_wait__no_room_in_time__is_not_sent(void **state)
{
	(void)state;
	struct posta_system *system;
	const struct posta_system_options options = { .workers = 1 };
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	static struct consumer consumer;
	consumer = (struct consumer){ .start_with = POSTA_EPENDING };
	posta_ref ref = spawn_consumer(system, &consumer, POSTA_MAILBOX_REJECT, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(posta_system_send_wait(system, ref, DATA, &i, sizeof i, 1000), POSTA_OK);
	assert_int_equal(posta_system_send_wait(system, ref, DATA, &ref, sizeof ref, 30), POSTA_ETIMEDOUT);
	assert_int_equal(posta_system_send_wait(system, ref, DATA, &ref, sizeof ref, 0), POSTA_EFULL);
	struct posta_stop_report report;
	assert_int_equal(posta_system_stop(system, 10000, &report), POSTA_OK);
}

/*
 * Threads that wait for room, and actors that park, on two workers: in order for each, nothing lost, and no deadlock.
 */
enum { SENDERS = 3, EACH = 3000 };

struct crowd {
	struct posta_system *system;
	posta_ref to;
	_Atomic(unsigned) id;
	_Atomic(unsigned) handled, wrong;
	unsigned next[2 * SENDERS];
};

static enum posta_err crowd_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self;
	struct crowd *crowd = state;
	unsigned data[2];
	memcpy(data, posta_data(message), sizeof data);
	crowd->wrong += crowd->next[data[0]]++ != data[1];
	crowd->handled++;
	return POSTA_OK;
}

static const struct posta_actor_class crowd_class = { .name = "crowd", .receive = crowd_receive };

static void *crowd_thread(void *argument)
{
	struct crowd *crowd = argument;
	unsigned data[2] = { crowd->id++, 0 };
	for (; data[1] < EACH; data[1]++)
		if (posta_system_send_wait(crowd->system, crowd->to, DATA, data, sizeof data, 30000))
			crowd->wrong++;
	return NULL;
}

struct crowd_sender {
	struct crowd *crowd;
	unsigned id, sent;
};

static enum posta_err crowd_send(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct crowd_sender *sender = state;
	for (int i = 0; i < 7 && sender->sent < EACH; i++, sender->sent++) {
		unsigned data[2] = { sender->id, sender->sent };
		if (posta_send(self, sender->crowd->to, DATA, data, sizeof data))
			sender->crowd->wrong++;
	}
	return sender->sent < EACH ? posta_send(self, posta_self(self), GO, NULL, 0) : POSTA_OK;
}

static const struct posta_actor_class crowd_sender_class = { .name = "crowd sender", .receive = crowd_send };

static void threads__actors_and_strangers_wait__nothing_lost(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = 2 };
	static struct crowd crowd;
	memset(&crowd, 0, sizeof crowd);
	assert_int_equal(posta_system_start(&options, &crowd.system, NULL), POSTA_OK);
	const struct posta_spawn_options limited = { .mailbox = { POSTA_MAILBOX_PARK, 5 } };
	crowd.to = posta_system_spawn(crowd.system, &crowd_class, &crowd, &limited, NULL);
	pthread_t threads[SENDERS];
	static struct crowd_sender senders[SENDERS];
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct crowd_sender){ &crowd, SENDERS + i, 0 };
		const struct posta_spawn_options pinned = { .pinned = true, .worker = 1 + (int)i % 2 };
		posta_system_send(crowd.system,
				  posta_system_spawn(crowd.system, &crowd_sender_class, &senders[i], &pinned, NULL), GO,
				  NULL, 0);
		pthread_create(&threads[i], NULL, crowd_thread, &crowd);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	while (crowd.handled < 2 * SENDERS * EACH && !crowd.wrong)
		sched_yield();
	assert_int_equal(crowd.wrong, 0);
	assert_int_equal(posta_system_stop(crowd.system, 10000, NULL), POSTA_OK);
}

/* A watcher whose mailbox is full hears of the end all the same, once. */
struct watcher {
	struct consumer *consumer; /* filled by others; pending */
	posta_ref whom;
	unsigned downs, others;
};

static enum posta_err watcher_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct watcher *watcher = state;
	if (message->type == GO)
		return posta_watch(self, watcher->whom) ? POSTA_OK : POSTA_ENOMEM;
	if (message->type == END_IT) { /* its end will be known when the mailbox is full */
		posta_stop(self, watcher->whom, POSTA_OK);
		for (int i = 0; i < 10; i++)
			posta_send(self, posta_self(self), DATA, NULL, 0);
		return POSTA_OK;
	}
	watcher->downs += message->type == POSTA_MSG_DOWN;
	watcher->others += message->type == DATA;
	return POSTA_OK;
}

static const struct posta_actor_class watcher_class = { .name = "watcher", .receive = watcher_receive };

static void full(enum posta_mailbox_policy policy)
{
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	struct watcher watcher = { .whom = kit_spawn(system, &log, NULL) };
	const struct posta_spawn_options options = { .mailbox = { policy, 3 } };
	posta_ref ref = posta_system_spawn(system, &watcher_class, &watcher, &options, NULL);
	kit_send(system, ref, GO);
	kit_settle(system);
	kit_send(system, ref, END_IT);
	kit_settle(system);
	assert_int_equal(watcher.downs, 1);
	assert_true(watcher.others >= 2 && watcher.others <= (policy == POSTA_MAILBOX_PARK ? 10 : 3));
	kit_stop(system);
}

static void down__full_mailbox__arrives_once(void **state)
{
	(void)state;
	full(POSTA_MAILBOX_REJECT);
	full(POSTA_MAILBOX_DROP_NEWEST);
	full(POSTA_MAILBOX_DROP_OLDEST);
	full(POSTA_MAILBOX_PARK);
}

static void drops__each_reason__is_counted(void **state)
{
	(void)state;
	struct kit_letters letters = { 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { 0 };
	const struct posta_spawn_options limited = { .mailbox = { POSTA_MAILBOX_DROP_NEWEST, 3 } };
	posta_ref ref = kit_spawn(system, &log, &limited);
	for (int i = 0; i < 5; i++)
		kit_send(system, ref, KIT_NOTE);
	kit_settle(system);
	kit_send(system, ref, KIT_UNHANDLED);
	kit_send(system, ref, KIT_FAIL);
	kit_send(system, ref, KIT_NOTE);
	kit_settle(system);
	kit_send(system, ref, KIT_NOTE);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	static const uint64_t expected[POSTA_DEAD_REASONS] = {
		[POSTA_DEAD_NO_ACTOR] = 1, [POSTA_DEAD_MAILBOX] = 2, [POSTA_DEAD_UNHANDLED] = 1,
		[POSTA_DEAD_STOPPED] = 1,  [POSTA_DEAD_POISON] = 1,
	};
	for (int i = 0; i < POSTA_DEAD_REASONS; i++) {
		assert_int_equal(metrics.dead_letters_by[i], expected[i]);
		assert_int_equal(letters.count[i], expected[i]);
	}
	assert_int_equal(metrics.dead_letters, 6);
	kit_stop(system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(park__full__sender_waits_and_goes_on),
		cmocka_unit_test(park__receiver_ends__sender_goes_on),
		cmocka_unit_test(park__sender_ends__receiver_goes_on),
		cmocka_unit_test(park__forwarded__forwarder_waits),
		cmocka_unit_test(park__to_itself__goes_through),
		cmocka_unit_test(park__circle_of_two__no_deadlock),
		cmocka_unit_test(park__circle_of_seven__no_deadlock),
		cmocka_unit_test(park__foreign_thread__is_refused),
		cmocka_unit_test(send_wait__no_room_in_time__is_not_sent),
		cmocka_unit_test(threads__actors_and_strangers_wait__nothing_lost),
		cmocka_unit_test(down__full_mailbox__arrives_once),
		cmocka_unit_test(drops__each_reason__is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
