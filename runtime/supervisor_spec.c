/* SPDX-License-Identifier: MIT */
#include "runtime/supervisor.h"

#include <stdlib.h>
#include <string.h>

#define CHILDREN_MAX_DEFAULT 1000000u
#define TIME_MS_MAX (INT64_MAX / 1000000)

static enum posta_err bad(struct posta_error *error, const struct posta_child_spec *spec, const char *what)
{
	return posta_error_set(error, POSTA_EINVAL, "supervisor: child \"%s\": %s", spec->id ? spec->id : "(template)",
			       what);
}

/* Of a field that an enum's values from 0 to last fill. */
static bool no_value(unsigned value, unsigned last)
{
	return value > last;
}

static bool bad_intensity(uint32_t intensity)
{
	return intensity > POSTA__INTENSITY_MAX && intensity != POSTA_INTENSITY_UNLIMITED &&
	       intensity != POSTA_INTENSITY_NONE;
}

/* A number that was negative before it became unsigned, or would not fit as nanoseconds. */
static bool no_time(uint64_t ms)
{
	return ms > TIME_MS_MAX;
}

static enum posta_err backoff_check(const struct posta_child_spec *spec, const struct posta_backoff *backoff,
				    struct posta_error *error)
{
	if (no_time(backoff->initial_ms) || no_time(backoff->max_ms) || no_time(backoff->reset_after_ms))
		return bad(error, spec, "a time of backoff is negative or above 292 years");
	if (no_value(backoff->jitter, POSTA_JITTER_DECORRELATED))
		return bad(error, spec, "unknown backoff.jitter");
	if (backoff->factor != 0 && !(backoff->factor >= 1 && backoff->factor <= 1000))
		return bad(error, spec, "backoff.factor must be 1 to 1000, or 0 for 2");
	if (backoff->max_ms && backoff->initial_ms > backoff->max_ms)
		return bad(error, spec, "backoff.initial_ms is above backoff.max_ms");
	return POSTA_OK;
}

static enum posta_err times_check(const struct posta_child_spec *spec, struct posta_error *error)
{
	if (no_time(spec->period_ms))
		return bad(error, spec, "period_ms is negative or above 292 years");
	if (spec->shutdown_ms != POSTA_SHUTDOWN_INFINITY && no_time(spec->shutdown_ms))
		return bad(error, spec,
			   "shutdown_ms is negative or above 292 years: POSTA_SHUTDOWN_INFINITY has no end");
	return backoff_check(spec, &spec->backoff, error);
}

static enum posta_err rules_check(const struct posta_child_spec *spec, enum posta_auto_shutdown auto_shutdown,
				  struct posta_error *error)
{
	if (no_value(spec->restart, POSTA_TEMPORARY))
		return bad(error, spec, "unknown restart type");
	if (spec->significant && spec->restart == POSTA_PERMANENT)
		return bad(error, spec, "a permanent child cannot be significant");
	if (spec->significant && auto_shutdown == POSTA_SHUTDOWN_NEVER)
		return bad(error, spec, "a significant child needs a supervisor with auto_shutdown");
	if (bad_intensity(spec->intensity))
		return bad(error, spec, "intensity is above 65536");
	if (no_value(spec->when_down, POSTA_DOWN_REJECT))
		return bad(error, spec, "unknown when_down policy");
	if ((spec->when_down == POSTA_DOWN_BOUNDED) != (spec->when_down_max != 0))
		return bad(error, spec, "when_down_max goes with POSTA_DOWN_BOUNDED, and is not 0 there");
	return POSTA_OK;
}

enum posta_err posta__spec_check(const struct posta_child_spec *spec, enum posta_strategy strategy,
				 enum posta_auto_shutdown auto_shutdown, struct posta_error *error)
{
	size_t len = spec->id ? strnlen(spec->id, POSTA_NAME_MAX + 1) : 0;
	if (strategy != POSTA_SIMPLE_ONE_FOR_ONE && (!len || len > POSTA_NAME_MAX))
		return posta_error_set(error, POSTA_EINVAL,
				       "supervisor: a child without id: give each one of 1 to %u bytes",
				       POSTA_NAME_MAX);
	if (!spec->klass || !spec->klass->receive)
		return bad(error, spec, "klass has no receive function");
	enum posta_err result = rules_check(spec, auto_shutdown, error);
	return result ? result : times_check(spec, error);
}

static struct posta__plan *plan_of(const struct posta_child_spec *spec)
{
	return spec->klass == &posta__supervisor_class ? spec->argument : NULL;
}

enum posta_err posta__spec_take(const struct posta_child_spec *spec, struct posta_error *error)
{
	struct posta__plan *plan = plan_of(spec);
	if (plan && atomic_exchange_explicit(&plan->taken, true, memory_order_relaxed))
		return bad(error, spec, "this supervisor has its place already: given twice, or in a cycle");
	return POSTA_OK;
}

void posta__spec_give_back(const struct posta_child_spec *spec)
{
	struct posta__plan *plan = plan_of(spec);
	if (plan)
		atomic_store_explicit(&plan->taken, false, memory_order_relaxed);
}

/* Of a public struct whose caller was built with another version of it: the fields both know. 0: this version. */
static size_t size_known(size_t given, size_t ours)
{
	return given && given < ours ? given : ours;
}

struct posta_child_spec posta__spec_read(const struct posta_child_spec *given)
{
	struct posta_child_spec spec = { .id = NULL };
	memcpy(&spec, given, size_known(given->size, sizeof spec));
	return spec;
}

static char *text_copy(struct posta_system *system, const char *text)
{
	if (!text)
		return NULL;
	size_t size = strlen(text) + 1;
	char *copy = posta__alloc(system, 1, size);
	return copy ? memcpy(copy, text, size) : NULL;
}

static void text_free(struct posta_system *system, const char *text)
{
	if (text)
		posta__free(system, (void *)(uintptr_t)text, strlen(text) + 1);
}

bool posta__spec_copy(struct posta_system *system, struct posta_child_spec *to, const struct posta_child_spec *from)
{
	const struct posta_child_spec given = posta__spec_read(from);
	*to = given;
	to->id = text_copy(system, given.id);
	to->spawn.name = text_copy(system, given.spawn.name);
	return (to->id || !given.id) && (to->spawn.name || !given.spawn.name);
}

void posta__spec_free(struct posta_system *system, const struct posta_child_spec *spec)
{
	text_free(system, spec->id);
	text_free(system, spec->spawn.name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that many children do not take long. A single one may have no id: a template. */
static enum posta_err unique(struct posta_system *system, const struct posta_supervisor_options *options,
			     struct posta_error *error)
{
	if (options->child_count < 2)
		return POSTA_OK;
	const size_t size = options->child_count * sizeof(const char *);
	const char **ids = posta__alloc(system, 16, size);
	if (!ids)
		return posta_error_set(error, POSTA_ENOMEM, "supervisor: out of memory");
	for (size_t i = 0; i < options->child_count; i++)
		ids[i] = options->children[i].id;
	qsort(ids, options->child_count, sizeof *ids, by_text);
	enum posta_err result = POSTA_OK;
	for (size_t i = 1; i < options->child_count && !result; i++)
		if (strcmp(ids[i - 1], ids[i]) == 0)
			result = posta_error_set(error, POSTA_EINVAL, "supervisor: two children have the id \"%s\"",
						 ids[i]);
	posta__free(system, ids, size);
	return result;
}

static enum posta_err options_check(struct posta_system *system, const struct posta_supervisor_options *options,
				    struct posta_error *error)
{
	if (no_value(options->strategy, POSTA_SIMPLE_ONE_FOR_ONE))
		return posta_error_set(error, POSTA_EINVAL, "supervisor: unknown strategy %d", (int)options->strategy);
	if (bad_intensity(options->intensity))
		return posta_error_set(error, POSTA_EINVAL, "supervisor: intensity is above %u", POSTA__INTENSITY_MAX);
	if (no_value(options->auto_shutdown, POSTA_SHUTDOWN_ALL_SIGNIFICANT))
		return posta_error_set(error, POSTA_EINVAL, "supervisor: unknown auto_shutdown %d",
				       (int)options->auto_shutdown);
	if (options->strategy == POSTA_SIMPLE_ONE_FOR_ONE && options->child_count != 1)
		return posta_error_set(error, POSTA_EINVAL,
				       "supervisor: simple_one_for_one needs exactly one template, not %zu",
				       options->child_count);
	if (options->child_count && !options->children)
		return posta_error_set(error, POSTA_EINVAL, "supervisor: child_count is %zu, children is NULL",
				       options->child_count);
	if (no_time(options->period_ms))
		return posta_error_set(error, POSTA_EINVAL, "supervisor: period_ms is negative or above 292 years");
	const struct posta_child_spec own = { .id = "(backoff of all)" };
	enum posta_err result = backoff_check(&own, &options->backoff, error);
	for (size_t i = 0; !result && i < options->child_count; i++)
		result = posta__spec_check(&options->children[i], options->strategy, options->auto_shutdown, error);
	return result ? result : unique(system, options, error);
}

static void defaults(struct posta_supervisor_options *options)
{
	if (!options->intensity)
		options->intensity = 1;
	if (!options->period_ms)
		options->period_ms = 5000;
	if (!options->children_max)
		options->children_max = CHILDREN_MAX_DEFAULT;
}

static size_t plan_size(size_t child_count)
{
	return sizeof(struct posta__plan) + child_count * sizeof(struct posta_child_spec);
}

/* But for what its children's arguments hold. */
static void plan_drop(struct posta_system *system, struct posta__plan *plan)
{
	for (size_t i = 0; i < plan->options.child_count; i++)
		posta__spec_free(system, &plan->children[i]);
	text_free(system, plan->options.name);
	posta__free(system, plan, plan_size(plan->options.child_count));
}

void posta__plan_free(struct posta_system *system, void *memory)
{
	struct posta__plan *plan = memory;
	for (size_t i = 0; i < plan->options.child_count; i++)
		if (plan_of(&plan->children[i]))
			posta__plan_free(system, plan->children[i].argument);
	plan_drop(system, plan);
}

static struct posta__plan *plan_copy(struct posta_system *system, const struct posta_supervisor_options *given)
{
	struct posta__plan *plan = posta__zalloc(system, plan_size(given->child_count));
	if (!plan)
		return NULL;
	plan->options = *given;
	plan->options.children = plan->children;
	plan->options.name = text_copy(system, given->name);
	defaults(&plan->options);
	bool whole = plan->options.name || !given->name;
	for (size_t i = 0; whole && i < given->child_count; i++)
		whole = posta__spec_copy(system, &plan->children[i], &given->children[i]);
	if (whole)
		return plan;
	plan_drop(system, plan);
	return NULL;
}

static void give_back(const struct posta_child_spec *children, size_t count)
{
	while (count--)
		posta__spec_give_back(&children[count]);
}

/* The call that was given it fails: what its children's arguments hold is the giver's again. */
static void plan_discard(struct posta_system *system, struct posta__plan *plan)
{
	give_back(plan->children, plan->options.child_count);
	plan_drop(system, plan);
}

struct posta__plan *posta__plan_make(struct posta_system *system, const struct posta_supervisor_options *given,
				     struct posta_error *error)
{
	struct posta_supervisor_options options = { .name = NULL };
	if (given)
		memcpy(&options, given, size_known(given->size, sizeof options));
	if (options_check(system, &options, error))
		return NULL;
	size_t taken = 0;
	while (taken < options.child_count && !posta__spec_take(&options.children[taken], error))
		taken++;
	bool all = taken == options.child_count;
	struct posta__plan *plan = all ? plan_copy(system, &options) : NULL;
	if (all && !plan)
		posta_error_set(error, POSTA_ENOMEM, "supervisor: out of memory");
	if (!plan)
		give_back(options.children, taken);
	return plan;
}

/* -- Public -- */

static struct posta_spawn_options spawn_options(const struct posta__plan *plan)
{
	return (struct posta_spawn_options){ .name = plan->options.name,
					     .pinned = plan->options.pinned,
					     .worker = plan->options.worker };
}

static struct posta__spawn spawn_of(struct posta__plan *plan, const struct posta_spawn_options *options,
				    struct posta_actor *parent)
{
	return (struct posta__spawn){
		.klass = &posta__supervisor_class,
		.argument = plan,
		.options = options,
		.parent = parent,
		.argument_free = posta__plan_free,
		.hooks = &posta__supervisor_hooks,
	};
}

posta_ref posta_supervise(struct posta_actor *self, const struct posta_supervisor_options *options,
			  struct posta_error *error)
{
	struct posta__worker *worker = posta__worker(self);
	struct posta__plan *plan = posta__plan_make(worker->system, options, error);
	if (!plan)
		return POSTA_NOBODY;
	struct posta_spawn_options spawn_with = spawn_options(plan);
	struct posta__spawn spawn = spawn_of(plan, &spawn_with, self);
	struct posta_actor *actor = posta__actor_spawn(worker, &spawn, error);
	if (!actor)
		plan_discard(worker->system, plan);
	return actor ? posta__self(actor) : POSTA_NOBODY;
}

posta_ref posta_system_supervise(struct posta_system *system, const struct posta_supervisor_options *options,
				 struct posta_error *error)
{
	struct posta__plan *plan = posta__plan_make(system, options, error);
	if (!plan)
		return POSTA_NOBODY;
	struct posta_spawn_options spawn_with = spawn_options(plan);
	struct posta__spawn spawn = spawn_of(plan, &spawn_with, system->root);
	posta_ref ref = posta__actor_spawn_under_root(system, &spawn, error);
	if (ref == POSTA_NOBODY)
		plan_discard(system, plan);
	return ref;
}

enum posta_err posta_supervisor_spec(struct posta_system *system, const struct posta_supervisor_options *options,
				     struct posta_child_spec *spec, struct posta_error *error)
{
	struct posta_error own;
	error = error ? error : &own;
	struct posta__plan *plan = posta__plan_make(system, options, error);
	if (!plan)
		return error->code;
	spec->klass = &posta__supervisor_class;
	spec->argument = plan;
	spec->supervisor = true;
	return POSTA_OK;
}

void posta_supervisor_spec_free(struct posta_system *system, struct posta_child_spec *spec)
{
	struct posta__plan *plan = plan_of(spec);
	if (plan && !atomic_load_explicit(&plan->taken, memory_order_relaxed))
		posta__plan_free(system, plan);
	spec->klass = NULL;
	spec->argument = NULL;
}
