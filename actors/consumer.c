/* SPDX-License-Identifier: MIT */
/*
 * The actor of one subscription. A job is a delivery in work; the subscription's credit bounds how many there are.
 *
 *   delivery ─▶ queued ─▶ running ──OK──▶ acknowledged
 *                 ▲          │
 *                 └─back-off─┴─last attempt, or unreadable─▶ burying ──▶ acknowledged
 *
 * Jobs of one key stand in one lane: only the first of a lane is worked on, through all its attempts. Keys share a lane
 * by their hash, which costs some waiting and never an order.
 */
#include "service.h"

#include <posta/log.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum phase { QUEUED, RUNNING, WAITING, BURYING, GONE };

/* -- Jobs */

static void job_ref(struct posta_job *job)
{
	atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
}

static void job_unref(struct posta_job *job)
{
	if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (job->item)
		job->subscription->kind->release(job->item);
	posta_envelope_unref(job->envelope);
	posta__subscription_unref(job->subscription);
	free(job);
}

static void release_job(void *data, void *context)
{
	(void)context;
	job_unref(data);
}

/* The handler's reference goes with the message. */
static void send_done(struct posta_job *job, enum posta_err result)
{
	struct posta_slice slice = { job, sizeof *job, release_job, NULL };
	job->verdict = result == POSTA_EPENDING ? POSTA_EFAILED : result;
	posta_system_send_slice(job->subscription->system,
				atomic_load_explicit(&job->subscription->ref, memory_order_acquire),
				POSTA__CONSUMER_DONE, &slice);
}

void posta_job_done(struct posta_job *job, enum posta_err result)
{
	int hold = atomic_exchange_explicit(&job->hold, POSTA__SETTLED, memory_order_acq_rel);
	if (hold == POSTA__HELD)
		send_done(job, result);
	else if (hold == POSTA__ORPHANED)
		job_unref(job);
}

/* The message is freed: whoever has not settled the job by then has failed. */
static void release_message(void *data, void *context)
{
	posta_job_done(context, POSTA_EDEAD);
	job_unref(context);
	free(data);
}

enum posta_err posta__job_pass_on(struct posta_job *job, uint32_t type, const void *message, size_t size)
{
	void *copy = malloc(size);
	if (!copy)
		return POSTA_ENOMEM;
	memcpy(copy, message, size);
	job_ref(job);
	struct posta_slice slice = { copy, size, release_message, job };
	posta_system_send_slice(job->subscription->system, job->subscription->actor, type, &slice);
	return POSTA_EPENDING; /* a failed send has said so by the release */
}

uint32_t posta_job_attempt(const struct posta_job *job)
{
	return job->attempt;
}

bool posta_job_redelivered(const struct posta_job *job)
{
	return job->redelivered;
}

const char *posta_job_topic(const struct posta_job *job)
{
	const char *topic = posta_envelope_text(job->envelope, POSTA_ATTR_TOPIC);
	return *topic && job->subscription->source.queue == NULL ? topic : job->subscription->name;
}

const struct posta_envelope *posta_job_envelope(const struct posta_job *job)
{
	return job->envelope;
}

static struct posta_job *job_new(struct posta_subscription *subscription, const struct posta_delivery *delivery)
{
	struct posta_job *job = calloc(1, sizeof *job);
	if (!job)
		return NULL;
	atomic_init(&job->refs, 1);
	atomic_init(&job->hold, POSTA__SETTLED);
	atomic_fetch_add_explicit(&subscription->refs, 1, memory_order_relaxed);
	job->subscription = subscription;
	job->envelope = posta_envelope_ref(delivery->envelope);
	job->token = delivery->token;
	job->redelivered = delivery->redelivered;
	job->next = subscription->jobs;
	if (job->next)
		job->next->previous = job;
	subscription->jobs = job;
	subscription->job_count++;
	atomic_fetch_add_explicit(&subscription->service->unsettled, 1, memory_order_acq_rel);
	return job;
}

static void job_unlink(struct posta_job *job)
{
	struct posta_subscription *subscription = job->subscription;
	*(job->previous ? &job->previous->next : &subscription->jobs) = job->next;
	if (job->next)
		job->next->previous = job->previous;
	subscription->job_count--;
	job->phase = GONE;
}

static void end_if_empty(struct posta_actor *self, struct posta_subscription *subscription)
{
	if (subscription->canceled && !subscription->job_count)
		posta_stop(self, posta_self(self), POSTA_OK);
}

static void progress(struct posta_actor *self, const struct posta_subscription *subscription)
{
	if (subscription->ending)
		posta_send(self, subscription->service->ref, POSTA__SERVICE_PROGRESS, NULL, 0);
}

/* The job's end. Its lane goes on by itself: see pump(). */
static void finish(struct posta_actor *self, struct posta_job *job, enum posta_outcome outcome)
{
	struct posta_subscription *subscription = job->subscription;
	posta_settle(self, job->token, outcome);
	if (job->lane) {
		job->lane->first = job->behind;
		if (!job->lane->first)
			job->lane->last = NULL;
	}
	job_unlink(job);
	atomic_fetch_sub_explicit(&subscription->service->unsettled, 1, memory_order_acq_rel);
	progress(self, subscription);
	end_if_empty(self, subscription);
	job_unref(job);
}

/* -- Dead letters */

static void again(struct posta_actor *self, struct posta_job *job)
{
	const struct posta_backoff *backoff = &job->subscription->options.backoff;
	uint32_t waits = job->attempt ? job->attempt - 1 : 0;
	job->waited_ms = posta_backoff_delay_ms(backoff, waits, job->waited_ms, posta_random(self));
	job->timer = posta_send_after(self, job->waited_ms, posta_self(self), POSTA__CONSUMER_AGAIN, &job, sizeof job);
	if (!job->timer)
		finish(self, job, POSTA_REQUEUE); /* out of memory: the broker has it */
}

static enum posta_err describe(const struct posta_job *job, struct posta_envelope *envelope)
{
	char attempts[16];
	const char *const headers[][2] = {
		{ "x-dead-reason", job->text },
		{ "x-dead-from", job->subscription->name },
		{ "x-dead-attempts", attempts },
	};
	enum posta_err err = POSTA_OK;
	snprintf(attempts, sizeof attempts, "%" PRIu32, job->attempt);
	for (size_t i = 0; !err && i < sizeof headers / sizeof headers[0]; i++)
		err = posta_envelope_put_header(envelope, headers[i][0], headers[i][1], strlen(headers[i][1]));
	return err;
}

/* What has no room for our words goes without them. Returns: owned; NULL when out of memory. */
static struct posta_envelope *dead_envelope(struct posta_job *job)
{
	const struct posta__consumer_kind *kind = job->subscription->kind;
	struct posta_envelope *envelope = kind->bury && job->item ? kind->bury(job) : posta_envelope_ref(job->envelope);
	enum posta_err err = envelope ? posta_envelope_edit(&envelope) : POSTA_ENOMEM;
	if (!err)
		err = describe(job, envelope);
	if (!err || err == POSTA_ETOOBIG)
		return envelope;
	posta_envelope_unref(envelope);
	return NULL;
}

static void tell_listener(struct posta_actor *self, struct posta_job *job)
{
	const struct posta_consume_options *options = &job->subscription->options;
	struct posta_dead_work dead = { .topic = posta_job_topic(job),
					.envelope = job->envelope,
					.reason = job->reason,
					.text = job->text,
					.attempts = job->attempt };
	if (job->told)
		return;
	job->told = true;
	atomic_fetch_add_explicit(&job->subscription->service->dead, 1, memory_order_relaxed);
	posta_log(posta_system_of(self), POSTA_LOG_WARNING, "service.dead_letter",
		  "service=%s from=%s attempts=%" PRIu32 " reason=%s", job->subscription->service->kind->name,
		  job->subscription->name, job->attempt, job->text);
	if (options->on_dead)
		options->on_dead(options->on_dead_context, &dead);
}

static void bury(struct posta_actor *self, struct posta_job *job)
{
	struct posta_subscription *subscription = job->subscription;
	bool queue = subscription->source.queue != NULL;
	struct posta_target target = { .qos = -1,
				       .format = POSTA_FORMAT_BINARY,
				       .queue_priority_max = queue ? subscription->source.queue_priority_max : 0 };
	*(queue ? &target.queue : &target.topic) = subscription->dead_letter;
	job->phase = BURYING;
	tell_listener(self, job);
	if (!subscription->dead_letter) {
		finish(self, job, POSTA_REJECT);
		return;
	}
	struct posta_envelope *envelope = dead_envelope(job);
	enum posta_err err = envelope ? posta_bridge_publish(self, subscription->service->bridge, &target, envelope,
							     (uint64_t)(uintptr_t)job)
				      : POSTA_ENOMEM;
	posta_envelope_unref(envelope);
	if (err == POSTA_ENOMEM)
		again(self, job);
	else if (err)
		finish(self, job, POSTA_REQUEUE);
	else
		job_ref(job); /* the answer names it */
}

static void judge_burial(struct posta_actor *self, struct posta_job *job, const struct posta_published *published)
{
	if (published->result == POSTA_OK) {
		finish(self, job, POSTA_ACK);
	} else if (published->result == POSTA_ECLOSED) {
		finish(self, job, POSTA_REQUEUE);
	} else if (posta_err_retriable(published->result)) {
		again(self, job);
	} else {
		posta_log(posta_system_of(self), POSTA_LOG_ERROR, "service.dead_letter_lost", "from=%s error=%s",
			  job->subscription->name, published->text);
		finish(self, job, POSTA_REJECT);
	}
}

static void pump(struct posta_actor *self, struct posta__lane *lane);

static void buried(struct posta_actor *self, const struct posta_published *published)
{
	struct posta_job *job = (struct posta_job *)(uintptr_t)published->cookie;
	struct posta__lane *lane = job->lane;
	if (job->phase == BURYING) { /* else given back meanwhile */
		judge_burial(self, job, published);
		pump(self, lane);
	}
	job_unref(job);
}

/* -- Work */

static void failed(struct posta_actor *self, struct posta_job *job, enum posta_err result)
{
	const struct posta__consumer_kind *kind = job->subscription->kind;
	uint32_t most = kind->failed ? kind->failed(job) : 0;
	if (!most)
		most = job->subscription->options.attempts_max;
	job->reason = result;
	snprintf(job->text, sizeof job->text, "%s", posta_strerror(result));
	if (job->attempt >= most) {
		bury(self, job);
		return;
	}
	job->phase = WAITING;
	again(self, job);
}

static void judge(struct posta_actor *self, struct posta_job *job, enum posta_err result)
{
	if (result != POSTA_OK) {
		failed(self, job, result);
		return;
	}
	atomic_fetch_add_explicit(&job->subscription->service->handled, 1, memory_order_relaxed);
	finish(self, job, POSTA_ACK);
}

static void run(struct posta_actor *self, struct posta_job *job)
{
	job->phase = RUNNING;
	job->attempt++;
	job_ref(job); /* the handler's; posta_job_done() gives it to its message */
	atomic_store_explicit(&job->hold, POSTA__HELD, memory_order_release);
	enum posta_err result = job->subscription->kind->handle(job->subscription, job);
	if (result == POSTA_EPENDING)
		return;
	if (atomic_exchange_explicit(&job->hold, POSTA__SETTLED, memory_order_acq_rel) == POSTA__HELD)
		job_unref(job);
	judge(self, job, result);
}

/* Works on the first of a lane, and on the next as long as they end at once. */
static void pump(struct posta_actor *self, struct posta__lane *lane)
{
	while (lane && lane->first && lane->first->phase == QUEUED)
		run(self, lane->first);
}

static struct posta__lane *lane_of(struct posta_subscription *subscription, const char *key)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 16777619u;
	return &subscription->lanes[hash % POSTA__LANES];
}

static void queue_up(struct posta_actor *self, struct posta_job *job)
{
	struct posta_subscription *subscription = job->subscription;
	if (!subscription->lanes) {
		run(self, job);
		return;
	}
	job->lane = lane_of(subscription, job->key);
	*(job->lane->last ? &job->lane->last->behind : &job->lane->first) = job;
	job->lane->last = job;
	pump(self, job->lane);
}

static void leave_lane(struct posta_job *job)
{
	struct posta_job **at = &job->lane->first, *before = NULL;
	while (*at != job) {
		before = *at;
		at = &before->behind;
	}
	*at = job->behind;
	if (job->lane->last == job)
		job->lane->last = before;
}

/*
 * After a reconnect the broker sends again what was not settled. Of the old ones that nobody works on just now we let
 * go, or they would be done twice, and be more than the credit.
 */
static void forget_stale(struct posta_actor *self, struct posta_subscription *subscription)
{
	struct posta_job *next;
	for (struct posta_job *job = subscription->jobs; job; job = next) {
		next = job->next;
		if (job->token.generation == subscription->generation ||
		    (job->phase != QUEUED && job->phase != WAITING))
			continue;
		if (job->timer)
			posta_cancel(self, job->timer);
		if (job->lane)
			leave_lane(job);
		job_unlink(job);
		atomic_fetch_sub_explicit(&subscription->service->unsettled, 1, memory_order_acq_rel);
		job_unref(job);
	}
}

static void on_delivery(struct posta_actor *self, struct posta_subscription *subscription,
			const struct posta_delivery *delivery)
{
	struct posta_error error = { 0 };
	if (delivery->token.generation != subscription->generation) {
		subscription->generation = delivery->token.generation;
		forget_stale(self, subscription);
	}
	struct posta_job *job = subscription->ending ? NULL : job_new(subscription, delivery);
	if (!job) {
		posta_settle(self, delivery->token, POSTA_REQUEUE);
		return;
	}
	enum posta_err err = subscription->kind->decode(job, &error);
	if (err == POSTA_OK) {
		queue_up(self, job);
	} else if (err == POSTA_ENOMEM) {
		finish(self, job, POSTA_REQUEUE);
	} else {
		job->reason = err;
		snprintf(job->text, sizeof job->text, "%s", error.text);
		bury(self, job);
	}
}

static void on_done(struct posta_actor *self, struct posta_job *job)
{
	struct posta__lane *lane = job->lane;
	enum posta_err verdict = job->verdict;
	if (job->phase != RUNNING) /* given back meanwhile */
		return;
	judge(self, job, verdict);
	pump(self, lane);
}

static void on_again(struct posta_actor *self, struct posta_job *job)
{
	struct posta__lane *lane = job->lane;
	job->timer = 0;
	if (job->phase == BURYING)
		bury(self, job);
	else
		run(self, job);
	pump(self, lane);
}

/* -- The subscription */

static void on_stop_wanted(struct posta_actor *self, struct posta_subscription *subscription, bool cancel)
{
	if (!subscription->ending) {
		subscription->ending = true;
		posta_bridge_unsubscribe(self, subscription->service->bridge, subscription->number);
	}
	if (!cancel)
		atomic_fetch_sub_explicit(&subscription->service->stopping, 1, memory_order_acq_rel);
	subscription->canceled |= cancel;
	progress(self, subscription);
	end_if_empty(self, subscription);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct posta_subscription *subscription = state;
	const struct posta_subscribed *subscribed;
	switch (message->type) {
	case POSTA_MSG_DELIVERY:
		on_delivery(self, subscription, posta_data(message));
		break;
	case POSTA__CONSUMER_DONE:
		on_done(self, posta_data(message));
		break;
	case POSTA__CONSUMER_AGAIN:
		on_again(self, *(struct posta_job **)posta_data(message));
		break;
	case POSTA_MSG_PUBLISHED:
		buried(self, posta_data(message));
		break;
	case POSTA_MSG_SUBSCRIBED:
		subscribed = posta_data(message);
		posta__subscription_result(self, subscription, subscribed->result, subscribed->text);
		break;
	case POSTA__CONSUMER_STOP:
		on_stop_wanted(self, subscription, *(bool *)posta_data(message));
		break;
	default:
		return POSTA_EUNHANDLED;
	}
	return POSTA_OK;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct posta_subscription *subscription = state;
	struct posta_error error = { 0 };
	(void)argument;
	atomic_store_explicit(&subscription->ref, posta_self(self), memory_order_release);
	enum posta_err err = posta_bridge_subscribe(self, subscription->service->bridge, &subscription->source,
						    &subscription->number, &error);
	if (err) {
		pthread_mutex_lock(&subscription->service->lock);
		snprintf(subscription->text, sizeof subscription->text, "%s", error.text);
		pthread_mutex_unlock(&subscription->service->lock);
	}
	return err;
}

/* What is in work goes back to the broker. Those whom a handler still has end when it lets go of them. */
static void stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct posta_subscription *subscription = state;
	(void)reason;
	while (subscription->jobs) {
		struct posta_job *job = subscription->jobs;
		int held = POSTA__HELD;
		posta_settle(self, job->token, POSTA_REQUEUE);
		atomic_compare_exchange_strong_explicit(&job->hold, &held, POSTA__ORPHANED, memory_order_acq_rel,
							memory_order_relaxed);
		job_unlink(job);
		atomic_fetch_sub_explicit(&subscription->service->unsettled, 1, memory_order_acq_rel);
		job_unref(job);
	}
	if (subscription->lanes)
		memset(subscription->lanes, 0, POSTA__LANES * sizeof *subscription->lanes);
	if (subscription->canceled)
		posta_send(self, subscription->service->ref, POSTA__SERVICE_CANCELED, &subscription,
			   sizeof subscription);
}

static const struct posta_actor_class consumer_class = {
	.name = "subscription",
	.receive = receive,
	.start = start,
	.stop = stop,
};

struct posta_child_spec posta__consumer_spec(struct posta_subscription *subscription, const char *id)
{
	return (struct posta_child_spec){ .id = id,
					  .klass = &consumer_class,
					  .argument = subscription,
					  .restart = POSTA_TRANSIENT,
					  .spawn.dedicated = subscription->options.dedicated };
}
