/* SPDX-License-Identifier: MIT */
/*
 * A thread that is none of ours sends to a mailbox that may be full, and waits for room: a short-lived actor waits for
 * it in the way actors do. The two share what they know of each other by reference count: who is done first goes first.
 */
#include "runtime/clock.h"
#include "runtime/mailbox.h"
#include "runtime/park.h"

#include <errno.h>

enum { TRY = 1 };

struct attempt {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct posta_system *system;
	int holders;
	bool finished;
	enum posta_err result;
	posta_ref to;
	uint32_t type;
	const void *data; /* the thread's, until finished */
	size_t size;
};

static void attempt_unref(struct attempt *attempt)
{
	pthread_mutex_lock(&attempt->lock);
	bool last = --attempt->holders == 0;
	pthread_mutex_unlock(&attempt->lock);
	if (!last)
		return;
	pthread_cond_destroy(&attempt->done);
	pthread_mutex_destroy(&attempt->lock);
	posta__free(attempt->system, attempt, sizeof *attempt);
}

/* The first to say so ends it. */
static void finish(struct attempt *attempt, enum posta_err result)
{
	pthread_mutex_lock(&attempt->lock);
	if (!attempt->finished) {
		attempt->finished = true;
		attempt->result = result;
		pthread_cond_signal(&attempt->done);
	}
	pthread_mutex_unlock(&attempt->lock);
}

/*
 * Returns: whether it is over, one way or the other. Under the lock: a thread whose time is over sends nothing any
 * more.
 */
static bool try_once(struct attempt *attempt)
{
	pthread_mutex_lock(&attempt->lock);
	if (!attempt->finished) {
		enum posta_err result =
			posta_system_send(attempt->system, attempt->to, attempt->type, attempt->data, attempt->size);
		if (result != POSTA_EFULL) {
			attempt->finished = true;
			attempt->result = result;
			pthread_cond_signal(&attempt->done);
		}
	}
	bool over = attempt->finished;
	pthread_mutex_unlock(&attempt->lock);
	return over;
}

static enum posta_err waiter_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct attempt *attempt = state;
	(void)message;
	if (try_once(attempt)) {
		posta_stop(self, posta_self(self), POSTA_OK);
		return POSTA_OK;
	}
	enum posta_err result = posta_send(self, posta_self(self), TRY, NULL, 0);
	posta__park(posta__worker(self), posta_self(self), attempt->to);
	return result;
}

static enum posta_err waiter_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	return posta_send(self, posta_self(self), TRY, NULL, 0);
}

static void waiter_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self;
	finish(state, reason == POSTA_OK ? POSTA_ECANCELED : reason);
	attempt_unref(state);
}

static const struct posta_actor_class waiter_class = {
	.name = "send waiter",
	.receive = waiter_receive,
	.start = waiter_start,
	.stop = waiter_stop,
};

static struct attempt *attempt_new(struct posta_system *system)
{
	struct attempt *attempt = posta__zalloc(system, sizeof *attempt);
	if (!attempt)
		return NULL;
	posta__cond_init(&attempt->done);
	pthread_mutex_init(&attempt->lock, NULL);
	attempt->system = system;
	attempt->holders = 1;
	return attempt;
}

static bool is_finished(void *context)
{
	return ((struct attempt *)context)->finished;
}

static void wait_for(struct attempt *attempt, uint64_t timeout_ms)
{
	if (attempt->system->options.workers == POSTA_HOST_DRIVEN)
		posta_system_run_until(attempt->system, is_finished, attempt, timeout_ms);
	struct timespec at = posta__clock_in(timeout_ms);
	pthread_mutex_lock(&attempt->lock);
	while (!attempt->finished && pthread_cond_timedwait(&attempt->done, &attempt->lock, &at) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&attempt->lock);
	finish(attempt, POSTA_ETIMEDOUT);
}

static enum posta_err wait_for_room(struct attempt *attempt, uint64_t timeout_ms)
{
	struct posta_error error;
	attempt->holders = 2;
	posta_ref waiter = posta_system_spawn(attempt->system, &waiter_class, attempt, NULL, &error);
	if (waiter == POSTA_NOBODY) {
		attempt->holders = 1;
		return error.code;
	}
	wait_for(attempt, timeout_ms);
	if (attempt->result == POSTA_ETIMEDOUT)
		posta_system_stop_actor(attempt->system, waiter, POSTA_ECANCELED);
	return attempt->result;
}

enum posta_err posta_system_send_wait(struct posta_system *system, posta_ref to, uint32_t type, const void *data,
				      size_t size, uint64_t timeout_ms)
{
	if (posta__worker_current())
		return POSTA_EWRONGTHREAD;
	enum posta_err result = posta_system_send(system, to, type, data, size);
	if (result != POSTA_EFULL || !timeout_ms)
		return result;
	struct attempt *attempt = attempt_new(system);
	if (!attempt)
		return POSTA_ENOMEM;
	attempt->to = to;
	attempt->type = type;
	attempt->data = data;
	attempt->size = size;
	result = wait_for_room(attempt, timeout_ms);
	attempt_unref(attempt);
	return result;
}
