/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_SUPERVISOR_H
#define POSTA_RUNTIME_SUPERVISOR_H

/* What the state machine (supervisor.c) and its calls (supervisor_control.c, supervisor_spec.c) share. */

#include "runtime/system.h"

#include <posta/registry.h>
#include <posta/supervisor.h>
#include <posta/timer.h>

#define POSTA__INTENSITY_MAX 65536u

enum posta__phase {
	POSTA__CHILD_DOWN, /* not running, and nobody is about to start it */
	POSTA__CHILD_STARTING,
	POSTA__CHILD_UP,
	POSTA__CHILD_STOPPING, /* we asked it to */
	POSTA__CHILD_WAITING,  /* for its back-off */
};

/* Times of restarts in a sliding window; a ring that grows up to the intensity. */
struct posta__window {
	uint64_t *times;
	uint32_t room, first, count;
};

/* What should happen once the child has stopped. */
enum posta__then { POSTA__THEN_NOTHING, POSTA__THEN_KEEP, POSTA__THEN_DELETE };

/* Whose start is under way, and so whose failure it would be. */
enum posta__start {
	POSTA__START_FIRST,   /* the supervisor's own, or start_child's: the child is forgotten */
	POSTA__START_RESTART, /* tried again, as the intensity allows */
	POSTA__START_CALLED   /* restart_child's: the child stays down, its spec stays */
};

struct posta__child {
	struct posta_child_spec spec; /* id and spawn.name owned */
	struct posta__child *prev, *next, *slot_next, *id_next;
	uint64_t id_hash;
	uint64_t serial; /* in start order */
	enum posta__phase phase;
	enum posta__start start;
	struct posta_actor *slot; /* NULL: no actor */
	posta_ref ref;
	uint32_t attempt;
	uint64_t waited_ms, started_ns;
	posta_timer timer; /* back-off or shutdown */
	uint32_t epoch;    /* of the timer: one that fired and is not wanted any more is told by it */
	struct posta__window window;
	struct posta_caller caller; /* who waits for a control call to end */
	enum posta__then then;
	bool released;      /* told that its end is final */
	bool killed;        /* its time to stop is over: nobody waits in line behind it */
	bool owns_argument; /* a supervisor added later: its plan is ours */
	bool was_up;        /* since its last failure: only then it can have been healthy */
	uint64_t restarts;
	enum posta_err last_reason;
	char last_error[POSTA_ERROR_TEXT_MAX];
};

struct posta__children {
	struct posta__child *first, *last; /* in start order */
	struct posta__child **by_slot, **by_id;
	uint32_t buckets, count;
	uint64_t next_serial;
	struct posta__child *cursor; /* the next one to be started */
};

enum posta__procedure {
	POSTA__PROCEDURE_NONE,
	POSTA__PROCEDURE_START, /* the first start, in order */
	POSTA__PROCEDURE_STOP_GROUP,
	POSTA__PROCEDURE_WAIT_GROUP,
	POSTA__PROCEDURE_START_GROUP,
	POSTA__PROCEDURE_EXIT, /* all stop in reverse, then itself */
};

/* Made once, kept over the supervisor's own restarts. */
struct posta__plan {
	struct posta_supervisor_options options; /* name and children owned */
	_Atomic(bool) taken;                     /* by a tree: a plan has one place, so trees have no cycles */
	struct posta_child_spec children[];
};

struct posta__supervisor {
	const struct posta__plan *plan;
	struct posta__children children;
	struct posta__window window;
	enum posta__procedure procedure;
	bool started;  /* all of the first children were */
	bool exiting;  /* all of a simple one's children were asked to stop */
	uint64_t from; /* serial of the first child of the group that restarts */
	uint64_t group_wait_ms;
	posta_timer group_timer;
	uint32_t group_epoch;
};

extern const struct posta_actor_class posta__supervisor_class;
extern const struct posta__supervisor_hooks posta__supervisor_hooks;

enum posta__control {
	POSTA__CONTROL_START = POSTA_MSG_SYSTEM_FIRST_ + 200,
	POSTA__CONTROL_START_SIMPLE,
	POSTA__CONTROL_STOP,
	POSTA__CONTROL_STOP_SIMPLE,
	POSTA__CONTROL_RESTART,
	POSTA__CONTROL_DELETE,
	POSTA__CONTROL_WHICH,
	POSTA__CONTROL_COUNT,
	/* The answers: struct posta__control_done; of posta_child_info as many as there are; posta_child_count. */
	POSTA__CONTROL_DONE,
	POSTA__CONTROL_CHILDREN,
	POSTA__CONTROL_COUNTED,
};

struct posta__control_request {
	struct posta_child_spec spec;
	void *argument;
	posta_ref ref;
	char id[POSTA_NAME_MAX + 1];
	char name[POSTA_NAME_MAX + 1];
};

struct posta__control_done {
	enum posta_err result;
	posta_ref child;
};

/* -- supervisor.c -- */
enum posta_err posta__supervisor_control(struct posta_actor *self, struct posta__supervisor *supervisor,
					 struct posta_message *message);
void posta__child_start(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child);
void posta__child_stop(struct posta_actor *self, struct posta__child *child, enum posta__then then);
void posta__child_answer(struct posta_actor *self, struct posta__child *child, enum posta_err result);

/* -- supervisor_children.c -- */
struct posta__child *posta__child_by_id(const struct posta__children *children, const char *id);
struct posta__child *posta__child_by_slot(const struct posta__children *children, const struct posta_actor *slot);
struct posta__child *posta__child_by_ref(const struct posta__children *children, posta_ref ref);
/* Adds a record at the end. NULL when out of memory. */
struct posta__child *posta__child_add(struct posta_actor *self, struct posta__children *children,
				      const struct posta_child_spec *spec);
void posta__child_remove(struct posta_actor *self, struct posta__children *children, struct posta__child *child);
void posta__child_set_slot(struct posta__children *children, struct posta__child *child, struct posta_actor *slot);
void posta__child_clear_slot(struct posta__children *children, struct posta__child *child);
void posta__children_free(struct posta_actor *self, struct posta__children *children);

/* -- supervisor_window.c -- */
/* Returns: whether one more restart at now_ns is allowed; then it is noted. */
bool posta__window_admit(struct posta_system *system, struct posta__window *window, uint32_t intensity,
			 uint64_t period_ms, uint64_t now_ns);
void posta__window_free(struct posta_system *system, struct posta__window *window);
/* Notes the restart in both windows, the child's and the supervisor's. */
bool posta__child_may_restart(struct posta_actor *self, struct posta__supervisor *supervisor,
			      struct posta__child *child);
/* Sets its waited_ms. */
void posta__child_next_wait(struct posta_actor *self, const struct posta__supervisor *supervisor,
			    struct posta__child *child);

/* -- supervisor_spec.c -- */
/* Copies strings. Errors: EINVAL with the child and the field, ENOMEM. */
enum posta_err posta__spec_check(const struct posta_child_spec *spec, enum posta_strategy strategy,
				 enum posta_auto_shutdown auto_shutdown, struct posta_error *error);
/* A child that is a supervisor brings its plan, once. Errors: EINVAL: it has a place already. */
enum posta_err posta__spec_take(const struct posta_child_spec *spec, struct posta_error *error);
void posta__spec_give_back(const struct posta_child_spec *spec);
/* What its caller's version of it says; the rest is 0. */
struct posta_child_spec posta__spec_read(const struct posta_child_spec *given);
/* Returns: false: out of memory; what there is of it is for posta__spec_free() all the same. */
bool posta__spec_copy(struct posta_system *system, struct posta_child_spec *to, const struct posta_child_spec *from);
void posta__spec_free(struct posta_system *system, const struct posta_child_spec *spec);
struct posta__plan *posta__plan_make(struct posta_system *system, const struct posta_supervisor_options *options,
				     struct posta_error *error);
void posta__plan_free(struct posta_system *system, void *plan);

#endif
