/* SPDX-License-Identifier: MIT */
#include "runtime/watch.h"
#include "runtime/cold.h"
#include "runtime/park.h"

static struct posta__watched *watched_at(struct posta__cold *cold, uint32_t index)
{
	return (struct posta__watched *)cold->watched.items + index;
}

static uint32_t watched_find(struct posta__cold *cold, posta_monitor monitor)
{
	for (uint32_t i = 0; cold && i < cold->watched.count; i++)
		if (watched_at(cold, i)->monitor == monitor)
			return i;
	return UINT32_MAX;
}

static uint32_t watcher_find(struct posta__cold *cold, posta_ref ref, posta_monitor monitor)
{
	struct posta__watcher *watchers = cold->watchers.items;
	for (uint32_t i = 0; i < cold->watchers.count; i++)
		if (watchers[i].ref == ref && watchers[i].monitor == monitor)
			return i;
	return UINT32_MAX;
}

static uint32_t link_find(struct posta__cold *cold, posta_ref ref)
{
	posta_ref *links = cold->links.items;
	for (uint32_t i = 0; i < cold->links.count; i++)
		if (links[i] == ref)
			return i;
	return UINT32_MAX;
}

/* In its place in the mailbox, also of a full one: it comes once, and never not. */
static void tell(struct posta__worker *worker, struct posta_actor *actor, posta_ref from, uint32_t type,
		 const void *data, size_t size)
{
	struct posta_message *message = posta__message_sure(worker, worker->system, type, data, size);
	if (!message)
		return;
	message->sender = from;
	posta__mailbox_post_own(worker, actor, message);
}

static void tell_down(struct posta_system *system, struct posta__worker *worker, posta_ref watcher, posta_ref ref,
		      posta_monitor monitor, enum posta_err reason)
{
	struct posta__signal_data data = { .ref = ref, .reason = reason, .number = monitor };
	posta__signal_send(system, worker, watcher, POSTA__SIGNAL_DOWN, &data);
}

/* -- Watching -- */

posta_monitor posta_watch(struct posta_actor *self, posta_ref ref)
{
	struct posta__worker *worker = posta__worker(self);
	struct posta__cold *cold = posta__cold_get(self);
	struct posta__watched *watched = cold ? posta__list_add(self, &cold->watched, sizeof *watched) : NULL;
	if (!watched)
		return 0;
	if (++cold->next_monitor == 0)
		cold->next_monitor = 1;
	*watched = (struct posta__watched){ .ref = ref, .monitor = cold->next_monitor };
	struct posta__signal_data data = { .ref = posta__self(self), .number = watched->monitor };
	posta_monitor monitor = watched->monitor;
	posta__signal_send(worker->system, worker, ref, POSTA__SIGNAL_WATCH, &data);
	return monitor;
}

void posta_unwatch(struct posta_actor *self, posta_monitor monitor)
{
	uint32_t index = watched_find(self->cold, monitor);
	if (index == UINT32_MAX)
		return;
	posta_ref ref = watched_at(self->cold, index)->ref;
	posta__list_remove(&self->cold->watched, sizeof(struct posta__watched), index);
	struct posta__signal_data data = { .ref = posta__self(self), .number = monitor };
	posta__signal_send(posta__worker(self)->system, posta__worker(self), ref, POSTA__SIGNAL_UNWATCH, &data);
}

static void add_watcher(struct posta__worker *worker, struct posta_actor *actor, const struct posta__signal_data *data)
{
	struct posta__cold *cold = posta__cold_get(actor);
	struct posta__watcher *watcher = cold ? posta__list_add(actor, &cold->watchers, sizeof *watcher) : NULL;
	if (watcher)
		*watcher = (struct posta__watcher){ .ref = data->ref, .monitor = data->number };
	else /* it cannot be remembered: the watcher is told now, rather than never */
		tell_down(worker->system, worker, data->ref, posta__self(actor), data->number, POSTA_ENOMEM);
}

static void remove_watcher(struct posta_actor *actor, const struct posta__signal_data *data)
{
	uint32_t index = actor->cold ? watcher_find(actor->cold, data->ref, data->number) : UINT32_MAX;
	if (index != UINT32_MAX)
		posta__list_remove(&actor->cold->watchers, sizeof(struct posta__watcher), index);
}

/* The news arrived. Only who still watches hears it, once; as an ordinary message, in its place in the mailbox. */
static void hear_down(struct posta__worker *worker, struct posta_actor *actor, const struct posta__signal_data *data)
{
	uint32_t index = watched_find(actor->cold, data->number);
	if (index == UINT32_MAX)
		return;
	posta__list_remove(&actor->cold->watched, sizeof(struct posta__watched), index);
	struct posta_down down = { .ref = data->ref, .monitor = data->number, .reason = (enum posta_err)data->reason };
	tell(worker, actor, data->ref, POSTA_MSG_DOWN, &down, sizeof down);
}

void posta__watch_down(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason)
{
	struct posta__watcher *watchers = actor->cold->watchers.items;
	for (uint32_t i = 0; i < actor->cold->watchers.count; i++)
		tell_down(worker->system, worker, watchers[i].ref, posta__self(actor), watchers[i].monitor, reason);
	struct posta__watched *watched = actor->cold->watched.items;
	for (uint32_t i = 0; i < actor->cold->watched.count; i++) {
		struct posta__signal_data data = { .ref = posta__self(actor), .number = watched[i].monitor };
		posta__signal_send(worker->system, worker, watched[i].ref, POSTA__SIGNAL_UNWATCH, &data);
	}
}

/* -- Links -- */

static enum posta_err link_add(struct posta_actor *actor, posta_ref ref)
{
	struct posta__cold *cold = posta__cold_get(actor);
	if (!cold)
		return POSTA_ENOMEM;
	if (link_find(cold, ref) != UINT32_MAX)
		return POSTA_OK;
	posta_ref *link = posta__list_add(actor, &cold->links, sizeof *link);
	if (!link)
		return POSTA_ENOMEM;
	*link = ref;
	return POSTA_OK;
}

static bool link_remove(struct posta_actor *actor, posta_ref ref)
{
	uint32_t index = actor->cold ? link_find(actor->cold, ref) : UINT32_MAX;
	if (index == UINT32_MAX)
		return false;
	posta__list_remove(&actor->cold->links, sizeof(posta_ref), index);
	return true;
}

enum posta_err posta_link(struct posta_actor *self, posta_ref ref)
{
	if (ref == posta__self(self))
		return POSTA_OK;
	enum posta_err result = link_add(self, ref);
	if (result)
		return result;
	struct posta__signal_data data = { .ref = posta__self(self) };
	posta__signal_send(posta__worker(self)->system, posta__worker(self), ref, POSTA__SIGNAL_LINK, &data);
	return POSTA_OK;
}

void posta_unlink(struct posta_actor *self, posta_ref ref)
{
	if (!link_remove(self, ref))
		return;
	struct posta__signal_data data = { .ref = posta__self(self) };
	posta__signal_send(posta__worker(self)->system, posta__worker(self), ref, POSTA__SIGNAL_UNLINK, &data);
}

void posta__link_exit(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason)
{
	posta_ref *links = actor->cold->links.items;
	struct posta__signal_data data = { .ref = posta__self(actor), .reason = reason };
	for (uint32_t i = 0; i < actor->cold->links.count; i++)
		posta__signal_send(worker->system, worker, links[i], POSTA__SIGNAL_EXIT, &data);
	actor->cold->links.count = 0;
}

/* Source: Erlang/OTP reference manual, "Processes", exit signals: a normal one ends nobody. */
static void hear_exit(struct posta__worker *worker, struct posta_actor *actor, const struct posta__signal_data *data)
{
	if (!link_remove(actor, data->ref))
		return;
	if (actor->cold->trap_exit) {
		struct posta_exit exit = { .ref = data->ref, .reason = (enum posta_err)data->reason };
		tell(worker, actor, data->ref, POSTA_MSG_EXIT, &exit, sizeof exit);
	} else if (data->reason != POSTA_OK) {
		posta__actor_begin_stop(worker, actor, POSTA_ELINKED);
	}
}

static void add_link(struct posta__worker *worker, struct posta_actor *actor, const struct posta__signal_data *data)
{
	if (link_add(actor, data->ref) == POSTA_OK)
		return;
	struct posta__signal_data exit = { .ref = posta__self(actor), .reason = POSTA_ENOMEM };
	posta__signal_send(worker->system, worker, data->ref, POSTA__SIGNAL_EXIT, &exit);
}

/* -- Signals -- */

void posta__watch_signal(struct posta__worker *worker, struct posta_actor *actor, enum posta__signal signal,
			 const struct posta__signal_data *data)
{
	switch (signal) {
	case POSTA__SIGNAL_WATCH:
		add_watcher(worker, actor, data);
		break;
	case POSTA__SIGNAL_UNWATCH:
		remove_watcher(actor, data);
		break;
	case POSTA__SIGNAL_DOWN:
		hear_down(worker, actor, data);
		break;
	case POSTA__SIGNAL_LINK:
		add_link(worker, actor, data);
		break;
	case POSTA__SIGNAL_UNLINK:
		link_remove(actor, data->ref);
		break;
	case POSTA__SIGNAL_EXIT:
		hear_exit(worker, actor, data);
		break;
	case POSTA__SIGNAL_PARKED:
		posta__park_wait(worker, actor, data->ref);
		break;
	case POSTA__SIGNAL_COUNT:
		posta__mailbox_count(actor);
		break;
	case POSTA__SIGNAL_ROOM:
		posta__park_resume(worker, actor, data->ref);
		break;
	default:
		assert(!"a signal that nobody sends");
	}
}

void posta__watch_signal_dead(struct posta_system *system, struct posta__worker *worker, enum posta__signal signal,
			      posta_ref to, const struct posta__signal_data *data)
{
	struct posta__signal_data answer = { .ref = to, .reason = POSTA_EDEAD, .number = data->number };
	if (signal == POSTA__SIGNAL_WATCH)
		posta__signal_send(system, worker, data->ref, POSTA__SIGNAL_DOWN, &answer);
	else if (signal == POSTA__SIGNAL_LINK)
		posta__signal_send(system, worker, data->ref, POSTA__SIGNAL_EXIT, &answer);
	else if (signal == POSTA__SIGNAL_PARKED)
		posta__signal_send(system, worker, data->ref, POSTA__SIGNAL_ROOM, &answer);
}
