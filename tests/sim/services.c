/* SPDX-License-Identifier: MIT */
/*
 * Questions, timers and names. Every question has one answer: a reply in time, a time-out at its very deadline, or that
 * the asked one is dead; replies that come later are counted as late and answer nothing. Timers fire when they are due,
 * as often as they are due, and not after they were cancelled. A name has one owner, and a lookup finds it.
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define ASKERS 3
#define SERVERS 5
#define CLOCKS 3
#define OWNERS 5
#define QUESTIONS_MAX 200
#define TIMERS_MAX 120
#define NAMES 4
#define NS_PER_MS UINT64_C(1000000)

enum { GO = 1, QUESTION, ANSWER_LATER, REPLY, TICK };

struct question {
	struct world *world;
	uint64_t asked_ns, timeout_ns;
	unsigned answers;
	bool asked, replied;
};

struct alarm {
	uint64_t armed_ns, every_ns, cancelled_ns;
	posta_timer timer;
	unsigned fired;
	bool periodic, cancelled, over; /* over: its owner ended */
	uint16_t owner;
};

struct later {
	struct posta_caller caller;
	uint32_t question;
};

struct world {
	struct scene *scene;
	unsigned questions, timers, alive_owners;
	struct question question[QUESTIONS_MAX];
	struct alarm alarm[TIMERS_MAX];
	posta_ref askers[ASKERS], servers[SERVERS], clocks[CLOCKS], owners[OWNERS];
	posta_ref name_owner[NAMES]; /* as register and unregister said */
	bool name_ended[NAMES];      /* its owner's stop has run: the name goes now */
	unsigned replies, in_time;
};

/* -- Questions -- */

static enum posta_err on_reply(struct posta_actor *self, void *state, enum posta_err status,
			       struct posta_message *reply, void *context)
{
	struct question *question = context;
	struct world *world = question->world;
	uint64_t passed = posta_now_ns(self) - question->asked_ns;
	(void)state;
	scene_check(world->scene, !question->answers++, "a question is answered twice");
	if (status == POSTA_ETIMEDOUT) {
		scene_check(world->scene, passed == question->timeout_ns, "a time-out of %llu ms comes after %llu us",
			    (unsigned long long)(question->timeout_ns / NS_PER_MS), (unsigned long long)passed / 1000);
		return POSTA_OK;
	}
	scene_check(world->scene, passed <= question->timeout_ns,
		    "a reply after the time-out is taken for one in time");
	if (status == POSTA_EDEAD)
		return POSTA_OK;
	uint32_t index = *(uint32_t *)posta_data(reply);
	scene_check(world->scene, &world->question[index] == question, "the reply to question %u answers question %u",
		    index, (unsigned)(question - world->question));
	world->in_time++;
	return POSTA_OK;
}

static void ask(struct world *world, struct posta_actor *self)
{
	uint32_t index = world->questions;
	if (index == QUESTIONS_MAX)
		return;
	struct question *question = &world->question[world->questions++];
	uint64_t ms = 1 + scene_random(world->scene, 40);
	*question = (struct question){ .world = world, .asked_ns = posta_now_ns(self), .timeout_ns = ms * NS_PER_MS };
	posta_ref to = world->servers[scene_random(world->scene, SERVERS)];
	enum posta_err result = posta_ask(self, to, QUESTION, &index, sizeof index, ms, on_reply, question);
	question->asked = !result;
	scene_check(world->scene, !result || result == POSTA_EDEAD, "ask: %s", posta_err_name(result));
	scene_check(world->scene, !result || !question->answers, "ask fails, and is answered");
}

static enum posta_err asker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	(void)message;
	for (uint32_t left = scene_random(world->scene, 4); left; left--) {
		ask(world, self);
		posta_sim_yield(self);
	}
	return POSTA_OK;
}

static void reply(struct world *world, struct posta_actor *self, const struct later *later)
{
	scene_check(world->scene, !world->question[later->question].replied, "a question is asked twice");
	world->question[later->question].replied = true;
	enum posta_err result = posta_reply_to(self, later->caller, REPLY, &later->question, sizeof later->question);
	scene_check(world->scene, !result, "reply: %s", posta_err_name(result));
	world->replies++;
}

static enum posta_err server_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	struct later later;
	if (message->type == ANSWER_LATER) {
		memcpy(&later, posta_data(message), sizeof later);
		reply(world, self, &later);
		return POSTA_OK;
	}
	later = (struct later){ posta_caller(message), *(uint32_t *)posta_data(message) };
	posta_sim_yield(self);
	switch (scene_random(world->scene, 8)) {
	case 0: /* never */
		break;
	case 1:
	case 2:
	case 3:
		posta_send_after(self, scene_random(world->scene, 60), posta_self(self), ANSWER_LATER, &later,
				 sizeof later);
		break;
	default:
		reply(world, self, &later);
	}
	return POSTA_OK;
}

/* -- Timers -- */

static void arm(struct world *world, struct posta_actor *self, uint16_t owner)
{
	if (world->timers == TIMERS_MAX)
		return;
	uint32_t index = world->timers++;
	struct alarm *alarm = &world->alarm[index];
	uint64_t ms = 1 + scene_random(world->scene, 80);
	*alarm = (struct alarm){ .armed_ns = posta_now_ns(self), .every_ns = ms * NS_PER_MS, .owner = owner };
	alarm->periodic = scene_chance(world->scene, 300);
	if (alarm->periodic)
		alarm->timer = posta_send_every(self, ms, posta_self(self), TICK, &index, sizeof index);
	else
		alarm->timer = posta_send_after(self, ms, posta_self(self), TICK, &index, sizeof index);
	scene_check(world->scene, alarm->timer, "no timer");
}

/* How often it was due until then. */
static unsigned due_by(const struct alarm *alarm, uint64_t ns)
{
	uint64_t count = (ns - alarm->armed_ns) / alarm->every_ns;
	return (unsigned)(alarm->periodic || count < 1 ? count : 1);
}

static void cancel(struct world *world, struct posta_actor *self, uint16_t owner)
{
	struct alarm *alarm = &world->alarm[scene_random(world->scene, world->timers)];
	uint64_t now = posta_now_ns(self);
	if (alarm->owner != owner || alarm->cancelled || alarm->over)
		return;
	bool done = posta_cancel(self, alarm->timer);
	scene_check(world->scene, done || due_by(alarm, now) == 1, "a timer that has not fired cannot be cancelled");
	scene_check(world->scene, !done || alarm->periodic || !alarm->fired, "a timer that fired is cancelled");
	alarm->cancelled = done;
	alarm->cancelled_ns = now;
}

static void tick(struct world *world, struct posta_actor *self, const struct posta_message *message)
{
	struct alarm *alarm = &world->alarm[*(uint32_t *)posta_data(message)];
	uint64_t now = posta_now_ns(self);
	alarm->fired++;
	scene_check(world->scene, alarm->periodic || !alarm->cancelled, "a cancelled timer fires");
	scene_check(world->scene, !alarm->cancelled || now == alarm->cancelled_ns, "a cancelled timer fires again");
	scene_check(world->scene, now == alarm->armed_ns + alarm->fired * alarm->every_ns,
		    "a timer of %llu ms fires for the %uth time after %llu us",
		    (unsigned long long)(alarm->every_ns / NS_PER_MS), alarm->fired,
		    (unsigned long long)(now - alarm->armed_ns) / 1000);
}

static enum posta_err clock_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	uint16_t owner = 0;
	while (world->clocks[owner] != posta_self(self))
		owner++;
	if (message->type == TICK)
		tick(world, self, message);
	if (scene_chance(world->scene, 600) && message->type == GO)
		arm(world, self, owner);
	if (scene_chance(world->scene, 400) && world->timers)
		cancel(world, self, owner);
	return POSTA_OK;
}

/* -- Names -- */

static const char *name_of(unsigned index)
{
	static const char *const names[NAMES] = { "n0", "n1", "n2", "n3" };
	return names[index];
}

static void look_up(struct world *world, unsigned index)
{
	posta_ref found = posta_lookup(posta_sim_system(world->scene->sim, 0), name_of(index));
	posta_ref owner = world->name_owner[index];
	scene_check(world->scene, found == owner || (world->name_ended[index] && found == POSTA_NOBODY),
		    "a name leads to another actor than its owner");
}

static void take_or_leave(struct world *world, struct posta_actor *self, unsigned index)
{
	posta_ref *owner = &world->name_owner[index];
	if (scene_chance(world->scene, 600)) {
		enum posta_err result = posta_register(self, name_of(index));
		bool free = *owner == POSTA_NOBODY || *owner == posta_self(self) || world->name_ended[index];
		scene_check(world->scene, result || free, "a name is taken twice");
		scene_check(world->scene, result != POSTA_EEXISTS || *owner != POSTA_NOBODY,
			    "a free name cannot be taken");
		if (result)
			return;
		*owner = posta_self(self);
		world->name_ended[index] = false;
		return;
	}
	enum posta_err result = posta_unregister(self, name_of(index));
	scene_check(world->scene, (result == POSTA_OK) == (*owner == posta_self(self)), "unregister: %s",
		    posta_err_name(result));
	if (!result)
		*owner = POSTA_NOBODY;
}

static enum posta_err owner_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	unsigned index = scene_random(world->scene, NAMES);
	(void)message;
	take_or_leave(world, self, index);
	look_up(world, index);
	posta_sim_yield(self);
	look_up(world, scene_random(world->scene, NAMES));
	return POSTA_OK;
}

static void owner_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct world *world = state;
	(void)reason;
	for (unsigned i = 0; i < NAMES; i++)
		world->name_ended[i] |= world->name_owner[i] == posta_self(self);
}

/* -- The scene -- */

static const struct posta_actor_class asker_class = { .name = "asker", .receive = asker_receive };
static const struct posta_actor_class server_class = { .name = "server", .receive = server_receive };
static const struct posta_actor_class clock_class = { .name = "clock", .receive = clock_receive };
static const struct posta_actor_class owner_class = { .name = "owner", .receive = owner_receive, .stop = owner_stop };

static posta_ref spawn(struct world *world, const struct posta_actor_class *klass)
{
	struct posta_system *system = posta_sim_system(world->scene->sim, 0);
	struct posta_spawn_options options = { .pinned = scene_chance(world->scene, 700) };
	if (options.pinned)
		options.worker = (int)scene_random(world->scene, (uint32_t)posta_system_workers(system) + 1);
	return posta_system_spawn(system, klass, world, &options, NULL);
}

/* Another one in the place of one that is told to end. */
static void replace(struct world *world, posta_ref *ref, const struct posta_actor_class *klass)
{
	posta_system_stop_actor(posta_sim_system(world->scene->sim, 0), *ref, POSTA_OK);
	if (scene_chance(world->scene, 800))
		*ref = spawn(world, klass);
}

static void meddle(struct world *world)
{
	struct scene *scene = world->scene;
	struct posta_system *system = posta_sim_system(scene->sim, 0);
	switch (scene_random(scene, 9)) {
	case 0:
	case 1:
		posta_system_send(system, world->askers[scene_random(scene, ASKERS)], GO, NULL, 0);
		break;
	case 2:
	case 3:
		posta_system_send(system, world->clocks[scene_random(scene, CLOCKS)], GO, NULL, 0);
		break;
	case 4:
	case 5:
		posta_system_send(system, world->owners[scene_random(scene, OWNERS)], GO, NULL, 0);
		break;
	case 6:
		if (scene_chance(scene, 200))
			replace(world, &world->servers[scene_random(scene, SERVERS)], &server_class);
		else if (scene_chance(scene, 200))
			replace(world, &world->owners[scene_random(scene, OWNERS)], &owner_class);
		break;
	default:
		posta_sim_advance(scene->sim, scene_random(scene, 30));
	}
}

static void check_timers(struct world *world)
{
	for (unsigned i = 0; i < world->timers; i++) {
		const struct alarm *alarm = &world->alarm[i];
		unsigned due =
			due_by(alarm, alarm->cancelled ? alarm->cancelled_ns : posta_sim_now_ns(world->scene->sim));
		/* At the very moment of its cancelling one may be under way, or not fired any more. */
		scene_check(world->scene, alarm->fired == due || (alarm->cancelled && alarm->fired + 1 == due),
			    "timer %u fired %u times, and was due %u times", i, alarm->fired, due);
	}
}

static void check_questions(struct world *world)
{
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(posta_sim_system(world->scene->sim, 0), &metrics);
	for (unsigned i = 0; i < world->questions; i++)
		scene_check(world->scene, world->question[i].answers == world->question[i].asked,
			    "question %u has %u answers", i, world->question[i].answers);
	unsigned late = world->replies - world->in_time;
	scene_check(world->scene, metrics.late_replies == late, "%llu late replies are counted, %u were",
		    (unsigned long long)metrics.late_replies, late);
}

static void play(struct world *world)
{
	for (unsigned i = 0; i < ASKERS; i++)
		world->askers[i] = spawn(world, &asker_class);
	for (unsigned i = 0; i < SERVERS; i++)
		world->servers[i] = spawn(world, &server_class);
	for (unsigned i = 0; i < CLOCKS; i++)
		world->clocks[i] = spawn(world, &clock_class);
	for (unsigned i = 0; i < OWNERS; i++)
		world->owners[i] = spawn(world, &owner_class);
	for (unsigned left = 100; left; left--) {
		meddle(world);
		scene_some_steps(world->scene, 10);
		look_up(world, scene_random(world->scene, NAMES));
	}
	posta_sim_advance(world->scene->sim, 200);
	check_questions(world);
	check_timers(world);
}

static void run(struct scene *scene)
{
	struct world *world = calloc(1, sizeof *world);
	struct posta_sim_options options = {
		.workers = 1 + (int)(scene->seed % 4),
		.move_per_mille = 200,
	};
	if (!world) {
		scene_fail(scene, "out of memory");
		return;
	}
	world->scene = scene;
	if (scene_start(scene, options)) {
		play(world);
		scene_stop(scene);
	}
	free(world);
}

const struct scene_kind scene_services = { "services", run };
