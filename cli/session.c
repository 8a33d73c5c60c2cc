/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <posta/watch.h>

#include <stdlib.h>

#define CLOSE_MS 3000u

int cli_session_open(struct cli_session *session, const char *command, const char *url,
		     const struct posta_bridge_options *options)
{
	struct posta_system_options system_options = { .size = sizeof system_options, .workers = 1 };
	struct posta_error error = { POSTA_OK, false, "" };
	session->command = command;
	if (posta_log_level_from_environment() == POSTA_LOG_DEBUG) {
		system_options.log = posta_log_text;
		system_options.log_level = POSTA_LOG_DEBUG;
	}
	if (posta_system_start(&system_options, &session->system, &error))
		return cli_fail(command, "%s", error.text);
	session->bridge = posta_bridge_open(session->system, url, options, &error);
	if (session->bridge)
		return CLI_OK;
	posta_system_stop(session->system, CLOSE_MS, NULL);
	return cli_fail(command, "%s", error.text);
}

/* The end of the bridge's actor is the end of its good-byes. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	posta_ref bridge;
	bool over;
};

static enum posta_err wait_start(struct posta_actor *self, void *state, void *argument)
{
	struct waiter *waiter = argument;
	return posta_watch(self, waiter->bridge) ? POSTA_OK : POSTA_ENOMEM;
}

static enum posta_err wait_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct waiter *waiter = state;
	if (message->type != POSTA_MSG_DOWN)
		return POSTA_EUNHANDLED;
	pthread_mutex_lock(&waiter->lock);
	waiter->over = true;
	pthread_cond_signal(&waiter->changed);
	pthread_mutex_unlock(&waiter->lock);
	return POSTA_OK;
}

static const struct posta_actor_class waiter_class = { .name = "waiter", .receive = wait_receive, .start = wait_start };

void cli_session_close(struct cli_session *session)
{
	static struct waiter waiter = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	struct timespec until;
	waiter.bridge = posta_bridge_ref(session->bridge);
	posta_ref ref = posta_system_spawn(session->system, &waiter_class, &waiter, NULL, NULL);
	posta_bridge_close(session->bridge, CLOSE_MS);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CLOSE_MS / 1000 + 1;
	pthread_mutex_lock(&waiter.lock);
	while (ref && !waiter.over && !pthread_cond_timedwait(&waiter.changed, &waiter.lock, &until))
		;
	pthread_mutex_unlock(&waiter.lock);
	posta_system_stop(session->system, CLOSE_MS, NULL);
}

void cli_session_state(struct cli_session *session, const struct posta_bridge_status *status)
{
	bool down = status->state == POSTA_BRIDGE_DOWN;
	bool was_down = atomic_load(&session->bridge_down);
	if (down && !was_down)
		fprintf(stderr, "posta %s: %s: %s; trying again\n", session->command, status->url, status->last_error);
	if (status->state == POSTA_BRIDGE_CONNECTED && was_down)
		fprintf(stderr, "posta %s: %s: connected\n", session->command, status->url);
	if (down || status->state == POSTA_BRIDGE_CONNECTED)
		atomic_store(&session->bridge_down, down);
}
