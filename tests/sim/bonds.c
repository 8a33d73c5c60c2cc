/* SPDX-License-Identifier: MIT */
/*
 * Links and groups, among actors that end, fail, are moved and are each other's children. What must hold whatever
 * happens:
 *
 *   whoever is linked to one that ended hears of it: once if it traps exits, by its own end if that was a failure;
 *   nobody ends by a link, or hears of an exit, that nobody made;
 *   a group is who joined it and lives; what is published to it comes to each of them once; a pick is one of them, and
 *   the same key leads to the same one as long as they are the same.
 */
#include "scene.h"

#include <stdlib.h>

#define BONDS_MAX 18
#define GROUPS 3
#define KEYS 4
#define NOTES_MAX 240

enum { GO = 1, NOTE, FAIL, END };

struct bond {
	struct world *world;
	posta_ref ref;
	uint16_t index;
	bool trap, ended;
	enum posta_err reason;
	bool member[GROUPS];
	unsigned exits[BONDS_MAX]; /* heard, by whose */
};

struct note {
	uint32_t members, got; /* a bit each */
};

struct world {
	struct scene *scene;
	unsigned bonds, notes;
	struct bond bond[BONDS_MAX];
	unsigned links[BONDS_MAX][BONDS_MAX]; /* how often the first linked itself to the second */
	bool unlinked[BONDS_MAX][BONDS_MAX];
	struct note note[NOTES_MAX];
	unsigned version[GROUPS]; /* of who its members are */
	struct {
		unsigned version;
		posta_ref ref;
	} picked[GROUPS][KEYS];
};

static const char *group_name(unsigned group)
{
	static const char *const names[GROUPS] = { "red", "green", "blue" };
	return names[group];
}

static unsigned links_between(const struct world *world, unsigned a, unsigned b)
{
	return world->links[a][b] + world->links[b][a];
}

static struct bond *bond_of(struct world *world, posta_ref ref)
{
	for (unsigned i = 0; i < world->bonds; i++)
		if (world->bond[i].ref == ref)
			return &world->bond[i];
	return NULL;
}

/* -- Links -- */

static void link_one(struct bond *bond, struct posta_actor *self)
{
	struct world *world = bond->world;
	unsigned other = scene_random(world->scene, world->bonds);
	if (scene_chance(world->scene, 200)) {
		posta_unlink(self, world->bond[other].ref);
		world->unlinked[bond->index][other] = world->unlinked[other][bond->index] = true;
		return;
	}
	world->links[bond->index][other]++;
	enum posta_err result = posta_link(self, world->bond[other].ref);
	scene_check(world->scene, !result, "link: %s", posta_err_name(result));
}

static void hear_exit(struct bond *bond, const struct posta_exit *exit)
{
	struct world *world = bond->world;
	const struct bond *other = bond_of(world, exit->ref);
	if (!other) {
		scene_fail(world->scene, "an exit of an unknown actor");
		return;
	}
	unsigned heard = ++bond->exits[other->index];
	scene_check(world->scene, bond->trap, "an exit is heard by one that does not trap them");
	scene_check(world->scene, other->ended, "the exit of one that lives");
	scene_check(world->scene, exit->reason == other->reason || exit->reason == POSTA_EDEAD,
		    "an exit by %s was by %s", posta_err_name(other->reason), posta_err_name(exit->reason));
	scene_check(world->scene, heard <= links_between(world, bond->index, other->index),
		    "actor %u hears of the exit of %u more often than they were linked", bond->index, other->index);
}

static void check_end_by_link(const struct bond *bond)
{
	struct world *world = bond->world;
	bool linked = false;
	for (unsigned i = 0; i < world->bonds; i++)
		linked |= world->bond[i].ended && links_between(world, bond->index, i);
	scene_check(world->scene, linked && !bond->trap, "actor %u ends by a link to one that ended: there is none",
		    bond->index);
}

/* When all is quiet: whoever was linked to one that ended has heard of it. */
static void check_heard(struct world *world, const struct bond *ended, const struct bond *other)
{
	if (!ended->ended || other->ended || ended == other || !links_between(world, ended->index, other->index) ||
	    world->unlinked[ended->index][other->index])
		return;
	if (other->trap)
		scene_check(world->scene, other->exits[ended->index], "actor %u does not hear of the exit of %u",
			    other->index, ended->index);
	else
		scene_check(world->scene, ended->reason == POSTA_OK, "actor %u lives on without %u, which failed",
			    other->index, ended->index);
}

/* -- Groups -- */

static uint32_t members_of(const struct world *world, unsigned group)
{
	uint32_t members = 0;
	for (unsigned i = 0; i < world->bonds; i++)
		if (world->bond[i].member[group] && !world->bond[i].ended)
			members |= UINT32_C(1) << i;
	return members;
}

static void check_size(struct world *world, unsigned group)
{
	size_t size = posta_group_size(posta_sim_system(world->scene->sim, 0), group_name(group));
	unsigned members = (unsigned)__builtin_popcount(members_of(world, group));
	scene_check(world->scene, size == members, "group %s has %zu members: %u joined and live", group_name(group),
		    size, members);
}

static void join_or_leave(struct bond *bond, struct posta_actor *self, unsigned group)
{
	struct world *world = bond->world;
	bool was = bond->member[group], joins = scene_chance(world->scene, 700);
	enum posta_err result =
		joins ? posta_group_join(self, group_name(group)) : posta_group_leave(self, group_name(group));
	enum posta_err expected = joins || was ? POSTA_OK : POSTA_ENOTFOUND;
	scene_check(world->scene, result == expected, "%s: %s", joins ? "join" : "leave", posta_err_name(result));
	bond->member[group] = joins;
	world->version[group] += joins != was;
	check_size(world, group);
}

static void publish(struct world *world, struct posta_actor *self, unsigned group)
{
	if (world->notes == NOTES_MAX)
		return;
	uint32_t number = world->notes++;
	world->note[number].members = members_of(world, group);
	size_t sent = posta_group_publish(self, group_name(group), NOTE, &number, sizeof number);
	unsigned members = (unsigned)__builtin_popcount(world->note[number].members);
	scene_check(world->scene, sent == members, "published to %zu of %u", sent, members);
}

static void pick(struct world *world, struct posta_actor *self, unsigned group)
{
	unsigned key = scene_random(world->scene, KEYS);
	enum posta_pick how = (enum posta_pick)scene_random(world->scene, 3);
	posta_ref ref = posta_group_pick(self, group_name(group), how, &key, sizeof key);
	const struct bond *bond = bond_of(world, ref);
	uint32_t members = members_of(world, group);
	scene_check(world->scene, bond ? members >> bond->index & 1 : ref == POSTA_NOBODY && !members,
		    "a pick of group %s is no member", group_name(group));
	if (how != POSTA_PICK_HASH)
		return;
	unsigned version = world->version[group] + 1; /* 0: not picked yet */
	scene_check(world->scene, world->picked[group][key].version != version || world->picked[group][key].ref == ref,
		    "a key leads to another one, and the group is the same");
	world->picked[group][key].version = version;
	world->picked[group][key].ref = ref;
}

static void get_note(struct bond *bond, const struct posta_message *message)
{
	struct scene *scene = bond->world->scene;
	uint32_t number, bit = UINT32_C(1) << bond->index;
	memcpy(&number, posta_data(message), sizeof number);
	struct note *note = &bond->world->note[number];
	scene_check(scene, note->members & bit, "note %u comes to %u, which was no member", number, bond->index);
	scene_check(scene, !(note->got & bit), "note %u comes to %u twice", number, bond->index);
	note->got |= bit;
}

/* -- An actor -- */

static void spawn_one(struct world *world, struct posta_actor *self);

static void act(struct bond *bond, struct posta_actor *self)
{
	struct world *world = bond->world;
	unsigned group = scene_random(world->scene, GROUPS);
	switch (scene_random(world->scene, 8)) {
	case 0:
	case 1:
		link_one(bond, self);
		break;
	case 2:
	case 3:
		join_or_leave(bond, self, group);
		break;
	case 4:
		publish(world, self, group);
		break;
	case 5:
		if (scene_chance(world->scene, 300))
			spawn_one(world, self);
		break;
	default:
		pick(world, self, group);
	}
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct bond *bond = state;
	scene_check(bond->world->scene, !bond->ended, "actor %u handles a message after its end", bond->index);
	switch (message->type) {
	case POSTA_MSG_EXIT:
		hear_exit(bond, posta_data(message));
		return POSTA_OK;
	case NOTE:
		get_note(bond, message);
		return POSTA_OK;
	case FAIL:
		return POSTA_EFAILED;
	case END:
		posta_stop(self, posta_self(self), POSTA_OK);
		return POSTA_OK;
	}
	for (uint32_t left = 1 + scene_random(bond->world->scene, 4); left; left--) {
		act(bond, self);
		posta_sim_yield(self);
	}
	return POSTA_OK;
}

static void on_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct bond *bond = state;
	struct world *world = bond->world;
	(void)self;
	scene_check(world->scene, !bond->ended, "actor %u stops twice", bond->index);
	if (reason == POSTA_ELINKED)
		check_end_by_link(bond);
	bond->ended = true;
	bond->reason = reason;
	for (unsigned group = 0; group < GROUPS; group++)
		world->version[group] += bond->member[group];
}

static const struct posta_actor_class bond_class = { .name = "bond", .receive = receive, .stop = on_stop };

static void spawn_one(struct world *world, struct posta_actor *self)
{
	struct posta_system *system = posta_sim_system(world->scene->sim, 0);
	struct posta_error error;
	if (world->bonds == BONDS_MAX)
		return;
	struct bond *bond = &world->bond[world->bonds];
	*bond = (struct bond){ .world = world, .index = (uint16_t)world->bonds };
	bond->trap = scene_chance(world->scene, 400);
	struct posta_spawn_options options = { .trap_exit = bond->trap, .pinned = scene_chance(world->scene, 500) };
	if (options.pinned)
		options.worker = (int)scene_random(world->scene, (uint32_t)posta_system_workers(system) + 1);
	bond->ref = self ? posta_spawn_with(self, &bond_class, bond, &options, &error)
			 : posta_system_spawn(system, &bond_class, bond, &options, &error);
	scene_check(world->scene, bond->ref != POSTA_NOBODY, "spawn: %s", error.text);
	world->bonds++;
}

/* -- The scene -- */

static void meddle(struct world *world)
{
	struct scene *scene = world->scene;
	struct posta_system *system = posta_sim_system(scene->sim, 0);
	posta_ref ref = world->bond[scene_random(scene, world->bonds)].ref;
	switch (scene_random(scene, 24)) {
	case 0:
		posta_system_send(system, ref, FAIL, NULL, 0);
		break;
	case 1:
		posta_system_send(system, ref, END, NULL, 0);
		break;
	case 2:
		posta_system_stop_actor(system, ref, scene_chance(scene, 500) ? POSTA_OK : POSTA_EREFUSED);
		break;
	case 3:
	case 4:
		spawn_one(world, NULL);
		break;
	default:
		posta_system_send(system, ref, GO, NULL, 0);
	}
}

static void check_all(struct world *world)
{
	for (unsigned i = 0; i < world->bonds; i++)
		for (unsigned other = 0; other < world->bonds; other++)
			check_heard(world, &world->bond[i], &world->bond[other]);
	for (unsigned group = 0; group < GROUPS; group++)
		check_size(world, group);
	for (unsigned number = 0; number < world->notes; number++) {
		const struct note *note = &world->note[number];
		for (unsigned i = 0; i < world->bonds; i++)
			scene_check(world->scene, world->bond[i].ended || !((note->members & ~note->got) >> i & 1),
				    "note %u does not come to %u", number, i);
	}
}

static void run(struct scene *scene)
{
	struct world *world = calloc(1, sizeof *world);
	struct posta_sim_options options = { .workers = 1 + (int)(scene->seed % 4), .move_per_mille = 200 };
	if (!world) {
		scene_fail(scene, "out of memory");
		return;
	}
	world->scene = scene;
	if (scene_start(scene, options)) {
		for (uint32_t left = 4 + scene_random(scene, 5); left; left--)
			spawn_one(world, NULL);
		for (uint32_t left = 40 + scene_random(scene, 60); left; left--) {
			meddle(world);
			scene_some_steps(scene, 8);
		}
		posta_sim_settle(scene->sim);
		check_all(world);
		scene_stop(scene);
	}
	free(world);
}

const struct scene_kind scene_bonds = { "bonds", run };
