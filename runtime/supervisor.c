/* SPDX-License-Identifier: MIT */
/*
 * A supervisor is a state machine that never waits: it asks a child to start or stop and goes on when it hears of it.
 *
 *   child:      DOWN ─start─▶ STARTING ─started─▶ UP ─ends─▶ WAITING (back-off) ─restart─▶ STARTING
 *                 ▲                                │asked
 *                 └────────────── gone ◀─ STOPPING ◀┘
 *
 *   procedure:  START (first start, in order) ─▶ NONE
 *               any ─a child ended, all/rest─▶ STOP_GROUP (reverse) ─▶ WAIT_GROUP ─▶ START_GROUP (in order) ─▶ NONE
 *               any ─asked to stop, or too many restarts─▶ EXIT (all, in reverse)
 *
 * A supervised actor that ends is suspended: its slot, reference and mailbox stay until we restart or release it.
 * Its own timers come as signals: they are heard also while it starts or stops, when messages have to wait.
 * Source: Erlang/OTP 25, stdlib reference, supervisor(3); where we differ: docs/guides/supervision.md.
 */
#include "runtime/supervisor.h"
#include "runtime/ask.h"
#include "runtime/block.h"
#include "runtime/cold.h"
#include "runtime/mailbox.h"

#include <posta/log.h>

#include <stdio.h>
#include <string.h>

#define SHUTDOWN_DEFAULT_MS 5000u

static struct posta__supervisor *state_of(const struct posta_actor *self)
{
	return self->state;
}

static struct posta_system *system_of(const struct posta_actor *self)
{
	return posta__worker(self)->system;
}

static const struct posta_supervisor_options *options_of(const struct posta__supervisor *supervisor)
{
	return &supervisor->plan->options;
}

static const char *name_of(const struct posta__supervisor *supervisor)
{
	return options_of(supervisor)->name ? options_of(supervisor)->name : "-";
}

static const char *id_of(const struct posta__child *child)
{
	return child->spec.id ? child->spec.id : "-";
}

static bool simple(const struct posta__supervisor *supervisor)
{
	return options_of(supervisor)->strategy == POSTA_SIMPLE_ONE_FOR_ONE;
}

/* -- Timers -- */

/* delay_ms: of a spec that was checked, so that it fits. Returns: 0 when out of memory. */
static posta_timer arm(struct posta_actor *self, uint64_t delay_ms, enum posta__due what, posta_ref ref, uint32_t epoch)
{
	struct posta__signal_data data = { .ref = ref, .reason = (int32_t)what, .number = epoch };
	struct posta__worker *worker = posta__worker(self);
	struct posta_message *message =
		posta__message_copy(worker, worker->system, POSTA__SIGNAL_TIMER, &data, sizeof data);
	if (!message)
		return 0;
	message->bits_ |= POSTA__BIT_SYSTEM;
	return posta__timer_arm(self, delay_ms * 1000000u, 0, posta__self(self), message);
}

/* Its last one is over. */
static bool arm_child(struct posta_actor *self, struct posta__child *child, uint64_t delay_ms, enum posta__due what)
{
	child->timer = arm(self, delay_ms, what, child->ref, ++child->epoch);
	return child->timer != 0;
}

static void disarm(struct posta_actor *self, struct posta__child *child)
{
	posta_cancel(self, child->timer);
	child->timer = 0;
}

/* -- Starting and stopping one child -- */

static bool signal_child(struct posta_actor *self, struct posta__child *child, enum posta__signal signal,
			 enum posta_err reason, uint32_t release)
{
	struct posta__signal_data data = { .reason = reason, .number = release };
	child->released |= release;
	return posta__signal_send(system_of(self), posta__worker(self), child->ref, signal, &data);
}

void posta__child_answer(struct posta_actor *self, struct posta__child *child, enum posta_err result)
{
	if (child->caller.ref == POSTA_NOBODY)
		return;
	struct posta__control_done done = { .result = result, .child = result ? POSTA_NOBODY : child->ref };
	posta__reply_sure(self, child->caller, POSTA__CONTROL_DONE, &done, sizeof done);
	child->caller = (struct posta_caller){ 0 };
}

static void child_up(struct posta_actor *self, struct posta__child *child)
{
	child->phase = POSTA__CHILD_UP;
	child->start = POSTA__START_RESTART;
	child->was_up = true;
	child->started_ns = posta_now_ns(self);
	posta__child_answer(self, child, POSTA_OK);
}

static void start_failed(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child,
			 enum posta_err reason);

static void spawn(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	bool supervises = child->spec.klass == &posta__supervisor_class;
	struct posta__spawn spawn = {
		.klass = child->spec.klass,
		.argument = child->spec.argument,
		.options = &child->spec.spawn,
		.parent = self,
		.supervised = true,
		.redeliver_max = child->spec.redeliver_max,
		.when_down = (uint8_t)child->spec.when_down,
		.when_down_max = child->spec.when_down_max,
		.hooks = supervises ? &posta__supervisor_hooks : NULL,
	};
	struct posta_error error;
	struct posta_actor *slot = posta__actor_spawn(posta__worker(self), &spawn, &error);
	if (!slot) {
		snprintf(child->last_error, sizeof child->last_error, "%s", error.text);
		start_failed(self, supervisor, child, error.code);
		return;
	}
	posta__child_set_slot(&supervisor->children, child, slot);
	child->released = child->killed = false;
	if (!child->spec.klass->start)
		child_up(self, child);
}

void posta__child_start(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	child->phase = POSTA__CHILD_STARTING;
	if (!child->slot) {
		spawn(self, supervisor, child);
	} else {
		child->restarts++;
		signal_child(self, child, POSTA__SIGNAL_RESTART, POSTA_OK, 0);
	}
}

static uint64_t shutdown_of(const struct posta__child *child)
{
	if (child->spec.shutdown_ms)
		return child->spec.shutdown_ms;
	return child->spec.supervisor ? POSTA_SHUTDOWN_INFINITY : SHUTDOWN_DEFAULT_MS;
}

/* release: it will not be wanted again, so its slot goes; else it is suspended and can be restarted. */
static void ask_to_stop(struct posta_actor *self, struct posta__child *child, bool release)
{
	uint64_t shutdown_ms = shutdown_of(child);
	child->phase = POSTA__CHILD_STOPPING;
	signal_child(self, child, POSTA__SIGNAL_STOP,
		     shutdown_ms == POSTA_SHUTDOWN_BRUTAL ? POSTA_EKILLED : POSTA_ESHUTDOWN, release);
	if (shutdown_ms != POSTA_SHUTDOWN_INFINITY)
		arm_child(self, child, shutdown_ms, POSTA__DUE_SHUTDOWN);
}

void posta__child_stop(struct posta_actor *self, struct posta__child *child, enum posta__then then)
{
	disarm(self, child);
	child->then = then;
	ask_to_stop(self, child, true);
}

/* -- Procedures -- */

/* Its own end is asked for and comes in a later turn: who calls this still uses the state. */
static void give_up(struct posta_actor *self, enum posta_err reason)
{
	state_of(self)->procedure = POSTA__PROCEDURE_EXIT;
	posta_stop(self, posta_self(self), reason);
}

/* The many of a simple one have no order: all at once. */
static void exit_simple(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	if (supervisor->exiting)
		return;
	supervisor->exiting = true;
	for (struct posta__child *child = supervisor->children.last; child; child = child->prev)
		if (child->slot && !child->released)
			posta__child_stop(self, child, POSTA__THEN_NOTHING);
}

/* From the last to the first, one after the other; the core ends us when the last is gone. */
static void exit_step(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	if (simple(supervisor)) {
		exit_simple(self, supervisor);
		return;
	}
	for (struct posta__child *child = supervisor->children.last; child; child = child->prev) {
		if (!child->slot)
			continue;
		if (!child->released)
			posta__child_stop(self, child, POSTA__THEN_NOTHING);
		if (!child->killed)
			return;
	}
}

static struct posta__child *first_of_group(const struct posta__supervisor *supervisor)
{
	struct posta__child *child = supervisor->children.first;
	while (child && child->serial < supervisor->from)
		child = child->next;
	return child;
}

/* Whether it runs, or will again, or for the first time. */
static bool active(const struct posta__child *child)
{
	return child->slot ? !child->released : child->start == POSTA__START_FIRST;
}

/* Starts what the cursor is at and what follows, until a start has to be awaited. */
static void start_step(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	struct posta__children *children = &supervisor->children;
	enum posta__procedure procedure = supervisor->procedure;
	while (children->cursor) {
		struct posta__child *child = children->cursor;
		if (child->phase == POSTA__CHILD_DOWN && active(child))
			posta__child_start(self, supervisor, child);
		if (supervisor->procedure != procedure)
			return; /* it failed at once, and something else goes on now */
		if (children->cursor != child)
			continue; /* it could not be made, and is forgotten */
		if (child->phase != POSTA__CHILD_UP && child->phase != POSTA__CHILD_DOWN)
			return; /* its start is awaited */
		children->cursor = child->next;
	}
	supervisor->procedure = POSTA__PROCEDURE_NONE;
	if (!supervisor->started) {
		supervisor->started = true;
		posta_started(self, POSTA_OK);
	}
}

static void start_group(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	supervisor->procedure = POSTA__PROCEDURE_START_GROUP;
	supervisor->children.cursor = first_of_group(supervisor);
	start_step(self, supervisor);
}

static void wait_group(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	supervisor->procedure = POSTA__PROCEDURE_WAIT_GROUP;
	posta_cancel(self, supervisor->group_timer);
	supervisor->group_timer = 0;
	if (supervisor->group_wait_ms)
		supervisor->group_timer =
			arm(self, supervisor->group_wait_ms, POSTA__DUE_GROUP, POSTA_NOBODY, ++supervisor->group_epoch);
	if (!supervisor->group_timer) /* no wait; or no memory for one: at once is better than never */
		start_group(self, supervisor);
}

static bool alive(const struct posta__child *child)
{
	return child->phase == POSTA__CHILD_UP || child->phase == POSTA__CHILD_STARTING ||
	       child->phase == POSTA__CHILD_STOPPING;
}

static void stop_group_step(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	for (struct posta__child *child = supervisor->children.last; child && child->serial >= supervisor->from;
	     child = child->prev) {
		if (child->phase == POSTA__CHILD_WAITING) { /* it waits with the group now */
			disarm(self, child);
			child->phase = POSTA__CHILD_DOWN;
		}
		if (!alive(child))
			continue;
		if (child->phase != POSTA__CHILD_STOPPING)
			ask_to_stop(self, child, child->spec.restart == POSTA_TEMPORARY);
		return;
	}
	wait_group(self, supervisor);
}

static void proceed(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	switch (supervisor->procedure) {
	case POSTA__PROCEDURE_START:
	case POSTA__PROCEDURE_START_GROUP:
		start_step(self, supervisor);
		break;
	case POSTA__PROCEDURE_STOP_GROUP:
		stop_group_step(self, supervisor);
		break;
	case POSTA__PROCEDURE_EXIT:
		exit_step(self, supervisor);
		break;
	case POSTA__PROCEDURE_WAIT_GROUP:
	case POSTA__PROCEDURE_NONE:
		break;
	}
}

/* -- A child ended by itself -- */

static bool wants_restart(const struct posta__child *child, enum posta_err reason)
{
	if (child->spec.restart == POSTA_TRANSIENT)
		return reason != POSTA_OK && reason != POSTA_ESHUTDOWN;
	return child->spec.restart == POSTA_PERMANENT;
}

static bool significant_ended(const struct posta__supervisor *supervisor, const struct posta__child *child)
{
	enum posta_auto_shutdown rule = options_of(supervisor)->auto_shutdown;
	if (!child->spec.significant || rule == POSTA_SHUTDOWN_NEVER)
		return false;
	const struct posta__child *other = supervisor->children.first;
	while (rule == POSTA_SHUTDOWN_ALL_SIGNIFICANT && other &&
	       (other == child || !other->spec.significant || !active(other)))
		other = other->next;
	return rule == POSTA_SHUTDOWN_ANY_SIGNIFICANT || !other;
}

/* It stays down: its slot goes, and its record too when it is temporary or one of many. */
static void let_go(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	bool delete = child->spec.restart == POSTA_TEMPORARY || simple(supervisor);
	child->then = delete ? POSTA__THEN_DELETE : POSTA__THEN_KEEP;
	child->phase = POSTA__CHILD_STOPPING;
	bool shutdown = significant_ended(supervisor, child);
	signal_child(self, child, POSTA__SIGNAL_STOP, child->last_reason, 1);
	if (!shutdown)
		return;
	posta_log(system_of(self), POSTA_LOG_INFO, "supervisor.auto_shutdown", "supervisor=%s child=%s",
		  name_of(supervisor), id_of(child));
	give_up(self, POSTA_ESHUTDOWN);
}

static void restart_group(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	uint64_t from = options_of(supervisor)->strategy == POSTA_ONE_FOR_ALL ? 0 : child->serial;
	bool stopping = supervisor->procedure == POSTA__PROCEDURE_STOP_GROUP ||
			supervisor->procedure == POSTA__PROCEDURE_WAIT_GROUP;
	if (!stopping || from < supervisor->from)
		supervisor->from = from;
	if (!stopping || child->waited_ms > supervisor->group_wait_ms)
		supervisor->group_wait_ms = child->waited_ms;
	child->phase = POSTA__CHILD_DOWN;
	supervisor->procedure = POSTA__PROCEDURE_STOP_GROUP;
	stop_group_step(self, supervisor);
}

static void restart_alone(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	child->phase = POSTA__CHILD_WAITING;
	if (!child->waited_ms || !arm_child(self, child, child->waited_ms, POSTA__DUE_RESTART))
		posta__child_start(self, supervisor, child);
}

static void restart(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	if (!posta__child_may_restart(self, supervisor, child)) {
		posta_log(system_of(self), POSTA_LOG_ERROR, "supervisor.gave_up", "supervisor=%s child=%s reason=%s",
			  name_of(supervisor), id_of(child), posta_err_name(child->last_reason));
		give_up(self, POSTA_EINTENSITY);
		return;
	}
	posta__child_next_wait(self, supervisor, child);
	posta_log(system_of(self), POSTA_LOG_INFO, "supervisor.restart",
		  "supervisor=%s child=%s reason=%s wait_ms=%llu restarts=%llu", name_of(supervisor), id_of(child),
		  posta_err_name(child->last_reason), (unsigned long long)child->waited_ms,
		  (unsigned long long)child->restarts + 1);
	enum posta_strategy strategy = options_of(supervisor)->strategy;
	if (strategy == POSTA_ONE_FOR_ALL || strategy == POSTA_REST_FOR_ONE)
		restart_group(self, supervisor, child);
	else
		restart_alone(self, supervisor, child);
}

/* The first start of a child failed, or one that was called for: the caller hears it; at our own start all is off. */
static void start_failed(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child,
			 enum posta_err reason)
{
	reason = reason == POSTA_OK ? POSTA_ECANCELED : reason; /* it ended well before it had started */
	child->last_reason = reason;
	child->phase = POSTA__CHILD_DOWN;
	posta__child_answer(self, child, reason);
	bool first = child->start == POSTA__START_FIRST;
	if (first && !supervisor->started) {
		give_up(self, reason);
		return;
	}
	child->then = first ? POSTA__THEN_DELETE : POSTA__THEN_KEEP;
	if (child->slot)
		signal_child(self, child, POSTA__SIGNAL_STOP, reason, 1);
	else if (first)
		posta__child_remove(self, &supervisor->children, child);
}

static void note_reason(struct posta__child *child, enum posta_err reason)
{
	const struct posta__cold *cold = child->slot->cold;
	child->last_reason = reason;
	snprintf(child->last_error, sizeof child->last_error, "%s",
		 cold && cold->last_reason == reason && cold->error[0] ? cold->error : posta_strerror(reason));
}

/* It ended by itself. A try to restart it that failed is tried again, whatever its restart type, as in OTP. */
static void child_ended(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child,
			enum posta_err reason)
{
	bool starting = child->phase == POSTA__CHILD_STARTING;
	bool with_group = supervisor->procedure == POSTA__PROCEDURE_STOP_GROUP && child->serial >= supervisor->from;
	if (starting && child->start != POSTA__START_RESTART) {
		start_failed(self, supervisor, child, reason);
	} else if (with_group && child->spec.restart != POSTA_TEMPORARY) {
		child->phase =
			POSTA__CHILD_DOWN; /* its turn to be stopped would have come: it restarts with the others */
		proceed(self, supervisor);
	} else if (starting || wants_restart(child, reason)) {
		restart(self, supervisor, child);
	} else {
		let_go(self, supervisor, child);
	}
}

/* Suspended. Either we asked for it, and a procedure goes on, or it ended by itself. */
static void child_suspended(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child,
			    enum posta_err reason)
{
	bool asked = child->phase == POSTA__CHILD_STOPPING;
	disarm(self, child);
	if (!asked)
		note_reason(child, reason);
	if (supervisor->procedure == POSTA__PROCEDURE_EXIT) {
		signal_child(self, child, POSTA__SIGNAL_STOP, reason, 1);
	} else if (!asked) {
		child_ended(self, supervisor, child, reason);
	} else if (!child->released) { /* else it goes for good now, and that is what we wait for */
		child->phase = POSTA__CHILD_DOWN;
		proceed(self, supervisor);
	}
}

/* Its slot is going. Who waits for its stop has it; who waits for a start that was to come never will. */
static void child_gone(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	bool stop_asked = child->then != POSTA__THEN_NOTHING || child->start == POSTA__START_RESTART;
	disarm(self, child);
	posta__child_clear_slot(&supervisor->children, child);
	child->phase = POSTA__CHILD_DOWN;
	child->start = POSTA__START_RESTART;
	posta__child_answer(self, child, stop_asked ? POSTA_OK : POSTA_ESHUTDOWN);
	if (child->then == POSTA__THEN_DELETE || child->spec.restart == POSTA_TEMPORARY ||
	    supervisor->procedure == POSTA__PROCEDURE_EXIT)
		posta__child_remove(self, &supervisor->children, child);
	proceed(self, supervisor);
}

/* -- What the core tells us -- */

static void on_child_started(struct posta_actor *self, struct posta_actor *slot)
{
	struct posta__supervisor *supervisor = state_of(self);
	struct posta__child *child = posta__child_by_slot(&supervisor->children, slot);
	if (!child || child->phase != POSTA__CHILD_STARTING)
		return;
	child_up(self, child);
	proceed(self, supervisor);
}

static void on_child_down(struct posta_actor *self, struct posta_actor *slot, enum posta_err reason, bool suspended)
{
	struct posta__supervisor *supervisor = state_of(self);
	struct posta__child *child = posta__child_by_slot(&supervisor->children, slot);
	if (!child)
		return;
	if (suspended)
		child_suspended(self, supervisor, child, reason);
	else
		child_gone(self, supervisor, child);
}

static void on_stop(struct posta_actor *self)
{
	struct posta__supervisor *supervisor = state_of(self);
	supervisor->procedure = POSTA__PROCEDURE_EXIT;
	exit_step(self, supervisor);
}

/*
 * Its time is over. A handler cannot be torn from its thread: it and all below it are told again, as a kill, and it is
 * named.
 */
static void on_shutdown_due(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	posta_log(system_of(self), POSTA_LOG_ERROR, "supervisor.child_stuck", "supervisor=%s child=%s shutdown_ms=%llu",
		  name_of(supervisor), id_of(child), (unsigned long long)shutdown_of(child));
	child->killed = true;
	signal_child(self, child, POSTA__SIGNAL_STOP, POSTA_EKILLED, child->released);
	if (supervisor->procedure == POSTA__PROCEDURE_EXIT)
		exit_step(self, supervisor);
}

static void on_timer(struct posta_actor *self, enum posta__due what, posta_ref ref, uint32_t epoch)
{
	struct posta__supervisor *supervisor = state_of(self);
	if (what == POSTA__DUE_GROUP) {
		if (supervisor->procedure == POSTA__PROCEDURE_WAIT_GROUP && supervisor->group_epoch == epoch)
			start_group(self, supervisor);
		return;
	}
	struct posta__child *child = posta__child_by_ref(&supervisor->children, ref);
	if (!child || !child->timer || child->epoch != epoch)
		return;
	child->timer = 0;
	if (what == POSTA__DUE_SHUTDOWN && child->phase == POSTA__CHILD_STOPPING)
		on_shutdown_due(self, supervisor, child);
	else if (what == POSTA__DUE_RESTART && child->phase == POSTA__CHILD_WAITING)
		posta__child_start(self, supervisor, child);
}

const struct posta__supervisor_hooks posta__supervisor_hooks = {
	.child_started = on_child_started,
	.child_down = on_child_down,
	.stop = on_stop,
	.timer = on_timer,
};

/* -- The actor -- */

static enum posta_err supervisor_start(struct posta_actor *self, void *state, void *argument)
{
	struct posta__supervisor *supervisor = state;
	supervisor->plan = argument;
	const struct posta_supervisor_options *options = options_of(supervisor);
	supervisor->started = simple(supervisor);
	if (supervisor->started)
		return POSTA_OK;
	for (size_t i = 0; i < options->child_count; i++)
		if (!posta__child_add(self, &supervisor->children, &options->children[i]))
			return POSTA_ENOMEM;
	supervisor->procedure = POSTA__PROCEDURE_START;
	supervisor->children.cursor = supervisor->children.first;
	start_step(self, supervisor);
	return POSTA_EPENDING; /* unless it has started, or failed, already */
}

static void supervisor_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)reason;
	struct posta__supervisor *supervisor = state;
	posta__children_free(self, &supervisor->children);
	posta__window_free(system_of(self), &supervisor->window);
	memset(supervisor, 0, sizeof *supervisor);
}

static enum posta_err supervisor_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	return posta__supervisor_control(self, state, message);
}

const struct posta_actor_class posta__supervisor_class = {
	.name = "supervisor",
	.state_size = sizeof(struct posta__supervisor),
	.receive = supervisor_receive,
	.start = supervisor_start,
	.stop = supervisor_stop,
};
