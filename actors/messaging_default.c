/* SPDX-License-Identifier: MIT */
/*
 * The one global of the library, on purpose: "the" messaging of a process, for programs that want one. Its lock is held
 * over the start, so that concurrent first calls wait for the one that starts.
 */
#include <posta/messaging.h>

#include <pthread.h>

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static struct posta_messaging *default_messaging;

struct posta_messaging *posta_messaging_default(struct posta_error *error)
{
	pthread_mutex_lock(&default_lock);
	if (!default_messaging)
		posta_messaging_start(NULL, &default_messaging, error);
	struct posta_messaging *messaging = default_messaging;
	pthread_mutex_unlock(&default_lock);
	return messaging;
}

enum posta_err posta_messaging_default_stop(uint64_t deadline_ms, struct posta_messaging_report *report)
{
	pthread_mutex_lock(&default_lock);
	enum posta_err err = posta_messaging_stop(default_messaging, deadline_ms, report);
	if (err != POSTA_EWRONGTHREAD) {
		posta_messaging_free(default_messaging);
		default_messaging = NULL;
	}
	pthread_mutex_unlock(&default_lock);
	return err;
}
