/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_COLD_H
#define POSTA_RUNTIME_COLD_H

/*
 * What only some actors have: watchers, links, names, questions, a stash. Made on first use, so that an idle
 * actor stays three cache lines. Home only.
 */

#include "runtime/actor.h"

#include <posta/ask.h>
#include <posta/watch.h>

/* A growing array of fixed-size items; small, and bounded by its users. */
struct posta__list {
	void *items;
	uint32_t count, room;
};

struct posta__watcher { /* who watches this actor */
	posta_ref ref;
	posta_monitor monitor;
};

struct posta__watched { /* whom this actor watches */
	posta_ref ref;
	posta_monitor monitor;
};

struct posta__question {
	uint32_t id; /* 0: a free place of the table; ask.c */
	uint64_t timer;
	posta_reply_fn *on_reply;
	void *context;
	void (*forget)(void *context); /* the asker ended first: on_reply is not called. NULL: nothing to do */
};

struct posta__cold {
	struct posta__list watchers, watched, links, questions, names, groups;
	struct posta__list waiters; /* parked until there is room in its mailbox: posta_ref */
	struct posta_message *stash_head, **stash_tail;
	uint32_t stash_count;
	uint32_t next_monitor, next_question;
	void *argument;                                                     /* of the spawn, for restarts */
	void (*argument_free)(struct posta_system *system, void *argument); /* at the very end; may be NULL */
	struct posta_message *poison; /* the message that failed it, to be redelivered after the restart */
	uint32_t redelivered, redeliver_max;
	bool trap_exit;
	uint8_t when_down; /* enum posta_when_down */
	uint8_t policy_up; /* what the mailbox is while the actor is up */
	uint32_t when_down_max, length_max_up;
	uint64_t restarts;
	int16_t last_reason; /* of its last failure, and the words for it */
	bool has_words;      /* they are posta_fail's, of the present failure */
	char error[POSTA_ERROR_TEXT_MAX];
	/* A supervisor's own logic; NULL for all others. supervisor.c */
	const struct posta__supervisor_hooks *hooks;
};

/* What a timer of a supervisor is for. */
enum posta__due { POSTA__DUE_RESTART, POSTA__DUE_SHUTDOWN, POSTA__DUE_GROUP };

/* What happens to a child, told to a parent that is a supervisor. */
struct posta__supervisor_hooks {
	void (*child_started)(struct posta_actor *self, struct posta_actor *child);
	/* suspended: it may be restarted (POSTA__SIGNAL_RESTART); else it is gone after this call. */
	void (*child_down)(struct posta_actor *self, struct posta_actor *child, enum posta_err reason, bool suspended);
	/* Asked to stop: stops its children in its own order. It ends when the last is gone. */
	void (*stop)(struct posta_actor *self);
	/* One of its own timers, POSTA__SIGNAL_TIMER; also while it starts or stops. */
	void (*timer)(struct posta_actor *self, enum posta__due what, posta_ref ref, uint32_t epoch);
};

/* Returns: NULL when out of memory. */
struct posta__cold *posta__cold_get(struct posta_actor *actor);
void posta__cold_free(struct posta_actor *actor);

/* Returns: room for one more item at the end, zeroed; NULL when out of memory. */
void *posta__list_add(struct posta_actor *actor, struct posta__list *list, size_t item_size);
/* Keeps the order. */
void posta__list_remove(struct posta__list *list, size_t item_size, uint32_t index);
void posta__list_free(struct posta_actor *actor, struct posta__list *list, size_t item_size);

#endif
