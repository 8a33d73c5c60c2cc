/* SPDX-License-Identifier: MIT */
/*
 * A supervisor is a state machine that never waits: it asks a child to start or stop and goes on when it hears of it.
 *
 *   child:      DOWN ─start─▶ STARTING ─started─▶ UP ─ends─▶ WAITING (back-off) ─restart─▶ STARTING
 *                 ▲                                │asked
 *                 └────────────── gone ◀─ STOPPING ◀┘
 *
 *   procedure:  START (first start, in order) ─▶ NONE
 *               NONE ─a child ended, all/rest─▶ STOP_GROUP (reverse) ─▶ WAIT_GROUP ─▶ START_GROUP (in order) ─▶ NONE
 *               any ─asked to stop, or too many restarts─▶ EXIT (all, in reverse)
 *
 * A supervised actor that ends is suspended: its slot, reference and mailbox stay until we restart or release it.
 * Source: Erlang/OTP 25, stdlib reference, supervisor(3).
 */
#include "runtime/supervisor.h"
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

/* -- Records -- */

struct posta__child *posta__child_by_id(struct posta__supervisor *supervisor, const char *id)
{
	for (uint32_t i = 0; i < supervisor->count; i++)
		if (supervisor->children[i]->spec.id && strcmp(supervisor->children[i]->spec.id, id) == 0)
			return supervisor->children[i];
	return NULL;
}

static struct posta__child *child_by_slot(struct posta__supervisor *supervisor, const struct posta_actor *slot)
{
	for (uint32_t i = supervisor->count; i-- > 0;)
		if (supervisor->children[i]->slot == slot)
			return supervisor->children[i];
	return NULL;
}

static struct posta__child *child_by_serial(struct posta__supervisor *supervisor, uint32_t serial)
{
	for (uint32_t i = 0; i < supervisor->count; i++)
		if (supervisor->children[i]->serial == serial)
			return supervisor->children[i];
	return NULL;
}

static uint32_t index_of(const struct posta__supervisor *supervisor, const struct posta__child *child)
{
	uint32_t i = 0;
	while (supervisor->children[i] != child)
		i++;
	return i;
}

static bool room_for_one(struct posta_system *system, struct posta__supervisor *supervisor)
{
	if (supervisor->count < supervisor->room)
		return true;
	uint32_t room = supervisor->room ? supervisor->room * 2 : 8;
	struct posta__child **children = posta__alloc(system, 16, room * sizeof *children);
	if (!children)
		return false;
	if (supervisor->count)
		memcpy(children, supervisor->children, supervisor->count * sizeof *children);
	posta__free(system, supervisor->children, supervisor->room * sizeof *children);
	supervisor->children = children;
	supervisor->room = room;
	return true;
}

struct posta__child *posta__child_add(struct posta_actor *self, struct posta__supervisor *supervisor,
				      const struct posta_child_spec *spec)
{
	struct posta_system *system = system_of(self);
	struct posta__child *child = room_for_one(system, supervisor) ? posta__zalloc(system, sizeof *child) : NULL;
	if (!child)
		return NULL;
	if (!posta__spec_copy(system, &child->spec, spec)) {
		posta__free(system, child, sizeof *child);
		return NULL;
	}
	child->serial = ++supervisor->next_serial;
	child->first_start = true;
	supervisor->children[supervisor->count++] = child;
	return child;
}

static void child_free(struct posta_system *system, struct posta__child *child)
{
	if (child->owns_argument)
		posta__plan_free(system, child->spec.argument);
	posta__spec_free(system, &child->spec);
	posta__window_free(system, &child->window);
	posta__free(system, child, sizeof *child);
}

void posta__child_remove(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	uint32_t index = index_of(supervisor, child);
	posta_cancel(self, child->timer);
	memmove(&supervisor->children[index], &supervisor->children[index + 1],
		(--supervisor->count - index) * sizeof(struct posta__child *));
	child_free(system_of(self), child);
}

static bool may_restart(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	const struct posta_supervisor_options *options = options_of(supervisor);
	uint64_t now = posta_now_ns(self), period = child->spec.period_ms ? child->spec.period_ms : options->period_ms;
	if (child->spec.intensity &&
	    !posta__window_admit(system_of(self), &child->window, child->spec.intensity, period, now))
		return false;
	return posta__window_admit(system_of(self), &supervisor->window, options->intensity, options->period_ms, now);
}

/* -- Back-off -- */

static const struct posta_backoff *backoff_of(const struct posta__supervisor *supervisor,
					      const struct posta__child *child)
{
	return child->spec.backoff.initial_ms ? &child->spec.backoff : &options_of(supervisor)->backoff;
}

static uint64_t next_wait(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	const struct posta_backoff *backoff = backoff_of(supervisor, child);
	uint64_t healthy_ms = backoff->reset_after_ms ? backoff->reset_after_ms : backoff->max_ms;
	if (child->started_ns && posta_now_ns(self) - child->started_ns >= healthy_ms * 1000000u)
		child->attempt = 0, child->waited_ms = 0;
	child->waited_ms = posta_backoff_delay_ms(backoff, child->attempt++, child->waited_ms, posta_random(self));
	return child->waited_ms;
}

static void arm(struct posta_actor *self, struct posta__child *child, uint64_t delay_ms, enum posta__control what)
{
	posta_cancel(self, child->timer);
	child->timer = posta_send_after(self, delay_ms, posta_self(self), (uint32_t)what, &child->serial,
					sizeof child->serial);
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
	posta_reply_to(self, child->caller, POSTA__CONTROL_DONE, &done, sizeof done);
	child->caller = (struct posta_caller){ 0 };
}

static void child_up(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child);
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
		.drop_when_down = child->spec.when_down == POSTA_DOWN_DEAD_LETTER,
		.hooks = supervises ? &posta__supervisor_hooks : NULL,
	};
	struct posta_error error;
	child->slot = posta__actor_spawn(posta__worker(self), &spawn, &error);
	if (!child->slot) {
		snprintf(child->last_error, sizeof child->last_error, "%s", error.text);
		start_failed(self, supervisor, child, error.code);
		return;
	}
	child->ref = posta__self(child->slot);
	child->released = false;
	if (!child->spec.klass->start)
		child_up(self, supervisor, child);
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
	if (shutdown_ms != POSTA_SHUTDOWN_INFINITY && shutdown_ms != POSTA_SHUTDOWN_BRUTAL)
		arm(self, child, shutdown_ms, POSTA__TIMER_SHUTDOWN);
}

void posta__child_stop(struct posta_actor *self, struct posta__child *child, enum posta__then then)
{
	posta_cancel(self, child->timer);
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

/* All children, from the last to the first, one after the other; the core ends us when the last is gone. */
static void exit_step(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	for (uint32_t i = supervisor->count; i-- > 0;) {
		struct posta__child *child = supervisor->children[i];
		if (!child->slot)
			continue;
		if (!child->released)
			posta__child_stop(self, child, POSTA__THEN_NOTHING);
		if (options_of(supervisor)->strategy != POSTA_SIMPLE_ONE_FOR_ONE)
			return;
	}
}

static void start_step(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	enum posta__procedure procedure = supervisor->procedure;
	for (uint32_t i = supervisor->from; i < supervisor->count; i++) {
		struct posta__child *child = supervisor->children[i];
		if (child->phase == POSTA__CHILD_UP)
			continue;
		if (child->phase == POSTA__CHILD_DOWN && (child->slot || child->first_start))
			posta__child_start(self, supervisor, child);
		if (supervisor->procedure != procedure)
			return; /* it failed at once, and something else goes on now */
		if (child->phase != POSTA__CHILD_UP && child->phase != POSTA__CHILD_DOWN)
			return; /* its start is awaited */
	}
	supervisor->procedure = POSTA__PROCEDURE_NONE;
	if (procedure == POSTA__PROCEDURE_START)
		posta_started(self, POSTA_OK);
}

static void wait_group(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	uint64_t wait = 0;
	for (uint32_t i = supervisor->from; i < supervisor->count; i++)
		if (supervisor->children[i]->waited_ms > wait)
			wait = supervisor->children[i]->waited_ms;
	supervisor->procedure = POSTA__PROCEDURE_WAIT_GROUP;
	if (wait) {
		posta_send_after(self, wait, posta_self(self), POSTA__TIMER_GROUP, NULL, 0);
		return;
	}
	supervisor->procedure = POSTA__PROCEDURE_START_GROUP;
	start_step(self, supervisor);
}

static bool alive(const struct posta__child *child)
{
	return child->phase == POSTA__CHILD_UP || child->phase == POSTA__CHILD_STARTING ||
	       child->phase == POSTA__CHILD_STOPPING;
}

static void stop_group_step(struct posta_actor *self, struct posta__supervisor *supervisor)
{
	for (uint32_t i = supervisor->count; i-- > supervisor->from;) {
		struct posta__child *child = supervisor->children[i];
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

static bool significant_ended(struct posta__supervisor *supervisor, const struct posta__child *child)
{
	enum posta_auto_shutdown rule = options_of(supervisor)->auto_shutdown;
	if (!child->spec.significant || rule == POSTA_SHUTDOWN_NEVER)
		return false;
	if (rule == POSTA_SHUTDOWN_ANY_SIGNIFICANT)
		return true;
	for (uint32_t i = 0; i < supervisor->count; i++)
		if (supervisor->children[i] != child && supervisor->children[i]->spec.significant &&
		    alive(supervisor->children[i]))
			return false;
	return true;
}

/* It stays down: its slot goes, and its record too when it is temporary or one of many. */
static void let_go(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	bool forget =
		child->spec.restart == POSTA_TEMPORARY || options_of(supervisor)->strategy == POSTA_SIMPLE_ONE_FOR_ONE;
	child->then = forget ? POSTA__THEN_DELETE : POSTA__THEN_KEEP;
	child->phase = POSTA__CHILD_STOPPING;
	bool shutdown = significant_ended(supervisor, child);
	signal_child(self, child, POSTA__SIGNAL_RELEASE, child->last_reason, 1);
	if (shutdown)
		give_up(self, POSTA_ESHUTDOWN);
}

static void log_restart(struct posta_actor *self, struct posta__supervisor *supervisor,
			const struct posta__child *child)
{
	posta_log(system_of(self), POSTA_LOG_INFO, "supervisor.restart",
		  "supervisor=%s child=%s reason=%s wait_ms=%llu restarts=%llu", name_of(supervisor),
		  child->spec.id ? child->spec.id : "-", posta_err_name(child->last_reason),
		  (unsigned long long)child->waited_ms, (unsigned long long)child->restarts + 1);
}

static void restart_group(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	uint32_t from = options_of(supervisor)->strategy == POSTA_ONE_FOR_ALL ? 0 : index_of(supervisor, child);
	if (supervisor->procedure == POSTA__PROCEDURE_NONE || from < supervisor->from)
		supervisor->from = from;
	child->phase = POSTA__CHILD_DOWN;
	supervisor->procedure = POSTA__PROCEDURE_STOP_GROUP;
	stop_group_step(self, supervisor);
}

static void restart_alone(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child,
			  uint64_t wait)
{
	if (!wait) {
		posta__child_start(self, supervisor, child);
		return;
	}
	child->phase = POSTA__CHILD_WAITING;
	arm(self, child, wait, POSTA__TIMER_RESTART);
}

static void restart(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	enum posta_strategy strategy = options_of(supervisor)->strategy;
	if (!may_restart(self, supervisor, child)) {
		posta_log(system_of(self), POSTA_LOG_ERROR, "supervisor.gave_up", "supervisor=%s child=%s reason=%s",
			  name_of(supervisor), child->spec.id ? child->spec.id : "-",
			  posta_err_name(child->last_reason));
		give_up(self, POSTA_EINTENSITY);
		return;
	}
	uint64_t wait = next_wait(self, supervisor, child);
	log_restart(self, supervisor, child);
	if (strategy == POSTA_ONE_FOR_ALL || strategy == POSTA_REST_FOR_ONE)
		restart_group(self, supervisor, child);
	else
		restart_alone(self, supervisor, child, wait);
}

/* The first start of a child failed: the call that wanted it hears it, and at the supervisor's own start all is off. */
static void start_failed(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child,
			 enum posta_err reason)
{
	child->last_reason = reason;
	child->phase = POSTA__CHILD_DOWN;
	posta__child_answer(self, child, reason);
	if (supervisor->procedure == POSTA__PROCEDURE_START) {
		give_up(self, reason);
		return;
	}
	child->then = POSTA__THEN_DELETE;
	if (child->slot)
		signal_child(self, child, POSTA__SIGNAL_RELEASE, reason, 1);
	else
		posta__child_remove(self, supervisor, child);
}

static void child_up(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	child->phase = POSTA__CHILD_UP;
	child->first_start = false;
	child->started_ns = posta_now_ns(self);
	posta__child_answer(self, child, POSTA_OK);
}

static void note_reason(struct posta__child *child, enum posta_err reason)
{
	const struct posta__cold *cold = child->slot->cold;
	child->last_reason = reason;
	snprintf(child->last_error, sizeof child->last_error, "%s",
		 cold && cold->error[0] ? cold->error : posta_strerror(reason));
}

/* Suspended. Either we asked for it, and a procedure goes on, or it ended by itself. */
static void child_suspended(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child,
			    enum posta_err reason)
{
	bool asked = child->phase == POSTA__CHILD_STOPPING;
	posta_cancel(self, child->timer);
	if (!asked)
		note_reason(child, reason);
	if (supervisor->procedure == POSTA__PROCEDURE_EXIT) {
		signal_child(self, child, POSTA__SIGNAL_RELEASE, reason, 1);
		return;
	}
	if (asked) {
		child->phase = POSTA__CHILD_DOWN;
		proceed(self, supervisor);
	} else if (child->first_start) {
		start_failed(self, supervisor, child, reason);
	} else if (wants_restart(child, reason)) {
		restart(self, supervisor, child);
	} else {
		let_go(self, supervisor, child);
	}
}

/* Its slot is going. */
static void child_gone(struct posta_actor *self, struct posta__supervisor *supervisor, struct posta__child *child)
{
	posta_cancel(self, child->timer);
	child->slot = NULL;
	child->ref = POSTA_NOBODY;
	child->phase = POSTA__CHILD_DOWN;
	posta__child_answer(self, child, POSTA_OK);
	bool temporary = child->spec.restart == POSTA_TEMPORARY && supervisor->procedure != POSTA__PROCEDURE_EXIT;
	if (child->then == POSTA__THEN_DELETE || temporary)
		posta__child_remove(self, supervisor, child);
	proceed(self, supervisor);
}

/* -- What the core tells us -- */

static void on_child_started(struct posta_actor *self, struct posta_actor *slot)
{
	struct posta__supervisor *supervisor = state_of(self);
	struct posta__child *child = supervisor ? child_by_slot(supervisor, slot) : NULL;
	if (!child || child->phase != POSTA__CHILD_STARTING)
		return;
	child_up(self, supervisor, child);
	proceed(self, supervisor);
}

static void on_child_down(struct posta_actor *self, struct posta_actor *slot, enum posta_err reason, bool suspended)
{
	struct posta__supervisor *supervisor = state_of(self);
	struct posta__child *child = child_by_slot(supervisor, slot);
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

const struct posta__supervisor_hooks posta__supervisor_hooks = {
	.child_started = on_child_started,
	.child_down = on_child_down,
	.stop = on_stop,
};

/* -- The actor -- */

static enum posta_err supervisor_start(struct posta_actor *self, void *state, void *argument)
{
	struct posta__supervisor *supervisor = state;
	supervisor->plan = argument;
	const struct posta_supervisor_options *options = options_of(supervisor);
	if (options->strategy == POSTA_SIMPLE_ONE_FOR_ONE)
		return POSTA_OK;
	for (size_t i = 0; i < options->child_count; i++)
		if (!posta__child_add(self, supervisor, &options->children[i]))
			return POSTA_ENOMEM;
	supervisor->procedure = POSTA__PROCEDURE_START;
	start_step(self, supervisor);
	return POSTA_EPENDING; /* unless it has started, or failed, already */
}

static void supervisor_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)reason;
	struct posta__supervisor *supervisor = state;
	struct posta_system *system = system_of(self);
	for (uint32_t i = 0; i < supervisor->count; i++) {
		posta__child_answer(self, supervisor->children[i], POSTA_ESHUTDOWN);
		child_free(system, supervisor->children[i]);
	}
	posta__free(system, supervisor->children, supervisor->room * sizeof *supervisor->children);
	posta__window_free(system, &supervisor->window);
	memset(supervisor, 0, sizeof *supervisor);
}

static void on_restart_due(struct posta_actor *self, struct posta__supervisor *supervisor, uint32_t serial)
{
	struct posta__child *child = child_by_serial(supervisor, serial);
	if (child && child->phase == POSTA__CHILD_WAITING)
		posta__child_start(self, supervisor, child);
}

/* Its time is over. A handler cannot be torn from its thread: it is told again, as a kill, and named. */
static void on_shutdown_due(struct posta_actor *self, struct posta__supervisor *supervisor, uint32_t serial)
{
	struct posta__child *child = child_by_serial(supervisor, serial);
	if (!child || child->phase != POSTA__CHILD_STOPPING)
		return;
	posta_log(system_of(self), POSTA_LOG_ERROR, "supervisor.child_stuck", "supervisor=%s child=%s shutdown_ms=%llu",
		  name_of(supervisor), child->spec.id ? child->spec.id : "-", (unsigned long long)shutdown_of(child));
	signal_child(self, child, POSTA__SIGNAL_STOP, POSTA_EKILLED, 1);
}

static enum posta_err supervisor_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct posta__supervisor *supervisor = state;
	uint32_t serial = 0;
	if (posta_size(message) == sizeof serial)
		memcpy(&serial, posta_data(message), sizeof serial);
	switch (message->type) {
	case POSTA__TIMER_RESTART:
		on_restart_due(self, supervisor, serial);
		return POSTA_OK;
	case POSTA__TIMER_SHUTDOWN:
		on_shutdown_due(self, supervisor, serial);
		return POSTA_OK;
	case POSTA__TIMER_GROUP:
		if (supervisor->procedure == POSTA__PROCEDURE_WAIT_GROUP) {
			supervisor->procedure = POSTA__PROCEDURE_START_GROUP;
			start_step(self, supervisor);
		}
		return POSTA_OK;
	default:
		return posta__supervisor_control(self, supervisor, message);
	}
}

const struct posta_actor_class posta__supervisor_class = {
	.name = "supervisor",
	.state_size = sizeof(struct posta__supervisor),
	.receive = supervisor_receive,
	.start = supervisor_start,
	.stop = supervisor_stop,
};
