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

struct posta__child {
	struct posta_child_spec spec; /* id and spawn.name owned */
	uint32_t serial;              /* names it in timers */
	enum posta__phase phase;
	struct posta_actor *slot; /* NULL: no actor */
	posta_ref ref;
	uint32_t attempt;
	uint64_t waited_ms, started_ns;
	posta_timer timer; /* back-off or shutdown */
	struct posta__window window;
	struct posta_caller caller; /* who waits for a control call to end */
	enum posta__then then;
	bool released;      /* told that its end is final */
	bool owns_argument; /* a supervisor added later: its plan is ours */
	bool first_start;   /* its failure is the start call's, not a restart */
	uint64_t restarts;
	enum posta_err last_reason;
	char last_error[POSTA_ERROR_TEXT_MAX];
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
};

struct posta__supervisor {
	const struct posta__plan *plan;
	struct posta__child **children; /* in start order */
	uint32_t count, room;
	uint32_t next_serial;
	struct posta__window window;
	enum posta__procedure procedure;
	uint32_t from;         /* first child of the group */
	enum posta_err reason; /* of the exit */
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
	POSTA__CONTROL_DONE, /* the answer: struct posta__control_done */
	POSTA__TIMER_RESTART,
	POSTA__TIMER_SHUTDOWN,
	POSTA__TIMER_GROUP,
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
struct posta__child *posta__child_by_id(struct posta__supervisor *supervisor, const char *id);
/* Adds a record at the end. NULL when out of memory. */
struct posta__child *posta__child_add(struct posta_actor *self, struct posta__supervisor *supervisor,
				      const struct posta_child_spec *spec);
void posta__child_remove(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child);
void posta__child_start(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child);
void posta__child_stop(struct posta_actor *self, struct posta__child *child, enum posta__then then);
void posta__child_answer(struct posta_actor *self, struct posta__child *child, enum posta_err result);

/* -- supervisor_window.c -- */
/* Returns: whether one more restart at now_ns is allowed; then it is noted. */
bool posta__window_admit(struct posta_system *system, struct posta__window *window, uint32_t intensity,
			 uint64_t period_ms, uint64_t now_ns);
void posta__window_free(struct posta_system *system, struct posta__window *window);

/* -- supervisor_spec.c -- */
/* Copies strings. Errors: EINVAL with the child and the field, ENOMEM. */
enum posta_err posta__spec_check(const struct posta_child_spec *spec, enum posta_strategy strategy,
				 struct posta_error *error);
bool posta__spec_copy(struct posta_system *system, struct posta_child_spec *to, const struct posta_child_spec *from);
void posta__spec_free(struct posta_system *system, struct posta_child_spec *spec);
struct posta__plan *posta__plan_make(struct posta_system *system, const struct posta_supervisor_options *options,
				     struct posta_error *error);
void posta__plan_free(struct posta_system *system, void *plan);

#endif
