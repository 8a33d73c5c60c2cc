/* SPDX-License-Identifier: MIT */
#ifndef POSTA_SYSTEM_H
#define POSTA_SYSTEM_H

/*
 * An actor system: the workers, their loops and all actors on them. Several may live in a process; they share
 * nothing. Prints nothing, has no global state but a counter of systems. Thread: any, unless said otherwise.
 *
 * fork(): the child has none of the threads, and locks as they were: it must not touch a system of its parent's, not
 * even stop it; it may exec, or start one of its own. Descriptors are closed on exec.
 * Signals: none is taken, blocked or ignored (a client library may have SIGPIPE ignored: see its bridge). A signal of
 * the process may be delivered on a worker: block those you handle before posta_system_start(), whose threads inherit
 * the mask.
 */

#include <posta/actor.h>
#include <posta/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Memory of the runtime comes from here. alloc may return NULL; size is what was asked for. One thing does not: the
 * table of actors is a stretch of addresses reserved from the kernel, of which only what is used becomes memory.
 */
struct posta_allocator {
	void *(*alloc)(void *context, size_t alignment, size_t size);
	void (*free)(void *context, void *memory, size_t size);
	void *context;
};

enum posta_dead_reason {
	POSTA_DEAD_NO_ACTOR, /* the receiver ended or never was */
	POSTA_DEAD_MAILBOX,  /* full */
	POSTA_DEAD_EXPIRED,
	POSTA_DEAD_UNHANDLED, /* the handler did not understand it */
	POSTA_DEAD_STOPPED,   /* left in the mailbox of an actor that ended */
	POSTA_DEAD_POISON     /* failed its handler too often */
};

#define POSTA_DEAD_REASONS (POSTA_DEAD_POISON + 1)

struct posta_dead_letter {
	posta_ref to;
	posta_ref sender;
	uint32_t type;
	enum posta_dead_reason reason;
	const void *data; /* borrowed for the call */
	size_t size;
};

/* A handler that has run for longer than watchdog_ms. */
struct posta_stuck {
	const char *class_name;
	posta_ref ref;
	uint32_t type; /* of the message it handles */
	int worker;    /* from 1 */
	uint64_t ms;   /* so far, at least */
};

struct posta_system_options {
	size_t size;
	const char *name; /* of its threads; NULL: "posta" */
	/* Threads. 0: one per CPU of the affinity mask and the control group's quota; POSTA_HOST_DRIVEN: none. */
	int workers;
	/* Host-driven: run on this loop of the host's (its default or own); NULL: a loop of posta's own, stepped. */
	struct ev_loop *loop;
	/* 0: 16,777,216, or fewer where addresses are scarce: 192 bytes of them are reserved for each. */
	uint32_t actors_max;
	uint32_t dedicated_max; /* 0: 64; at most 200 */
	bool pin_cpus;          /* worker n on the n-th CPU of the process's mask */
	uint64_t turn_us_max;   /* longest turn before others run; 0: 100 */
	bool virtual_clock; /* time stands still but in posta_system_advance and calls that wait; host-driven only */
	/* Of posta_random; 0: from the system's entropy. With virtual_clock also the order of ready actors. */
	uint64_t seed;
	struct posta_allocator allocator; /* all NULL: aligned_alloc and free */
	void (*log)(void *context, int level, const char *event, const char *text); /* see log.h */
	void *log_context;
	int log_level;                                                              /* enum posta_log_level */
	void (*dead_letter)(void *context, const struct posta_dead_letter *letter); /* any worker; must not block */
	void *dead_letter_context;
	/*
	 * Handlers that run longer are logged ("actor.stuck": class, reference, message type) and told to stuck(), once
	 * each, from a thread of the watchdog's own. Actors with threads of their own may block. 0: no watchdog, and it
	 * costs nothing.
	 */
	uint64_t watchdog_ms;
	void (*stuck)(void *context, const struct posta_stuck *stuck); /* may be NULL; must not call into the system */
	void *stuck_context;
};

#define POSTA_HOST_DRIVEN (-1)

/* Errors: ENOMEM, EINVAL (names the option), EIO (threads, descriptors). Returns: owned through *system. */
enum posta_err posta_system_start(const struct posta_system_options *options, struct posta_system **system,
				  struct posta_error *error);

struct posta_stop_report {
	uint64_t actors_left;   /* still running at the deadline */
	uint64_t messages_left; /* never handled */
};

/*
 * Stops all actors, children before parents, waits for it up to deadline_ms, then ends the threads and frees
 * everything. Thread: none of posta's own (host-driven: the driving one, outside of callbacks). NULL is allowed. report
 * may be NULL. Errors: ETIMEDOUT: actors were left and were abandoned (nothing of theirs is freed by their stop()).
 * EWRONGTHREAD.
 */
enum posta_err posta_system_stop(struct posta_system *system, uint64_t deadline_ms, struct posta_stop_report *report);

/*
 * The same in peace: first waits, within the same deadline, until no worker has anything to do, so that what was sent
 * is handled, and what came of it too; timers are not waited for. Whoever goes on sending keeps it from being quiet.
 */
enum posta_err posta_system_drain(struct posta_system *system, uint64_t deadline_ms, struct posta_stop_report *report);

/* A child of the system's root. Thread: any. */
posta_ref posta_system_spawn(struct posta_system *system, const struct posta_actor_class *klass, void *argument,
			     const struct posta_spawn_options *options, struct posta_error *error);
/* Thread: any, also one that is none of posta's. Errors: as posta_send; ECLOSED: the system stops. */
enum posta_err posta_system_send(struct posta_system *system, posta_ref to, uint32_t type, const void *data,
				 size_t size);
/* The same around memory that is handed over. Takes: slice, always: its release is called on an error too. */
enum posta_err posta_system_send_slice(struct posta_system *system, posta_ref to, uint32_t type,
				       const struct posta_slice *slice);
/*
 * Blocks a thread that is none of posta's until the message is in the mailbox of an actor that rejects or parks.
 * Errors: as posta_send; ETIMEDOUT: not sent; EWRONGTHREAD on a worker.
 */
enum posta_err posta_system_send_wait(struct posta_system *system, posta_ref to, uint32_t type, const void *data,
				      size_t size, uint64_t timeout_ms);
/* As posta_stop. Thread: any. */
void posta_system_stop_actor(struct posta_system *system, posta_ref ref, enum posta_err reason);

/*
 * Host-driven without a loop of the host's: runs what is ready, waits at most timeout_ms for more if nothing is
 * (0: does not wait). Returns: turns run. Thread: always the same one.
 */
size_t posta_system_step(struct posta_system *system, uint64_t timeout_ms);
/* Steps until done(context) or timeout_ms have passed. Returns: whether it was done. */
bool posta_system_run_until(struct posta_system *system, bool (*done)(void *context), void *context,
			    uint64_t timeout_ms);
/* virtual_clock: moves time, stopping at each timer on the way and running what it wakes. */
void posta_system_advance(struct posta_system *system, uint64_t ms);
/* Nanoseconds of the system's clock. */
uint64_t posta_system_now_ns(struct posta_system *system);
int posta_system_workers(const struct posta_system *system);

/* Counters since the start, summed over the workers without stopping them. */
struct posta_metrics {
	size_t size;
	uint64_t actors; /* alive now */
	uint64_t spawned;
	uint64_t stopped;
	uint64_t restarts;
	uint64_t failures;
	uint64_t messages; /* handled */
	uint64_t turns;
	uint64_t remote; /* mailboxes notified from another thread */
	uint64_t moved;  /* actors that changed worker */
	uint64_t sleeps;
	uint64_t wakes;
	uint64_t dead_letters;
	uint64_t late_replies;
	uint64_t timers; /* armed now */
	uint64_t parked; /* senders that had to wait for room */
	uint64_t dead_letters_by[POSTA_DEAD_REASONS];
};
/* Thread: any. */
void posta_system_metrics(struct posta_system *system, struct posta_metrics *metrics);

/* "posta 0.1.0" */
const char *posta_version(void);

#ifdef __cplusplus
}
#endif
#endif
