/* SPDX-License-Identifier: MIT */
/*
 * ConcurrentDictionary: 20 actors read (90 of 100) and write entries of one dictionary, an actor around a hash table of
 * 4,096 keys, and wait for each answer. n: operations; two messages each.
 */
#include "savina.h"

enum { GET = 1, PUT, VALUE, FINISHED };
enum { WORKERS = 20, KEYS = 4096, BUCKETS = 2 * KEYS };

static posta_ref dictionary, master;
static uint64_t right; /* the master's: answers that were right */

struct entry {
	uint64_t key, value; /* key 0: none */
};

struct dictionary {
	struct entry entries[BUCKETS];
};

struct worker {
	uint64_t left, right, key;
	uint32_t seed;
};

static uint64_t share;

/* Returns: where key is, or where it would go. Never full: there are two buckets for each key. */
static struct entry *lookup(struct dictionary *from, uint64_t key)
{
	uint32_t bucket = (uint32_t)key * 2654435769u >> 19;
	while (from->entries[bucket].key && from->entries[bucket].key != key)
		bucket = (bucket + 1) % BUCKETS;
	return &from->entries[bucket];
}

static enum posta_err dictionary_start(struct posta_actor *self, void *state, void *argument)
{
	dictionary = posta_self(self);
	return POSTA_OK;
}

static enum posta_err dictionary_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint64_t key = savina_value(message);
	struct entry *entry = lookup(state, key);
	if (message->type == PUT)
		*entry = (struct entry){ key, key };
	return savina_send(self, message->sender, VALUE, entry->value);
}

static enum posta_err ask(struct posta_actor *self, struct worker *worker)
{
	if (worker->left == 0)
		return savina_send(self, master, FINISHED, worker->right);
	worker->left--;
	worker->key = savina_random(&worker->seed) % KEYS + 1;
	return savina_send(self, dictionary, savina_random(&worker->seed) % 100 < 10 ? PUT : GET, worker->key);
}

static enum posta_err worker_start(struct posta_actor *self, void *state, void *argument)
{
	struct worker *worker = state;
	worker->seed = (uint32_t)savina_index(argument) * 7919 + 1;
	worker->left = share;
	return ask(self, worker);
}

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct worker *worker = state;
	uint64_t value = savina_value(message);
	worker->right += value == 0 || value == worker->key;
	return ask(self, worker);
}

static enum posta_err master_start(struct posta_actor *self, void *state, void *argument)
{
	master = posta_self(self);
	right = 0;
	return POSTA_OK;
}

static enum posta_err master_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t *finished = state;
	right += savina_value(message);
	if (++*finished == WORKERS)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class dictionary_class = { .name = "dictionary",
							   .state_size = sizeof(struct dictionary),
							   .start = dictionary_start,
							   .receive = dictionary_receive };
static const struct posta_actor_class worker_class = {
	.name = "worker", .state_size = sizeof(struct worker), .start = worker_start, .receive = worker_receive
};
static const struct posta_actor_class master_class = {
	.name = "master", .state_size = sizeof(uint32_t), .start = master_start, .receive = master_receive
};

static void setup(struct savina_run *run)
{
	share = run->n / WORKERS;
	savina_add(run, &dictionary_class, NULL);
	savina_add(run, &master_class, NULL);
	for (size_t i = 0; i < WORKERS; i++)
		savina_add(run, &worker_class, savina_argument(i));
}

static uint64_t messages(uint64_t n)
{
	return n / WORKERS * WORKERS * 2;
}

static bool verify(uint64_t n)
{
	return right == n / WORKERS * WORKERS;
}

const struct savina_workload savina_dictionary = { "dictionary", "message", messages, setup, verify };
