/* SPDX-License-Identifier: MIT */
#include "runtime/block.h"
#include "runtime/cold.h"
#include "runtime/mailbox.h"

#include <string.h>

#define STASH_MAX 65536u

/* Off the straight path: more than a small block holds, or no free block at hand. */
static __attribute__((noinline)) enum posta_err send_copy(struct posta_actor *self, posta_ref to, uint32_t type,
							  const void *data, size_t size)
{
	struct posta__worker *worker = posta__worker_running(self);
	if (size > POSTA_COPY_MAX)
		return POSTA_EINVAL;
	struct posta_message *message = posta__message_copy(worker, worker->system, type, data, size);
	if (!message)
		return POSTA_ENOMEM;
	message->sender = posta__self(self);
	return posta__post(worker, to, message);
}

/* Every call in it is its last: so it needs no frame. */
enum posta_err posta_send(struct posta_actor *self, posta_ref to, uint32_t type, const void *data, size_t size)
{
	struct posta__worker *worker = posta__worker_running(self);
	struct posta_message *message = posta__block_at_hand(worker, type, size);
	if (POSTA__UNLIKELY(!message))
		return send_copy(self, to, type, data, size);
	posta__copy_small(message->payload_, data, size);
	message->sender = posta__self(self);
	return posta__post(worker, to, message);
}

enum posta_err posta_post(struct posta_actor *self, posta_ref to, struct posta_message *message)
{
	return posta__post(posta__worker_running(self), to, message);
}

enum posta_err posta_send_within(struct posta_actor *self, posta_ref to, uint64_t ttl_ms, uint32_t type,
				 const void *data, size_t size)
{
	struct posta__worker *worker = posta__worker(self);
	size_t aligned = (size + 7) & ~(size_t)7;
	if (aligned + 8 > POSTA__BLOCK_MAX - sizeof(struct posta_message))
		return POSTA_EINVAL;
	struct posta_message *message = posta_message_new(self, type, aligned + 8);
	if (!message)
		return POSTA_ENOMEM;
	uint64_t now = posta__worker_now(worker);
	uint64_t deadline = ttl_ms < (UINT64_MAX - now) / 1000000u ? now + ttl_ms * 1000000u : UINT64_MAX;
	if (size)
		memcpy(message->payload_, data, size);
	memcpy(message->payload_ + aligned, &deadline, sizeof deadline);
	message->size_ = (uint16_t)size;
	message->bits_ |= POSTA__BIT_DEADLINE;
	return posta__post(worker, to, message);
}

enum posta_err posta_forward(struct posta_actor *self, posta_ref to, struct posta_message *message)
{
	struct posta__worker *worker = posta__worker_running(self);
	posta_keep(self, message);
	if (POSTA__UNLIKELY(atomic_load_explicit(&posta__slot(worker, to)->bounded, memory_order_relaxed)))
		return posta__mailbox_post_for(worker, posta__self(self), to, message);
	return posta_post(self, to, message);
}

enum posta_err posta_stash(struct posta_actor *self, struct posta_message *message)
{
	struct posta__cold *cold = posta__cold_get(self);
	if (!cold)
		return POSTA_ENOMEM;
	if (cold->stash_count >= STASH_MAX)
		return POSTA_EFULL;
	posta_keep(self, message);
	message->next_ = NULL;
	*cold->stash_tail = message;
	cold->stash_tail = &message->next_;
	cold->stash_count++;
	return POSTA_OK;
}

/* In the next turn, when the mailbox is whole: in the midst of one the turn holds a part of it. */
void posta_unstash(struct posta_actor *self)
{
	self->attention |= POSTA__ATTEND_UNSTASH;
	posta__run_ready(posta__worker(self), self);
}

void posta_become(struct posta_actor *self, posta_receive *receive)
{
	self->receive = receive;
}

posta_ref posta_self(const struct posta_actor *self)
{
	return posta__self(self);
}

posta_ref posta_parent(const struct posta_actor *self)
{
	return self->parent ? posta__self(self->parent) : POSTA_NOBODY;
}

void *posta_state(const struct posta_actor *self)
{
	return self->state;
}

struct posta_system *posta_system_of(const struct posta_actor *self)
{
	return posta__worker(self)->system;
}

struct ev_loop *posta_loop(const struct posta_actor *self)
{
	return posta__worker(self)->loop;
}

uint64_t posta_now_ns(struct posta_actor *self)
{
	return posta__worker_now(posta__worker(self));
}

uint64_t posta_random(struct posta_actor *self)
{
	return posta__worker_random(posta__worker(self));
}

bool posta_alive(const struct posta_actor *self, posta_ref ref)
{
	const struct posta_actor *actor = posta__slot(posta__worker(self), ref);
	return ref != POSTA_NOBODY && atomic_load_explicit(&actor->self, memory_order_relaxed) == ref;
}
