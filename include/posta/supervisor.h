/* SPDX-License-Identifier: MIT */
#ifndef POSTA_SUPERVISOR_H
#define POSTA_SUPERVISOR_H

/*
 * Supervisors start, watch, restart and stop children, and never handle anything else. Semantics are Erlang/OTP's
 * (OTP 25, stdlib "supervisor"), with back-off inside. A restarted child keeps its reference and, by policy, its
 * mailbox: those who know it need not learn a new name. A supervisor never blocks: it is a state machine.
 */

#include <posta/actor.h>
#include <posta/backoff.h>

#ifdef __cplusplus
extern "C" {
#endif

enum posta_strategy { POSTA_ONE_FOR_ONE, POSTA_ONE_FOR_ALL, POSTA_REST_FOR_ONE, POSTA_SIMPLE_ONE_FOR_ONE };
enum posta_restart { POSTA_PERMANENT, POSTA_TRANSIENT, POSTA_TEMPORARY };
enum posta_auto_shutdown { POSTA_SHUTDOWN_NEVER, POSTA_SHUTDOWN_ANY_SIGNIFICANT, POSTA_SHUTDOWN_ALL_SIGNIFICANT };
/* What happens to messages for a child that is down and will be restarted. */
enum posta_when_down {
	POSTA_DOWN_KEEP,        /* they wait, as the mailbox options allow */
	POSTA_DOWN_DEAD_LETTER, /* they, and those it had not handled, become dead letters */
	POSTA_DOWN_BOUNDED,     /* they wait, up to when_down_max messages in all; more are refused with EFULL */
	POSTA_DOWN_REJECT       /* they are refused with EFULL; those it had not handled wait */
};

#define POSTA_SHUTDOWN_BRUTAL UINT64_C(1) /* ms: no time */
#define POSTA_SHUTDOWN_INFINITY UINT64_MAX
#define POSTA_INTENSITY_UNLIMITED UINT32_MAX
#define POSTA_INTENSITY_NONE (UINT32_MAX - 1) /* no restart at all: what OTP writes as 0 */

struct posta_child_spec {
	size_t size;
	const char *id; /* unique in the supervisor, copied; NULL with SIMPLE_ONE_FOR_ONE */
	const struct posta_actor_class *klass;
	void *argument;
	struct posta_spawn_options spawn;
	enum posta_restart restart;
	/*
	 * Time to stop; then it, and all below it at once, are told again as a kill (EKILLED), and those before it in
	 * line wait for it no longer. A handler that runs is never torn from its thread. 0: 5,000 for a worker,
	 * infinity for a supervisor.
	 */
	uint64_t shutdown_ms;
	bool supervisor;    /* the child is a supervisor itself */
	bool significant;   /* only with auto_shutdown; not with PERMANENT */
	uint32_t intensity; /* restarts of this child in period_ms; 0: only the supervisor's limit */
	uint64_t period_ms;
	uint32_t redeliver_max; /* a message that failed the child is handled again so often, then a dead letter */
	enum posta_when_down when_down;
	struct posta_backoff backoff; /* all zero: the supervisor's */
	uint32_t when_down_max;       /* messages, with POSTA_DOWN_BOUNDED */
};

struct posta_supervisor_options {
	size_t size;
	const char *name; /* registered; NULL: none */
	enum posta_strategy strategy;
	uint32_t intensity; /* restarts in period_ms, then it gives up: 0: 1, as OTP; POSTA_INTENSITY_UNLIMITED */
	uint64_t period_ms; /* 0: 5,000 */
	enum posta_auto_shutdown auto_shutdown;
	struct posta_backoff backoff;            /* default of the children; all zero: restart at once */
	uint32_t children_max;                   /* dynamic children; 0: 1,000,000 */
	const struct posta_child_spec *children; /* copied; with SIMPLE_ONE_FOR_ONE: one template */
	size_t child_count;
	int worker; /* as in posta_spawn_options, with pinned */
	bool pinned;
};

/*
 * A supervisor as a child of self. Its children start in order, each start awaited; if one fails the started ones stop
 * in reverse and the supervisor ends with that reason. Errors: EINVAL names the spec and the field; EEXISTS; ENOMEM.
 */
posta_ref posta_supervise(struct posta_actor *self, const struct posta_supervisor_options *options,
			  struct posta_error *error);
/* The same from any thread, as a child of the system's root. */
posta_ref posta_system_supervise(struct posta_system *system, const struct posta_supervisor_options *options,
				 struct posta_error *error);
/*
 * A child spec whose child is a supervisor with these options (id and the rest remain to be filled). Takes on success
 * of the call that is given the spec: what spec->argument holds, once. Errors: as posta_supervise.
 */
enum posta_err posta_supervisor_spec(struct posta_system *system, const struct posta_supervisor_options *options,
				     struct posta_child_spec *spec, struct posta_error *error);
/* For a spec made by posta_supervisor_spec() that no call took after all. */
void posta_supervisor_spec_free(struct posta_system *system, struct posta_child_spec *spec);

/* Answer to the control calls, and what which_children fills. */
struct posta_child_info {
	char id[64];   /* cut where longer */
	posta_ref ref; /* POSTA_NOBODY: not running */
	bool running;
	bool restarting; /* it is being restarted, or waits for that: for its back-off, or with its group */
	bool supervisor;
	uint64_t restarts;
	enum posta_err last_reason;
	char last_error[POSTA_ERROR_TEXT_MAX];
};

/*
 * Control. Each answers by on_done in self's thread: result, and the child's reference where one runs.
 * Errors in result: EEXISTS (id taken; or running), ENOTFOUND (id), EFULL (children_max), ESTATE (restarting), EINVAL
 * (not with its strategy; or it is no supervisor), ENOMEM, the start's own. spec is copied. Thread: the actor's own.
 */
typedef enum posta_err posta_control_fn(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
					void *context);
/* Adds a child and starts it. */
enum posta_err posta_start_child(struct posta_actor *self, posta_ref supervisor, const struct posta_child_spec *spec,
				 posta_control_fn *on_done, void *context);
/* With SIMPLE_ONE_FOR_ONE: the template with this argument; one that is a supervisor has its own. */
enum posta_err posta_start_simple_child(struct posta_actor *self, posta_ref supervisor, void *argument,
					posta_control_fn *on_done, void *context);
/* Stops it; its spec stays, to be started again by posta_restart_child. _simple: and forgets it. */
enum posta_err posta_stop_child(struct posta_actor *self, posta_ref supervisor, const char *id,
				posta_control_fn *on_done, void *context);
enum posta_err posta_stop_simple_child(struct posta_actor *self, posta_ref supervisor, posta_ref child,
				       posta_control_fn *on_done, void *context);
/* Starts one again that was stopped or ended; one that runs is EEXISTS. */
enum posta_err posta_restart_child(struct posta_actor *self, posta_ref supervisor, const char *id,
				   posta_control_fn *on_done, void *context);
/* Forgets one that does not run; one that does is ESTATE. */
enum posta_err posta_delete_child(struct posta_actor *self, posta_ref supervisor, const char *id,
				  posta_control_fn *on_done, void *context);
struct posta_child_count {
	uint64_t specs;       /* children, running or not */
	uint64_t active;      /* running, or starting */
	uint64_t supervisors; /* of the specs */
	uint64_t workers;
};
/* count: borrowed for the call; NULL unless result is OK. */
typedef enum posta_err posta_count_fn(struct posta_actor *self, void *state, enum posta_err result,
				      const struct posta_child_count *count, void *context);
enum posta_err posta_count_children(struct posta_actor *self, posta_ref supervisor, posta_count_fn *on_done,
				    void *context);
/* children: borrowed for the call, in start order. */
typedef enum posta_err posta_children_fn(struct posta_actor *self, void *state, enum posta_err result,
					 const struct posta_child_info *children, size_t count, void *context);
enum posta_err posta_which_children(struct posta_actor *self, posta_ref supervisor, posta_children_fn *on_done,
				    void *context);
/*
 * The same for a thread that is none of posta's: blocks at most timeout_ms. *count: in, room in children; out, how many
 * there are.
 */
enum posta_err posta_system_which_children(struct posta_system *system, posta_ref supervisor, uint64_t timeout_ms,
					   struct posta_child_info *children, size_t *count);
/* Each as its asynchronous form, blocking. */
enum posta_err posta_system_count_children(struct posta_system *system, posta_ref supervisor, uint64_t timeout_ms,
					   struct posta_child_count *count);
enum posta_err posta_system_start_child(struct posta_system *system, posta_ref supervisor,
					const struct posta_child_spec *spec, uint64_t timeout_ms, posta_ref *child);

#ifdef __cplusplus
}
#endif
#endif
