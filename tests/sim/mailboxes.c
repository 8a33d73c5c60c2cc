/* SPDX-License-Identifier: MIT */
/*
 * Peers that send each other numbered messages, of all sizes, from all workers and from outside, while they are moved,
 * stopped, spawned, and while their mailboxes refuse, drop and make senders wait, by every policy. Each message has one
 * fate: handled, refused to its sender, or a dead letter; and between any two peers those that are handled come in the
 * order they were sent. When all is quiet, none waits in a mailbox.
 */
#include "scene.h"

#include <stdlib.h>

#define PEERS_MAX 20
#define OUTSIDE PEERS_MAX /* the sender that is no actor */
#define EACH_MAX 64       /* messages between two peers */
#define SENT_MAX 900      /* in all */
#define BODY_MAX 300

enum { GO = 1, DATA, END };

struct word {
	uint16_t from, to;
	uint32_t number;
};

struct peer {
	struct scene *scene;
	posta_ref ref;
	uint16_t index;
	bool stashing, ended;
	uint32_t last[PEERS_MAX + 1]; /* number + 1 of the last that was handled, by sender */
};

struct world {
	struct scene *scene;
	uint32_t peers, sent_all;
	struct peer peer[PEERS_MAX];
	uint32_t sent[PEERS_MAX + 1][PEERS_MAX];
	uint8_t fates[PEERS_MAX + 1][PEERS_MAX][EACH_MAX];
};

static void fate(struct world *world, const struct word *word, const char *what)
{
	uint8_t *fates = &world->fates[word->from][word->to][word->number];
	scene_check(world->scene, !*fates, "%u to %u, message %u: %s, and had its fate before", word->from, word->to,
		    word->number, what);
	++*fates;
}

/* -- Sending -- */

static size_t body_of(struct scene *scene, const struct word *word, unsigned char body[BODY_MAX])
{
	size_t size = scene_chance(scene, 700) ? sizeof *word + scene_random(scene, 24)
					       : sizeof *word + scene_random(scene, BODY_MAX - sizeof *word);
	memset(body, (int)(word->number & 0xFF), size);
	memcpy(body, word, sizeof *word);
	return size;
}

static bool next_word(struct world *world, uint16_t from, struct word *word)
{
	uint16_t to = (uint16_t)scene_random(world->scene, world->peers);
	if (world->sent[from][to] >= EACH_MAX || world->sent_all >= SENT_MAX)
		return false;
	world->sent_all++;
	*word = (struct word){ .from = from, .to = to, .number = world->sent[from][to]++ };
	return true;
}

static void send_one(struct world *world, struct posta_actor *self, uint16_t from)
{
	struct word word;
	unsigned char body[BODY_MAX];
	if (!next_word(world, from, &word))
		return;
	size_t size = body_of(world->scene, &word, body);
	posta_ref to = world->peer[word.to].ref;
	enum posta_err result = self ? posta_send(self, to, DATA, body, size)
				     : posta_system_send(posta_sim_system(world->scene->sim, 0), to, DATA, body, size);
	scene_check(world->scene, !result || result == POSTA_EFULL || result == POSTA_EDEAD, "send: %s",
		    posta_err_name(result));
	if (result == POSTA_EFULL)
		fate(world, &word, "refused");
}

/* -- A peer -- */

static void spawn_one(struct world *world, struct posta_actor *self);

static void look(struct peer *peer, const struct posta_message *message, const struct word *word)
{
	struct scene *scene = peer->scene;
	const unsigned char *body = posta_data(message);
	for (size_t i = sizeof *word; i < posta_size(message); i++)
		scene_check(scene, body[i] == (word->number & 0xFF), "the body of a message was written over");
	scene_check(scene, word->to == peer->index, "a message for %u came to %u", word->to, peer->index);
	scene_check(scene, word->number + 1 > peer->last[word->from], "%u to %u: %u after %u", word->from, peer->index,
		    word->number, peer->last[word->from] - 1);
	peer->last[word->from] = word->number + 1;
}

static void chat(struct peer *peer, struct posta_actor *self, uint32_t most)
{
	for (uint32_t left = scene_random(peer->scene, most + 1); left; left--) {
		send_one(peer->scene->world, self, peer->index);
		posta_sim_yield(self);
	}
}

static enum posta_err on_data(struct posta_actor *self, struct peer *peer, struct posta_message *message)
{
	struct word word;
	if (peer->stashing)
		return posta_stash(self, message);
	memcpy(&word, posta_data(message), sizeof word);
	look(peer, message, &word);
	fate(peer->scene->world, &word, "handled");
	posta_sim_yield(self);
	chat(peer, self, 2);
	return POSTA_OK;
}

static void on_go(struct posta_actor *self, struct peer *peer)
{
	if (peer->stashing)
		posta_unstash(self);
	peer->stashing = !peer->stashing && scene_chance(peer->scene, 200);
	if (scene_chance(peer->scene, 100))
		spawn_one(peer->scene->world, self);
	chat(peer, self, 6);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct peer *peer = state;
	scene_check(peer->scene, !peer->ended, "peer %u handles a message after its stop", peer->index);
	if (message->type == DATA)
		return on_data(self, peer, message);
	if (message->type == GO)
		on_go(self, peer);
	if (message->type == END)
		posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static void on_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct peer *peer = state;
	(void)self, (void)reason;
	scene_check(peer->scene, !peer->ended, "peer %u stops twice", peer->index);
	peer->ended = true;
}

static const struct posta_actor_class peer_class = { .name = "peer", .receive = receive, .stop = on_stop };

static struct posta_spawn_options spawn_options(struct scene *scene)
{
	struct posta_spawn_options options = { .pinned = scene_chance(scene, 400) };
	if (options.pinned)
		options.worker =
			(int)scene_random(scene, (uint32_t)posta_system_workers(posta_sim_system(scene->sim, 0)) + 1);
	if (scene_chance(scene, 400))
		options.mailbox = (struct posta_mailbox_options){
			.policy = (enum posta_mailbox_policy)(1 + scene_random(scene, 4)),
			.length_max = 1 + scene_random(scene, 12),
		};
	return options;
}

static void spawn_one(struct world *world, struct posta_actor *self)
{
	struct posta_error error;
	if (world->peers == PEERS_MAX)
		return;
	struct peer *peer = &world->peer[world->peers];
	struct posta_spawn_options options = spawn_options(world->scene);
	*peer = (struct peer){ .scene = world->scene, .index = (uint16_t)world->peers };
	peer->ref =
		self ? posta_spawn_with(self, &peer_class, peer, &options, &error)
		     : posta_system_spawn(posta_sim_system(world->scene->sim, 0), &peer_class, peer, &options, &error);
	scene_check(world->scene, peer->ref != POSTA_NOBODY, "spawn: %s", error.text);
	world->peers++;
}

/* -- The scene -- */

static void on_dead_letter(void *context, const struct posta_dead_letter *letter)
{
	struct world *world = context;
	struct word word;
	if (letter->type != DATA)
		return;
	memcpy(&word, letter->data, sizeof word);
	fate(world, &word, "a dead letter");
}

static void meddle(struct world *world)
{
	struct scene *scene = world->scene;
	struct posta_system *system = posta_sim_system(scene->sim, 0);
	struct peer *peer = &world->peer[scene_random(scene, world->peers)];
	switch (scene_random(scene, 8)) {
	case 0:
		if (scene_chance(scene, 300))
			posta_system_stop_actor(system, peer->ref, POSTA_OK);
		break;
	case 1:
		if (scene_chance(scene, 300))
			posta_system_send(system, peer->ref, END, NULL, 0);
		break;
	case 2:
		spawn_one(world, NULL);
		break;
	case 3:
	case 4:
		send_one(world, NULL, OUTSIDE);
		break;
	default:
		posta_system_send(system, peer->ref, GO, NULL, 0);
	}
}

static void count(struct world *world)
{
	for (uint32_t from = 0; from <= PEERS_MAX; from++)
		for (uint32_t to = 0; to < world->peers; to++)
			for (uint32_t i = 0; i < world->sent[from][to]; i++)
				scene_check(world->scene, world->fates[from][to][i] == 1, "%u to %u, message %u: lost",
					    from, to, i);
	for (uint32_t i = 0; i < world->peers; i++)
		scene_check(world->scene, world->peer[i].ended, "peer %u never stopped", i);
}

/* When all is quiet: nobody waits for room, or in a mailbox that is not served. */
static void all_served(struct world *world)
{
	for (uint32_t from = 0; from <= PEERS_MAX; from++)
		for (uint32_t to = 0; to < world->peers; to++)
			for (uint32_t i = 0; i < world->sent[from][to]; i++)
				scene_check(world->scene, world->fates[from][to][i] || world->peer[to].stashing,
					    "%u to %u, message %u: it waits for ever", from, to, i);
}

static void play(struct world *world)
{
	struct scene *scene = world->scene;
	for (uint32_t left = 2 + scene_random(scene, 5); left; left--)
		spawn_one(world, NULL);
	for (uint32_t left = 40 + scene_random(scene, 40); left; left--) {
		meddle(world);
		scene_some_steps(scene, 12);
	}
	if (!scene_chance(scene, 800))
		return;
	posta_sim_settle(scene->sim);
	all_served(world);
}

static void run(struct scene *scene)
{
	struct world *world = calloc(1, sizeof *world);
	struct posta_sim_options options = {
		.workers = 1 + (int)(scene->seed % 4),
		.move_per_mille = 300,
		.dead_letter = on_dead_letter,
		.dead_letter_context = world,
	};
	if (!world) {
		scene_fail(scene, "out of memory");
		return;
	}
	world->scene = scene;
	scene->world = world;
	if (scene_start(scene, options)) {
		play(world);
		scene_stop(scene);
		count(world);
	}
	free(world);
}

const struct scene_kind scene_mailboxes = { "mailboxes", run };
