/* SPDX-License-Identifier: MIT */
/*
 * One actor a retry. Its stop() tells the end, whatever it was, so that nobody waits for ever: also when its parent
 * ends, or the system.
 *
 *   run(n) ──OK──▶ end        run(n) ──pending──▶ wait ──result──▶ as if run had returned it
 *     └──failed──▶ back-off ──▶ run(n + 1)          └──time-out──▶ failed with ETIMEDOUT
 */
#include <posta/retry.h>
#include <posta/system.h>
#include <posta/timer.h>

#include <stdlib.h>

#define ATTEMPTS 3u
#define INITIAL_MS 1000u

enum { RUN = 1, RESULT, EXPIRED, CANCEL };

struct retry {
	struct posta_retry_options options;
	posta_attempt_fn *attempt;
	posta_retry_done_fn *on_done;
	void *context;
	uint32_t attempts;
	uint64_t waited_ms;
	bool pending; /* the last attempt has not ended */
	enum posta_err result;
	posta_timer timer;
};

struct verdict {
	uint32_t attempt;
	enum posta_err result;
};

static void end(struct posta_actor *self, struct retry *retry, enum posta_err result)
{
	retry->result = result;
	posta_stop(self, posta_self(self), POSTA_OK);
}

static bool goes_on(const struct retry *retry, enum posta_err error)
{
	return retry->attempts < retry->options.attempts &&
	       (!retry->options.retriable || retry->options.retriable(error));
}

static enum posta_err wait_and_run(struct posta_actor *self, struct retry *retry)
{
	retry->waited_ms = posta_backoff_delay_ms(&retry->options.backoff, retry->attempts - 1, retry->waited_ms,
						  posta_random(self));
	retry->timer = posta_send_after(self, retry->waited_ms, posta_self(self), RUN, NULL, 0);
	if (!retry->timer)
		end(self, retry, POSTA_ENOMEM);
	return POSTA_OK;
}

static enum posta_err ended(struct posta_actor *self, struct retry *retry, enum posta_err result)
{
	retry->pending = false;
	if (result == POSTA_OK || !goes_on(retry, result))
		end(self, retry, result);
	else
		return wait_and_run(self, retry);
	return POSTA_OK;
}

static enum posta_err await_result(struct posta_actor *self, struct retry *retry)
{
	uint32_t attempt = retry->attempts;
	retry->pending = true;
	if (!retry->options.attempt_timeout_ms)
		return POSTA_OK;
	retry->timer = posta_send_after(self, retry->options.attempt_timeout_ms, posta_self(self), EXPIRED, &attempt,
					sizeof attempt);
	if (!retry->timer)
		end(self, retry, POSTA_ENOMEM);
	return POSTA_OK;
}

static enum posta_err run(struct posta_actor *self, struct retry *retry)
{
	retry->timer = 0;
	retry->attempts++;
	enum posta_err result = retry->attempt(self, posta_self(self), retry->attempts, retry->context);
	return result == POSTA_EPENDING ? await_result(self, retry) : ended(self, retry, result);
}

static enum posta_err on_result(struct posta_actor *self, struct retry *retry, const struct verdict *verdict)
{
	if (!retry->pending || verdict->attempt != retry->attempts)
		return POSTA_OK;
	posta_cancel(self, retry->timer);
	return ended(self, retry, verdict->result);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct retry *retry = state;
	switch (message->type) {
	case RUN:
		return run(self, retry);
	case RESULT:
		return on_result(self, retry, posta_data(message));
	case EXPIRED: {
		struct verdict verdict = { *(uint32_t *)posta_data(message), POSTA_ETIMEDOUT };
		return on_result(self, retry, &verdict);
	}
	case CANCEL:
		end(self, retry, POSTA_ECANCELED);
		return POSTA_OK;
	default:
		return POSTA_EUNHANDLED;
	}
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	return posta_send(self, posta_self(self), RUN, NULL, 0);
}

static void stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct retry *retry = state;
	(void)self, (void)reason;
	if (retry->on_done)
		retry->on_done(retry->context, retry->result, retry->attempts);
	free(retry);
}

static const struct posta_actor_class retry_class = {
	.name = "retry", .receive = receive, .start = start, .stop = stop
};

static void set_defaults(struct posta_retry_options *options)
{
	struct posta_backoff *backoff = &options->backoff;
	if (!options->attempts)
		options->attempts = ATTEMPTS;
	if (!backoff->initial_ms && !backoff->max_ms && backoff->factor == 0)
		backoff->initial_ms = INITIAL_MS;
}

static struct retry *retry_new(const struct posta_retry_options *options, posta_attempt_fn *attempt,
			       posta_retry_done_fn *on_done, void *context, struct posta_error *error)
{
	if (!attempt) {
		posta_error_set(error, POSTA_EINVAL, "a retry needs a function to try");
		return NULL;
	}
	struct retry *retry = calloc(1, sizeof *retry);
	if (!retry) {
		posta_error_set(error, POSTA_ENOMEM, "out of memory for a retry");
		return NULL;
	}
	if (options)
		retry->options = *options;
	set_defaults(&retry->options);
	retry->attempt = attempt;
	retry->on_done = on_done;
	retry->context = context;
	retry->result = POSTA_ECANCELED; /* unless it ends otherwise */
	return retry;
}

posta_ref posta_retry_start(struct posta_actor *self, const struct posta_retry_options *options,
			    posta_attempt_fn *attempt, posta_retry_done_fn *on_done, void *context,
			    struct posta_error *error)
{
	struct retry *retry = retry_new(options, attempt, on_done, context, error);
	posta_ref ref = retry ? posta_spawn_with(self, &retry_class, retry, NULL, error) : POSTA_NOBODY;
	if (ref == POSTA_NOBODY)
		free(retry);
	return ref;
}

posta_ref posta_system_retry_start(struct posta_system *system, const struct posta_retry_options *options,
				   posta_attempt_fn *attempt, posta_retry_done_fn *on_done, void *context,
				   struct posta_error *error)
{
	struct retry *retry = retry_new(options, attempt, on_done, context, error);
	posta_ref ref = retry ? posta_system_spawn(system, &retry_class, retry, NULL, error) : POSTA_NOBODY;
	if (ref == POSTA_NOBODY)
		free(retry);
	return ref;
}

enum posta_err posta_retry_result(struct posta_system *system, posta_ref retry, uint32_t attempt, enum posta_err result)
{
	struct verdict verdict = { attempt, result };
	return posta_system_send(system, retry, RESULT, &verdict, sizeof verdict);
}

void posta_retry_cancel(struct posta_system *system, posta_ref retry)
{
	posta_system_send(system, retry, CANCEL, NULL, 0);
}

posta_ref posta_deadline_start(struct posta_actor *self, uint64_t timeout_ms, posta_attempt_fn *attempt,
			       posta_retry_done_fn *on_done, void *context, struct posta_error *error)
{
	struct posta_retry_options options = { .attempts = 1, .attempt_timeout_ms = timeout_ms ? timeout_ms : 1 };
	return posta_retry_start(self, &options, attempt, on_done, context, error);
}
