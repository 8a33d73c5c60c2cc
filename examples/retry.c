/* SPDX-License-Identifier: MIT */
/* retryWithBackoff and a circuit breaker around something that fails twice. */
#include <posta/circuit_breaker.h>
#include <posta/posta.h>
#include <posta/retry.h>

#include <semaphore.h>
#include <stdio.h>

struct shop {
	struct posta_circuit_breaker *breaker;
	unsigned calls;
	enum posta_err result;
	sem_t ended;
};

static enum posta_err call(void *argument)
{
	struct shop *shop = argument;
	return ++shop->calls < 3 ? POSTA_ECONNECTION : POSTA_OK;
}

static enum posta_err attempt(struct posta_actor *self, posta_ref retry, uint32_t number, void *context)
{
	struct shop *shop = context;
	(void)self, (void)retry;
	enum posta_err err = posta_circuit_breaker_call(shop->breaker, call, shop);
	printf("attempt %u: %s\n", number, posta_strerror(err));
	return err;
}

static void on_done(void *context, enum posta_err result, uint32_t attempts)
{
	struct shop *shop = context;
	printf("%s after %u attempts\n", posta_strerror(result), attempts);
	shop->result = result;
	sem_post(&shop->ended);
}

int main(void)
{
	struct shop shop = { .breaker = posta_circuit_breaker_new(NULL) };
	struct posta_retry_options options = { .size = sizeof options,
					       .attempts = 3,
					       .backoff = { .initial_ms = 20, .factor = 2 },
					       .retriable = posta_err_retriable };
	struct posta_system *system;
	struct posta_error error;
	sem_init(&shop.ended, 0, 0);
	if (!shop.breaker || posta_system_start(NULL, &system, &error))
		return 1;
	if (posta_system_retry_start(system, &options, attempt, on_done, &shop, &error) != POSTA_NOBODY)
		sem_wait(&shop.ended);
	posta_system_stop(system, 1000, NULL);
	posta_circuit_breaker_free(shop.breaker);
	sem_destroy(&shop.ended);
	return shop.result == POSTA_OK && shop.calls == 3 ? 0 : 1;
}
