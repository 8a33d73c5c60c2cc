/* SPDX-License-Identifier: MIT */
/*
 * A small actor that ends what was started, in order: the services with their supervisor, then the bridges. It watches
 * each, so that its answer means that they are gone.
 */
#include "messaging.h"

#include <posta/ask.h>
#include <posta/watch.h>

enum { CLOSE = 1 };

struct closer {
	struct posta_messaging *messaging;
	uint64_t deadline_ms;
	posta_ref waits_for[POSTA__BRIDGES];
	int left;
	int step;
	struct posta_caller caller;
};

static void await(struct posta_actor *self, struct closer *closer, posta_ref ref)
{
	/* A second time, for memory may be short only for a moment, and what is not waited for is freed too early. */
	if (ref != POSTA_NOBODY && (posta_watch(self, ref) || posta_watch(self, ref)))
		closer->left++;
}

/* A status asked for from now on does not look at it. */
static void forget_bridge(struct posta_messaging *messaging, int which)
{
	struct posta__service *services[POSTA__BRIDGES] = { &messaging->bus.service, &messaging->queue.service,
							    &messaging->telemetry.service };
	if (!services[which]->kind)
		return;
	pthread_mutex_lock(&services[which]->lock);
	services[which]->bridge = NULL;
	pthread_mutex_unlock(&services[which]->lock);
}

static void close_bridges(struct posta_actor *self, struct closer *closer)
{
	struct posta_messaging *messaging = closer->messaging;
	for (int i = 0; i < POSTA__BRIDGES; i++) {
		if (!messaging->bridges[i])
			continue;
		await(self, closer, posta_bridge_ref(messaging->bridges[i]));
		forget_bridge(messaging, i);
		posta_bridge_close(messaging->bridges[i],
				   closer->deadline_ms < UINT32_MAX ? (uint32_t)closer->deadline_ms : UINT32_MAX);
		messaging->bridges[i] = NULL;
	}
}

static void stop_supervisor(struct posta_actor *self, struct closer *closer, posta_ref supervisor)
{
	await(self, closer, supervisor);
	if (supervisor != POSTA_NOBODY)
		posta_stop(self, supervisor, POSTA_ESHUTDOWN);
}

static void next_step(struct posta_actor *self, struct closer *closer)
{
	while (!closer->left) {
		switch (closer->step++) {
		case 0:
			stop_supervisor(self, closer, closer->messaging->supervisor);
			break;
		case 1:
			close_bridges(self, closer);
			break;
		default:
			posta_reply_to(self, closer->caller, CLOSE, NULL, 0);
			posta_stop(self, posta_self(self), POSTA_OK);
			return;
		}
	}
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct closer *closer = state;
	switch (message->type) {
	case CLOSE:
		closer->deadline_ms = *(uint64_t *)posta_data(message);
		closer->caller = posta_caller(message);
		break;
	case POSTA_MSG_DOWN:
		closer->left--;
		break;
	default:
		return POSTA_EUNHANDLED;
	}
	next_step(self, closer);
	return POSTA_OK;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct closer *closer = state;
	(void)self;
	closer->messaging = argument;
	return POSTA_OK;
}

static const struct posta_actor_class closer_class = {
	.name = "closer",
	.state_size = sizeof(struct closer),
	.receive = receive,
	.start = start,
};

enum posta_err posta__messaging_close(struct posta_messaging *messaging, uint64_t deadline_ms)
{
	struct posta_error error;
	posta_ref closer = posta_system_spawn(messaging->system, &closer_class, messaging, NULL, &error);
	if (closer == POSTA_NOBODY)
		return error.code;
	enum posta_err err = posta_system_ask(messaging->system, closer, CLOSE, &deadline_ms, sizeof deadline_ms,
					      deadline_ms + 1000, NULL, NULL, NULL);
	if (err)
		posta_system_stop_actor(messaging->system, closer, POSTA_ECANCELED);
	return err;
}
