/* SPDX-License-Identifier: MIT */
#include "runtime/supervisor.h"

#include <string.h>

#define CHILDREN_MAX_DEFAULT 1000000u

static enum posta_err bad(struct posta_error *error, const struct posta_child_spec *spec, const char *what)
{
	return posta_error_set(error, POSTA_EINVAL, "supervisor: child \"%s\": %s", spec->id ? spec->id : "(template)",
			       what);
}

static enum posta_err backoff_check(const struct posta_child_spec *spec, const struct posta_backoff *backoff,
				    struct posta_error *error)
{
	if (backoff->factor != 0 && !(backoff->factor >= 1 && backoff->factor <= 1000))
		return bad(error, spec, "backoff.factor must be 1 to 1000, or 0 for 2");
	if (backoff->max_ms && backoff->initial_ms > backoff->max_ms)
		return bad(error, spec, "backoff.initial_ms is above backoff.max_ms");
	return POSTA_OK;
}

enum posta_err posta__spec_check(const struct posta_child_spec *spec, enum posta_strategy strategy,
				 struct posta_error *error)
{
	size_t len = spec->id ? strnlen(spec->id, POSTA_NAME_MAX + 1) : 0;
	if (strategy != POSTA_SIMPLE_ONE_FOR_ONE && (!len || len > POSTA_NAME_MAX))
		return posta_error_set(error, POSTA_EINVAL,
				       "supervisor: a child without id: give each one of 1 to %u bytes",
				       POSTA_NAME_MAX);
	if (!spec->klass || !spec->klass->receive)
		return bad(error, spec, "klass has no receive function");
	if (spec->restart < POSTA_PERMANENT || spec->restart > POSTA_TEMPORARY)
		return bad(error, spec, "unknown restart type");
	if (spec->significant && spec->restart == POSTA_PERMANENT)
		return bad(error, spec, "a permanent child cannot be significant");
	if (spec->intensity > POSTA__INTENSITY_MAX && spec->intensity != POSTA_INTENSITY_UNLIMITED)
		return bad(error, spec, "intensity is above 65536");
	if (spec->when_down < POSTA_DOWN_KEEP || spec->when_down > POSTA_DOWN_DEAD_LETTER)
		return bad(error, spec, "unknown when_down policy");
	return backoff_check(spec, &spec->backoff, error);
}

static char *text_copy(struct posta_system *system, const char *text)
{
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
	memset(to, 0, sizeof *to);
	memcpy(to, from, from->size && from->size < sizeof *to ? from->size : sizeof *to);
	to->id = from->id ? text_copy(system, from->id) : NULL;
	to->spawn.name = from->spawn.name ? text_copy(system, from->spawn.name) : NULL;
	if ((from->id && !to->id) || (from->spawn.name && !to->spawn.name)) {
		posta__spec_free(system, to);
		return false;
	}
	return true;
}

void posta__spec_free(struct posta_system *system, struct posta_child_spec *spec)
{
	text_free(system, spec->id);
	text_free(system, spec->spawn.name);
	spec->id = spec->spawn.name = NULL;
}

static enum posta_err unique(const struct posta_supervisor_options *options, size_t index, struct posta_error *error)
{
	const char *id = options->children[index].id;
	for (size_t i = 0; i < index && id; i++)
		if (strcmp(options->children[i].id, id) == 0)
			return posta_error_set(error, POSTA_EINVAL,
					       "supervisor: child \"%s\": the id is taken by child %zu", id, i);
	return POSTA_OK;
}

static enum posta_err options_check(const struct posta_supervisor_options *options, struct posta_error *error)
{
	if (options->strategy < POSTA_ONE_FOR_ONE || options->strategy > POSTA_SIMPLE_ONE_FOR_ONE)
		return posta_error_set(error, POSTA_EINVAL, "supervisor: unknown strategy %d", (int)options->strategy);
	if (options->intensity > POSTA__INTENSITY_MAX && options->intensity != POSTA_INTENSITY_UNLIMITED)
		return posta_error_set(error, POSTA_EINVAL, "supervisor: intensity is above %u", POSTA__INTENSITY_MAX);
	if (options->auto_shutdown < POSTA_SHUTDOWN_NEVER || options->auto_shutdown > POSTA_SHUTDOWN_ALL_SIGNIFICANT)
		return posta_error_set(error, POSTA_EINVAL, "supervisor: unknown auto_shutdown %d",
				       (int)options->auto_shutdown);
	if (options->strategy == POSTA_SIMPLE_ONE_FOR_ONE && options->child_count != 1)
		return posta_error_set(error, POSTA_EINVAL,
				       "supervisor: simple_one_for_one needs exactly one template, not %zu",
				       options->child_count);
	for (size_t i = 0; i < options->child_count; i++) {
		enum posta_err result = posta__spec_check(&options->children[i], options->strategy, error);
		result = result ? result : unique(options, i, error);
		if (result)
			return result;
	}
	return POSTA_OK;
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

static struct posta__plan *plan_copy(struct posta_system *system, const struct posta_supervisor_options *given)
{
	struct posta__plan *plan = posta__zalloc(system, sizeof *plan);
	if (!plan)
		return NULL;
	struct posta_supervisor_options *options = &plan->options;
	memcpy(options, given, given->size && given->size < sizeof *options ? given->size : sizeof *options);
	options->name = given->name ? text_copy(system, given->name) : NULL;
	struct posta_child_spec *children = posta__zalloc(system, (given->child_count + 1) * sizeof *children);
	options->children = children;
	bool whole = children && (options->name || !given->name);
	for (size_t i = 0; whole && i < given->child_count; i++)
		whole = posta__spec_copy(system, &children[i], &given->children[i]);
	defaults(options);
	if (whole)
		return plan;
	posta__plan_free(system, plan);
	return NULL;
}

void posta__plan_free(struct posta_system *system, void *memory)
{
	struct posta__plan *plan = memory;
	if (!plan)
		return;
	struct posta_child_spec *children = (struct posta_child_spec *)(uintptr_t)plan->options.children;
	for (size_t i = 0; children && i < plan->options.child_count; i++) {
		if (children[i].klass == &posta__supervisor_class)
			posta__plan_free(system, children[i].argument);
		posta__spec_free(system, &children[i]);
	}
	posta__free(system, children, (plan->options.child_count + 1) * sizeof *children);
	text_free(system, plan->options.name);
	posta__free(system, plan, sizeof *plan);
}

struct posta__plan *posta__plan_make(struct posta_system *system, const struct posta_supervisor_options *options,
				     struct posta_error *error)
{
	static const struct posta_supervisor_options none = { 0 };
	options = options ? options : &none;
	if (options_check(options, error))
		return NULL;
	struct posta__plan *plan = plan_copy(system, options);
	if (!plan)
		posta_error_set(error, POSTA_ENOMEM, "supervisor: out of memory");
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
		posta__plan_free(worker->system, plan);
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
		posta__plan_free(system, plan);
	return ref;
}

enum posta_err posta_supervisor_spec(struct posta_system *system, const struct posta_supervisor_options *options,
				     struct posta_child_spec *spec, struct posta_error *error)
{
	struct posta__plan *plan = posta__plan_make(system, options, error);
	if (!plan)
		return error ? error->code : POSTA_EINVAL;
	spec->klass = &posta__supervisor_class;
	spec->argument = plan;
	spec->supervisor = true;
	return POSTA_OK;
}
