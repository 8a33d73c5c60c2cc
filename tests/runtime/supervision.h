/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_RUNTIME_SUPERVISION_H
#define POSTA_TESTS_RUNTIME_SUPERVISION_H

/* A supervisor with three children a, b, c that write down what happens to them: "+a" started, "-a" stopped. */

#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 3 };
enum { MEMBER_STASH = 200, MEMBER_UNSTASH };

struct tree;

struct member {
	struct tree *tree;
	char letter;
	unsigned starts, stops, handled;
	bool stashing;
	enum posta_err fail_start;
	enum posta_err stop_reason;
	posta_ref self;
	struct posta_actor *actor; /* for posta_started from outside of a handler: the system is driven by hand */
};

struct tree {
	struct posta_system *system;
	struct kit_letters letters;
	struct member members[MEMBERS + 2];
	struct posta_child_spec specs[MEMBERS];
	struct posta_supervisor_options options;
	posta_ref supervisor;
	char trace[512];
};

static inline void trace(struct member *member, char sign)
{
	size_t len = strlen(member->tree->trace);
	if (len + 3 < sizeof member->tree->trace)
		snprintf(member->tree->trace + len, 3, "%c%c", sign, member->letter);
}

static inline enum posta_err member_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state;
	struct member *member = argument;
	member->starts++;
	member->self = posta_self(self);
	member->actor = self;
	trace(member, member->fail_start == POSTA_OK ? '+' : member->fail_start == POSTA_EPENDING ? '?' : '!');
	return member->fail_start;
}

static inline enum posta_err member_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct member *member = state;
	member->handled++;
	switch (message->type) {
	case KIT_FAIL:
		return POSTA_EFAILED;
	case KIT_STOP:
		posta_stop(self, posta_self(self), POSTA_OK);
		return POSTA_OK;
	case MEMBER_STASH:
		return member->stashing ? posta_stash(self, message) : POSTA_OK;
	case MEMBER_UNSTASH:
		member->stashing = false;
		posta_unstash(self);
		return POSTA_OK;
	default:
		return POSTA_OK;
	}
}

static inline void member_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self;
	struct member *member = state;
	member->stops++;
	member->stop_reason = reason;
	trace(member, '-');
}

static const struct posta_actor_class member_class = {
	.name = "member",
	.receive = member_receive,
	.start = member_start,
	.stop = member_stop,
};

static inline void tree_prepare(struct tree *tree, enum posta_strategy strategy)
{
	static const char *const ids[] = { "a", "b", "c" };
	memset(tree, 0, sizeof *tree);
	tree->system = kit_system(&tree->letters);
	for (int i = 0; i < MEMBERS + 2; i++)
		tree->members[i] = (struct member){ .tree = tree, .letter = (char)('a' + i) };
	for (int i = 0; i < MEMBERS; i++)
		tree->specs[i] = (struct posta_child_spec){ .id = ids[i],
							    .klass = &member_class,
							    .argument = &tree->members[i] };
	tree->options = (struct posta_supervisor_options){
		.name = "top",
		.strategy = strategy,
		.intensity = 100,
		.children = tree->specs,
		.child_count = MEMBERS,
	};
}

static inline void tree_start(struct tree *tree)
{
	struct posta_error error;
	tree->supervisor = posta_system_supervise(tree->system, &tree->options, &error);
	assert_true(tree->supervisor != POSTA_NOBODY);
	kit_settle(tree->system);
}

/* Nothing about it is special. */
static inline void tree_up(struct tree *tree, enum posta_strategy strategy)
{
	tree_prepare(tree, strategy);
	tree_start(tree);
}

static inline void tell(struct tree *tree, int member, uint32_t type)
{
	kit_send(tree->system, tree->members[member].self, type);
	kit_settle(tree->system);
}

static inline void fail_member(struct tree *tree, int member)
{
	tell(tree, member, KIT_FAIL);
}

static inline void starts_are(const struct tree *tree, unsigned a, unsigned b, unsigned c)
{
	assert_int_equal(tree->members[0].starts, a);
	assert_int_equal(tree->members[1].starts, b);
	assert_int_equal(tree->members[2].starts, c);
}

/* What happened since the last look. */
static inline void trace_is(struct tree *tree, const char *expected)
{
	assert_string_equal(tree->trace, expected);
	tree->trace[0] = '\0';
}

static inline bool supervisor_lives(struct tree *tree)
{
	return posta_system_send(tree->system, tree->supervisor, KIT_NOTE, NULL, 0) == POSTA_OK;
}

static inline void tree_end(struct tree *tree)
{
	kit_stop(tree->system);
}

/* An actor that makes one control call and keeps its answer. */
enum call { CALL_STOP, CALL_RESTART, CALL_DELETE, CALL_START, CALL_SIMPLE, CALL_STOP_SIMPLE, CALL_COUNT, CALL_WHICH };

struct caller {
	posta_ref supervisor, self, child;
	const char *id;
	const struct posta_child_spec *spec;
	void *argument;
	enum posta_err result;
	struct posta_child_count count;
	struct posta_child_info infos[8];
	size_t children;
	unsigned answers;
};

static inline enum posta_err caller_done(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
					 void *context)
{
	(void)self, (void)context;
	struct caller *caller = state;
	caller->answers++;
	caller->result = result;
	caller->child = child;
	return POSTA_OK;
}

static inline enum posta_err caller_counted(struct posta_actor *self, void *state, enum posta_err result,
					    const struct posta_child_count *count, void *context)
{
	struct caller *caller = state;
	assert_true(!count == (result != POSTA_OK));
	if (count)
		caller->count = *count;
	return caller_done(self, state, result, POSTA_NOBODY, context);
}

static inline enum posta_err caller_listed(struct posta_actor *self, void *state, enum posta_err result,
					   const struct posta_child_info *infos, size_t count, void *context)
{
	struct caller *caller = state;
	assert_true(!infos == (result != POSTA_OK));
	assert_true(infos || !count);
	caller->children = count;
	for (size_t i = 0; i < count && i < sizeof caller->infos / sizeof caller->infos[0]; i++)
		caller->infos[i] = infos[i];
	return caller_done(self, state, result, POSTA_NOBODY, context);
}

static inline enum posta_err caller_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct caller *caller = state;
	switch ((enum call)message->type) {
	case CALL_STOP:
		return posta_stop_child(self, caller->supervisor, caller->id, caller_done, NULL);
	case CALL_RESTART:
		return posta_restart_child(self, caller->supervisor, caller->id, caller_done, NULL);
	case CALL_DELETE:
		return posta_delete_child(self, caller->supervisor, caller->id, caller_done, NULL);
	case CALL_START:
		return posta_start_child(self, caller->supervisor, caller->spec, caller_done, NULL);
	case CALL_SIMPLE:
		return posta_start_simple_child(self, caller->supervisor, caller->argument, caller_done, NULL);
	case CALL_STOP_SIMPLE:
		return posta_stop_simple_child(self, caller->supervisor, caller->child, caller_done, NULL);
	case CALL_COUNT:
		return posta_count_children(self, caller->supervisor, caller_counted, NULL);
	case CALL_WHICH:
		return posta_which_children(self, caller->supervisor, caller_listed, NULL);
	}
	return POSTA_EUNHANDLED;
}

/* What the call says at once is its answer, too. */
static inline enum posta_err caller_handle(struct posta_actor *self, void *state, struct posta_message *message)
{
	enum posta_err result = caller_receive(self, state, message);
	if (result)
		caller_done(self, state, result, POSTA_NOBODY, NULL);
	return POSTA_OK;
}

static const struct posta_actor_class caller_class = { .name = "caller", .receive = caller_handle };

static inline void caller_spawn(struct caller *caller, struct posta_system *system, posta_ref supervisor)
{
	*caller = (struct caller){ .supervisor = supervisor, .id = "b" };
	caller->self = posta_system_spawn(system, &caller_class, caller, NULL, NULL);
}

static inline void tree_up_and_caller(struct tree *tree, enum posta_strategy strategy, struct caller *caller)
{
	tree_up(tree, strategy);
	caller_spawn(caller, tree->system, tree->supervisor);
}

/* Makes the call and waits for its answer. */
static inline enum posta_err do_call(struct posta_system *system, struct caller *caller, enum call call)
{
	unsigned before = caller->answers;
	kit_send(system, caller->self, call);
	kit_settle(system);
	assert_int_equal(caller->answers, before + 1);
	return caller->result;
}

/* The caller asks for a child d, whose start stays pending. */
static inline void start_pending(struct tree *tree, struct caller *caller)
{
	const struct posta_child_spec spec = { .id = "d", .klass = &member_class, .argument = &tree->members[3] };
	tree->members[3].fail_start = POSTA_EPENDING;
	caller_spawn(caller, tree->system, tree->supervisor);
	caller->spec = &spec;
	kit_send(tree->system, caller->self, CALL_START);
	kit_settle(tree->system);
	caller->spec = NULL;
	assert_int_equal(caller->answers, 0);
}

/* The supervisor ends before what the caller waits for: that is no success. */
static inline void supervisor_ends_meanwhile(struct tree *tree, const struct caller *caller)
{
	unsigned before = caller->answers;
	posta_system_stop_actor(tree->system, tree->supervisor, POSTA_ESHUTDOWN);
	kit_settle(tree->system);
	assert_int_equal(caller->answers, before + 1);
	assert_int_equal(caller->result, POSTA_ESHUTDOWN);
	tree_end(tree);
}

#endif
