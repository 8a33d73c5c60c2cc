/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTOR_H
#define POSTA_ACTOR_H

/*
 * Actors: a state, a mailbox and a handler that gets one message at a time. Nothing of an actor is
 * touched by two threads, so handlers need no locks. Every function here that takes self belongs to the
 * thread on which that actor runs: inside its handler, its start and stop, its timers' and its watchers'
 * callbacks. From any other thread use posta_system_*.
 */

#include <posta/error.h>
#include <posta/message.h>
#include <posta/ref.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ev_loop;
struct posta_actor;
struct posta_system;

/*
 * Handles one message. OK: handled. POSTA_EUNHANDLED: not understood; it becomes a dead letter and the actor
 * lives on. Any other error: the actor failed; its supervisor decides (without one it ends).
 */
typedef enum posta_err posta_receive(struct posta_actor *self, void *state, struct posta_message *message);

/* What all actors of a kind share. Static and constant; must outlive the system. */
struct posta_actor_class {
	size_t size;      /* sizeof this struct, or 0 for the layout of version 1 */
	const char *name; /* in logs and the tree; NULL: "actor" */
	/* Bytes of state, zeroed before start, also at each restart; 0: state is the spawn's argument. */
	size_t state_size;
	posta_receive *receive;
	/*
	 * Optional. First thing on the actor's own thread. POSTA_EPENDING: started later, by posta_started(). Another
	 * error: the start failed.
	 */
	enum posta_err (*start)(struct posta_actor *self, void *state, void *argument);
	/* Optional. Last thing, also when start failed or never ran; children have ended already. Must not fail. */
	void (*stop)(struct posta_actor *self, void *state, enum posta_err reason);
};

enum posta_mailbox_policy {
	POSTA_MAILBOX_UNBOUNDED,
	POSTA_MAILBOX_REJECT,      /* send returns POSTA_EFULL */
	POSTA_MAILBOX_DROP_NEWEST, /* send succeeds, the message becomes a dead letter */
	POSTA_MAILBOX_DROP_OLDEST, /* the oldest one becomes a dead letter */
	/*
	 * Send succeeds, but the sending actor gets no further message, after its present handler, until half of the
	 * mailbox is empty. Never in a circle: whoever would wait for itself goes through. From other threads:
	 * POSTA_EFULL, or posta_system_send_wait().
	 */
	POSTA_MAILBOX_PARK,
	POSTA_MAILBOX_COUNTED_ /* the runtime's own: no limit, but the length is known */
};

struct posta_mailbox_options {
	enum posta_mailbox_policy policy;
	uint32_t length_max; /* messages; 0 only with UNBOUNDED. System messages and replies are never counted */
};

struct posta_spawn_options {
	size_t size;
	const char *name; /* registered under this name while it lives; copied. Errors: EEXISTS */
	bool dedicated;   /* a thread of its own, for handlers that block */
	bool pinned;      /* never moves to another worker: needed by owners of loop watchers */
	int worker;       /* with pinned: which one, from 1; 0: the spawner's */
	bool trap_exit;   /* signals of linked actors arrive as POSTA_MSG_EXIT instead of ending it */
	struct posta_mailbox_options mailbox;
};

/*
 * Spawns a child of self: it is stopped before self ends. Its start runs in its first turn; if that fails the
 * child ends with that reason. Children spawned in one turn start in their order. Returns: its reference; POSTA_NOBODY
 * when out of memory.
 */
posta_ref posta_spawn(struct posta_actor *self, const struct posta_actor_class *klass, void *argument);
/* The same with options (NULL: defaults). Errors: ENOMEM, EEXISTS (name), EINVAL, in error. */
posta_ref posta_spawn_with(struct posta_actor *self, const struct posta_actor_class *klass, void *argument,
			   const struct posta_spawn_options *options, struct posta_error *error);
/* Ends a start that returned POSTA_EPENDING. */
void posta_started(struct posta_actor *self, enum posta_err result);

/*
 * Sends a copy of size bytes. FIFO between any two actors. To another worker a handler's second and later messages may
 * leave only when it returns, unless its actor is dedicated. Errors: EDEAD, EFOREIGN (both: it is a dead letter),
 * EFULL (not sent), ENOMEM, EINVAL (size > POSTA_COPY_MAX).
 */
enum posta_err posta_send(struct posta_actor *self, posta_ref to, uint32_t type, const void *data, size_t size);
/* The same, but nobody wants it after ttl_ms: then it is a dead letter (expired), counted. */
enum posta_err posta_send_within(struct posta_actor *self, posta_ref to, uint64_t ttl_ms, uint32_t type,
				 const void *data, size_t size);
/* Sends a message made by posta_message_new/_wrap or kept. Takes: message, always, also on error. */
enum posta_err posta_post(struct posta_actor *self, posta_ref to, struct posta_message *message);
/* Passes the message in work on; its sender stays the original one, so the reply goes there. */
enum posta_err posta_forward(struct posta_actor *self, posta_ref to, struct posta_message *message);
/*
 * Answers the message in work. A question asked by posta_ask() gets its reply, any other sender a message of that type.
 * An answer of at most POSTA_INLINE_MAX bytes is also given while memory has run out, from a reserve.
 */
enum posta_err posta_reply(struct posta_actor *self, uint32_t type, const void *data, size_t size);

/* Whom to answer later, when the message is gone. */
struct posta_caller {
	posta_ref ref;
	uint32_t ask;
};
struct posta_caller posta_caller(const struct posta_message *message);
/* As posta_reply, to whom posta_caller() named. */
enum posta_err posta_reply_to(struct posta_actor *self, struct posta_caller caller, uint32_t type, const void *data,
			      size_t size);

/* Returns: its own reference; its parent's, POSTA_NOBODY for the root; its state; its system. */
posta_ref posta_self(const struct posta_actor *self);
posta_ref posta_parent(const struct posta_actor *self);
void *posta_state(const struct posta_actor *self);
struct posta_system *posta_system_of(const struct posta_actor *self);
/* The loop of the worker it runs on; a pinned or dedicated actor may own watchers on it. Stop them in stop(). */
struct ev_loop *posta_loop(const struct posta_actor *self);
/* Nanoseconds, monotonic; virtual in simulations. Refreshed at least once a turn. */
uint64_t posta_now_ns(struct posta_actor *self);
/* Uniform 64 bits of the worker's seeded generator: not for secrets. */
uint64_t posta_random(struct posta_actor *self);
/*
 * Whether ref names an actor that has not ended; one that waits for its restart has not. Only a hint on other workers.
 */
bool posta_alive(const struct posta_actor *self, posta_ref ref);

/* From the next message on receive handles. It stays over a restart only if start sets it again. */
void posta_become(struct posta_actor *self, posta_receive *receive);
/*
 * Puts the message in work aside; unstash gives all back, in order, before anything newer. Errors: EFULL (over 65,536).
 */
enum posta_err posta_stash(struct posta_actor *self, struct posta_message *message);
void posta_unstash(struct posta_actor *self);

/*
 * Asks an actor to end, with the messages that are before it in the mailbox left unhandled (they become dead letters):
 * children first, then its stop(). Self: after the present handler. A stopped actor is not restarted by its supervisor
 * unless it is permanent.
 */
void posta_stop(struct posta_actor *self, posta_ref ref, enum posta_err reason);
/* Ends the turn with a failure, with words for logs and the supervisor. Outside a handler (a watcher) too. */
void posta_fail(struct posta_actor *self, enum posta_err reason, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 3, 4)))
#endif
	;

/* Message types of the runtime itself. */
enum posta_runtime_message {
	POSTA_MSG_DOWN = 0x7FFF0000, /* struct posta_down: a watched actor ended */
	POSTA_MSG_EXIT,              /* struct posta_exit: a linked actor ended and self traps exits */
	POSTA_MSG_TIMER,             /* default type of timers */
	POSTA_MSG_SYSTEM_FIRST_      /* the runtime's own; never seen by a handler */
};

#ifdef __cplusplus
}
#endif
#endif
