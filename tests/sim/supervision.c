/* SPDX-License-Identifier: MIT */
/*
 * Random trees of supervisors whose children fail, end, crash and do not start. What must hold whatever happens:
 *
 *   a child runs once at a time; its own children are gone before it is;
 *   where order counts, none that comes after it in line runs when it starts, or when it is told to end;
 *   a restart comes no later than its back-off's cap, and no more of them in a period than the intensity;
 *   who watches hears of an end once; when the faults are over, what is permanent runs; after the stop nothing does.
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define UNITS_MAX 48
#define BOSSES_MAX 10
#define CHILDREN_MAX 5
#define LOG_MAX 512
#define WATCHES_MAX 96
#define NS_PER_MS UINT64_C(1000000)

enum { NOTE = 1, FAIL, EXIT, WATCH, DYNAMIC };

struct world;

struct boss {
	struct boss *parent; /* NULL: under the root */
	struct posta_supervisor_options options;
	struct posta_child_spec specs[CHILDREN_MAX];
	char ids[CHILDREN_MAX][8];
	enum posta_restart restart;
	uint64_t failed_ns[LOG_MAX]; /* failures that were followed by a restart, of one life of the boss */
	unsigned failures;
};

struct unit {
	struct world *world;
	struct boss *boss;
	unsigned order; /* in line */
	enum posta_restart restart;
	posta_ref ref;
	bool live, ever, asked; /* asked: a dynamic one */
	unsigned helpers, answers;
	enum posta_err reason, started; /* of its last end; of a dynamic one's start */
	uint64_t stopped_ns;
};

struct watch {
	posta_ref ref;
	posta_monitor monitor;
	unsigned downs;
};

struct world {
	struct scene *scene;
	bool calm;
	unsigned units, bosses, watches;
	struct unit unit[UNITS_MAX];
	struct boss boss[BOSSES_MAX + 1]; /* the last: of the dynamic ones */
	struct watch watch[WATCHES_MAX];
	posta_ref watcher, top, dynamic;
	struct boss *dynamic_boss;
};

/* -- A helper: a child of a unit -- */

static enum posta_err helper_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_OK;
}

static void helper_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct unit *unit = state;
	(void)self, (void)reason;
	unit->helpers--;
}

static const struct posta_actor_class helper_class = { .name = "helper",
						       .receive = helper_receive,
						       .stop = helper_stop };

/* -- A unit: a child that is no supervisor -- */

static bool in_line(const struct boss *boss)
{
	return boss->options.strategy != POSTA_SIMPLE_ONE_FOR_ONE;
}

static void none_after(struct unit *unit, const char *when)
{
	struct world *world = unit->world;
	for (unsigned i = 0; i < world->units; i++) {
		const struct unit *other = &world->unit[i];
		scene_check(world->scene, other->boss != unit->boss || other->order <= unit->order || !other->live,
			    "child %u of boss %u runs when child %u %s", other->order,
			    (unsigned)(unit->boss - world->boss), unit->order, when);
	}
}

static void check_intensity(struct world *world, const struct boss *boss)
{
	uint64_t last = boss->failed_ns[boss->failures - 1], period = boss->options.period_ms * NS_PER_MS;
	unsigned count = 0;
	for (unsigned i = 0; i < boss->failures; i++)
		count += last - boss->failed_ns[i] < period;
	scene_check(world->scene, count <= boss->options.intensity, "boss %u: %u restarts in %llu ms, %u are allowed",
		    (unsigned)(boss - world->boss), count, (unsigned long long)boss->options.period_ms,
		    boss->options.intensity);
}

/* The same reference again. Of a group, a member may wait for others; alone it waits for its back-off only. */
static void check_restart(struct unit *unit, uint64_t now)
{
	struct boss *boss = unit->boss;
	uint64_t waited = (now - unit->stopped_ns) / NS_PER_MS, cap = boss->options.backoff.max_ms;
	scene_check(unit->world->scene, unit->restart != POSTA_TEMPORARY, "a temporary child is restarted");
	if (boss->options.strategy != POSTA_ONE_FOR_ONE && in_line(boss))
		return;
	scene_check(unit->world->scene, unit->restart == POSTA_PERMANENT || unit->reason != POSTA_OK,
		    "a transient child that ended normally is restarted");
	scene_check(unit->world->scene, waited <= cap, "it waited %llu ms, the cap is %llu", (unsigned long long)waited,
		    (unsigned long long)cap);
	if (boss->failures < LOG_MAX) {
		boss->failed_ns[boss->failures++] = unit->stopped_ns;
		check_intensity(unit->world, boss);
	}
}

static enum posta_err unit_start(struct posta_actor *self, void *state, void *argument)
{
	struct unit *unit = state;
	struct scene *scene = unit->world->scene;
	bool again = unit->ever && unit->ref == posta_self(self);
	(void)argument;
	scene_check(scene, !unit->live, "a child runs twice at a time");
	if (again)
		check_restart(unit, posta_now_ns(self));
	else
		unit->boss->failures = 0; /* another life of its boss */
	if (in_line(unit->boss) && (!again || unit->boss->options.strategy != POSTA_ONE_FOR_ONE))
		none_after(unit, "starts");
	unit->live = unit->ever = true;
	posta_sim_note(scene->sim, "    child %u of boss %u starts%s", unit->order,
		       (unsigned)(unit->boss - unit->world->boss), again ? " again" : "");
	unit->ref = posta_self(self);
	for (unsigned left = scene_random(scene, 3); left; left--)
		unit->helpers += posta_spawn(self, &helper_class, unit) != POSTA_NOBODY;
	posta_sim_yield(self);
	return !unit->world->calm && scene_chance(scene, 60) ? POSTA_EIO : POSTA_OK;
}

static void unit_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct unit *unit = state;
	scene_check(unit->world->scene, !unit->helpers, "a child ends before its own children: %u run", unit->helpers);
	if (unit->live && reason == POSTA_ESHUTDOWN && in_line(unit->boss))
		none_after(unit, "is told to end");
	posta_sim_note(unit->world->scene->sim, "    child %u of boss %u ends: %s", unit->order,
		       (unsigned)(unit->boss - unit->world->boss), posta_err_name(reason));
	unit->live = false;
	unit->reason = reason;
	unit->stopped_ns = posta_now_ns(self);
}

static enum posta_err unit_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct unit *unit = state;
	scene_check(unit->world->scene, unit->live, "a child handles a message when it does not run");
	posta_sim_yield(self);
	if (message->type == FAIL)
		return POSTA_EFAILED;
	if (message->type == EXIT)
		posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static const struct posta_actor_class unit_class = {
	.name = "unit", .receive = unit_receive, .start = unit_start, .stop = unit_stop
};

/* -- Who watches, and asks for dynamic children -- */

static void hear(struct world *world, const struct posta_down *down)
{
	for (unsigned i = 0; i < world->watches; i++) {
		struct watch *watch = &world->watch[i];
		if (watch->monitor != down->monitor)
			continue;
		scene_check(world->scene, watch->ref == down->ref, "DOWN of another actor");
		scene_check(world->scene, !watch->downs++, "DOWN twice");
		return;
	}
	scene_fail(world->scene, "DOWN of an unknown monitor");
}

static void watch(struct world *world, struct posta_actor *self, posta_ref ref)
{
	if (world->watches == WATCHES_MAX || ref == POSTA_NOBODY)
		return;
	struct watch *watch = &world->watch[world->watches++];
	watch->ref = ref;
	watch->monitor = posta_watch(self, ref);
}

static enum posta_err on_dynamic(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
				 void *context)
{
	struct unit *unit = context;
	(void)self, (void)state, (void)child;
	scene_check(unit->world->scene, !unit->answers++, "start_child is answered twice");
	unit->started = result;
	return POSTA_OK;
}

static struct unit *unit_new(struct world *world, struct boss *boss, unsigned order, enum posta_restart restart)
{
	struct unit *unit = &world->unit[world->units++];
	*unit = (struct unit){ .world = world, .boss = boss, .order = order, .restart = restart };
	return unit;
}

static void start_dynamic(struct world *world, struct posta_actor *self)
{
	if (world->units == UNITS_MAX)
		return;
	struct unit *unit = unit_new(world, world->dynamic_boss, 0, world->dynamic_boss->specs[0].restart);
	unit->asked = !posta_start_simple_child(self, world->dynamic, unit, on_dynamic, unit);
}

static enum posta_err watcher_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	if (message->type == POSTA_MSG_DOWN)
		hear(world, posta_data(message));
	else if (message->type == WATCH)
		watch(world, self, *(posta_ref *)posta_data(message));
	else if (message->type == DYNAMIC)
		start_dynamic(world, self);
	return POSTA_OK;
}

static const struct posta_actor_class watcher_class = { .name = "watcher", .receive = watcher_receive };

/* -- Trees by chance -- */

static struct posta_backoff backoff_by_chance(struct scene *scene)
{
	if (scene_chance(scene, 400))
		return (struct posta_backoff){ 0 };
	uint64_t initial = 1 + scene_random(scene, 50);
	return (struct posta_backoff){
		.initial_ms = initial,
		.max_ms = initial + scene_random(scene, 500),
		.factor = 1 + scene_random(scene, 3),
		.jitter = (enum posta_jitter)scene_random(scene, 4),
	};
}

static void spec_by_chance(struct world *world, struct boss *boss, struct posta_child_spec *spec)
{
	struct scene *scene = world->scene;
	int workers = posta_system_workers(posta_sim_system(scene->sim, 0));
	spec->restart = scene_chance(scene, 600) ? POSTA_PERMANENT : (enum posta_restart)scene_random(scene, 3);
	spec->redeliver_max = scene_random(scene, 3);
	spec->when_down = (enum posta_when_down)scene_random(scene, 4);
	spec->when_down_max = spec->when_down == POSTA_DOWN_BOUNDED ? 4 : 0;
	spec->shutdown_ms = scene_chance(scene, 100) ? POSTA_SHUTDOWN_BRUTAL : 0;
	spec->significant = boss->options.auto_shutdown && spec->restart != POSTA_PERMANENT && scene_chance(scene, 500);
	if (scene_chance(scene, 600))
		spec->spawn = (struct posta_spawn_options){ .pinned = true,
							    .worker = (int)scene_random(scene, (unsigned)workers + 1) };
}

static struct boss *boss_by_chance(struct world *world, struct boss *parent, unsigned depth);

static void child_by_chance(struct world *world, struct boss *boss, unsigned order, unsigned depth)
{
	struct posta_child_spec *spec = &boss->specs[order];
	struct posta_error error;
	struct boss *below = NULL;
	snprintf(boss->ids[order], sizeof boss->ids[order], "c%u", order);
	if (depth < 3 && world->bosses < BOSSES_MAX && scene_chance(world->scene, 350))
		below = boss_by_chance(world, boss, depth + 1);
	if (below && posta_supervisor_spec(posta_sim_system(world->scene->sim, 0), &below->options, spec, &error))
		scene_fail(world->scene, "a spec is refused: %s", error.text);
	spec_by_chance(world, boss, spec);
	spec->id = boss->ids[order];
	posta_sim_note(world->scene->sim, "  child %u of boss %u: %s, restart %d, significant %d", order,
		       (unsigned)(boss - world->boss), below ? "a boss" : "a unit", (int)spec->restart,
		       spec->significant);
	if (below) {
		spec->shutdown_ms = 0;
		below->restart = spec->restart;
	} else {
		spec->klass = &unit_class;
		spec->argument = unit_new(world, boss, order, spec->restart);
	}
}

static struct boss *boss_by_chance(struct world *world, struct boss *parent, unsigned depth)
{
	struct scene *scene = world->scene;
	struct boss *boss = &world->boss[world->bosses++];
	unsigned count = 1 + scene_random(scene, CHILDREN_MAX - 1);
	boss->parent = parent;
	boss->options = (struct posta_supervisor_options){
		.strategy = (enum posta_strategy)scene_random(scene, 3),
		.intensity = 1 + scene_random(scene, 6),
		.period_ms = 50 + scene_random(scene, 2000),
		.auto_shutdown = scene_chance(scene, 150) ? (enum posta_auto_shutdown)scene_random(scene, 3)
							  : POSTA_SHUTDOWN_NEVER,
		.backoff = backoff_by_chance(scene),
		.children = boss->specs,
		.child_count = count,
	};
	for (unsigned i = 0; i < count && world->units < UNITS_MAX / 2; i++)
		child_by_chance(world, boss, i, depth);
	posta_sim_note(
		scene->sim, "boss %u: strategy %d, %u restarts in %llu ms, waits %llu to %llu ms, auto-shutdown %d",
		(unsigned)(boss - world->boss), (int)boss->options.strategy, boss->options.intensity,
		(unsigned long long)boss->options.period_ms, (unsigned long long)boss->options.backoff.initial_ms,
		(unsigned long long)boss->options.backoff.max_ms, (int)boss->options.auto_shutdown);
	while (boss->options.child_count && !boss->specs[boss->options.child_count - 1].id)
		boss->options.child_count--;
	return boss;
}

/* Its children come when the watcher asks for them. */
static void make_dynamic(struct world *world)
{
	struct boss *boss = world->dynamic_boss = &world->boss[world->bosses++];
	struct posta_error error;
	boss->options = (struct posta_supervisor_options){
		.strategy = POSTA_SIMPLE_ONE_FOR_ONE,
		.intensity = 3 + scene_random(world->scene, 6),
		.period_ms = 50 + scene_random(world->scene, 2000),
		.backoff = backoff_by_chance(world->scene),
		.children = boss->specs,
		.child_count = 1,
	};
	boss->specs[0] = (struct posta_child_spec){
		.klass = &unit_class,
		.restart = (enum posta_restart)scene_random(world->scene, 3),
	};
	world->dynamic = posta_system_supervise(posta_sim_system(world->scene->sim, 0), &boss->options, &error);
	scene_check(world->scene, world->dynamic != POSTA_NOBODY, "supervise: %s", error.text);
}

/* -- The scene -- */

static void tell_watcher(struct world *world, uint32_t type, posta_ref ref)
{
	posta_system_send(posta_sim_system(world->scene->sim, 0), world->watcher, type, &ref, sizeof ref);
}

static void meddle(struct world *world)
{
	struct scene *scene = world->scene;
	struct posta_system *system = posta_sim_system(scene->sim, 0);
	struct unit *unit = &world->unit[scene_random(scene, world->units)];
	switch (scene_random(scene, 10)) {
	case 0:
	case 1:
	case 2:
		posta_system_send(system, unit->ref, FAIL, NULL, 0);
		break;
	case 3:
		posta_system_send(system, unit->ref, EXIT, NULL, 0);
		break;
	case 4:
	case 5:
		posta_system_send(system, unit->ref, NOTE, NULL, 0);
		break;
	case 6:
		tell_watcher(world, WATCH, unit->ref);
		break;
	case 7:
		tell_watcher(world, DYNAMIC, POSTA_NOBODY);
		break;
	default:
		posta_sim_advance(scene->sim, scene_random(scene, 300));
	}
}

static bool permanent_up_to_root(const struct boss *boss)
{
	for (; boss->parent; boss = boss->parent)
		if (boss->restart != POSTA_PERMANENT)
			return false;
	return true;
}

static void all_permanent_run(struct world *world)
{
	bool top = !world->watch[0].downs, dynamic = !world->watch[1].downs;
	for (unsigned i = 0; i < world->units; i++) {
		const struct unit *unit = &world->unit[i];
		bool stays = unit->restart == POSTA_PERMANENT && permanent_up_to_root(unit->boss);
		if (unit->boss == world->dynamic_boss)
			stays = stays && dynamic && unit->asked && unit->answers && !unit->started;
		else
			stays = stays && top;
		scene_check(world->scene, !stays || unit->live, "child %u of boss %u is permanent and does not run",
			    unit->order, (unsigned)(unit->boss - world->boss));
	}
}

static void build(struct world *world)
{
	struct posta_system *system = posta_sim_system(world->scene->sim, 0);
	struct posta_error error;
	world->watcher = posta_system_spawn(system, &watcher_class, world, NULL, NULL);
	world->top = posta_system_supervise(system, &boss_by_chance(world, NULL, 0)->options, &error);
	scene_check(world->scene, world->top != POSTA_NOBODY, "supervise: %s", error.text);
	make_dynamic(world);
	tell_watcher(world, WATCH, world->top);
	tell_watcher(world, WATCH, world->dynamic);
}

static void play(struct world *world)
{
	struct scene *scene = world->scene;
	build(world);
	for (unsigned left = 60; left; left--) {
		meddle(world);
		scene_some_steps(scene, 20);
	}
	posta_sim_calm(scene->sim);
	world->calm = true;
	posta_sim_advance(scene->sim, 200000); /* what fails them waits in their mailboxes, and is redelivered */
	all_permanent_run(world);
	posta_system_stop_actor(posta_sim_system(scene->sim, 0), world->top, POSTA_ESHUTDOWN);
	posta_system_stop_actor(posta_sim_system(scene->sim, 0), world->dynamic, POSTA_ESHUTDOWN);
	posta_sim_advance(scene->sim, 20000);
	for (unsigned i = 0; i < world->watches; i++)
		scene_check(scene, world->watch[i].downs == 1, "monitor %u hears of the end %u times", i,
			    world->watch[i].downs);
	for (unsigned i = 0; i < world->units; i++)
		scene_check(scene, !world->unit[i].live && !world->unit[i].helpers, "child %u of boss %u never ends",
			    world->unit[i].order, (unsigned)(world->unit[i].boss - world->boss));
}

static void run(struct scene *scene)
{
	struct world *world = calloc(1, sizeof *world);
	struct posta_sim_options options = {
		.workers = 1 + (int)(scene->seed % 3),
		.move_per_mille = 200,
		.crash_per_mille = 10,
		.fail_per_mille = 10,
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

const struct scene_kind scene_supervision = { "supervision", run };
