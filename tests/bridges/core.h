/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_CORE_H
#define POSTA_TESTS_CORE_H

/*
 * The common part of the bridges as one broker's files see it, played by the test: it calls the ops by hand and writes
 * down what comes back. So a test decides each call and its moment, against a real broker or a scripted one.
 */

#include <posta/bridge_ops.h>

#include <ev.h>

#define CORE_EVENTS_MAX 20000

struct core_confirm {
	uint64_t id;
	enum posta_err result;
	char text[POSTA_ERROR_TEXT_MAX];
};

struct core_delivery {
	uint32_t subscription;
	uint64_t id;
	bool redelivered;
	struct posta_envelope *envelope;
};

struct posta_bridge {
	struct posta_system *system;
	struct posta_actor *actor;
	struct ev_loop *loop;
	const struct posta_bridge_ops *ops;
	struct posta_bridge_options options;
	char url[256];
	void *state;
	const char *client_id; /* NULL: the same for all */
	uint32_t attempt;
	int64_t lag;
	struct posta_envelope *reply; /* the last one */
	int replied;
	int ups, downs, blocked, unblocked, writables, ended, revoked;
	enum posta_err down_code;
	char down_text[POSTA_ERROR_TEXT_MAX];
	int subscribed_count;
	enum posta_err subscribed_result; /* of the last one */
	char subscribed_text[POSTA_ERROR_TEXT_MAX];
	size_t confirm_count, delivery_count;
	struct core_confirm confirms[CORE_EVENTS_MAX]; /* confirm_through is written down as one per id */
	struct core_delivery deliveries[CORE_EVENTS_MAX];
	uint64_t next_id, confirmed_through;
	bool confirmed[CORE_EVENTS_MAX];                        /* by id, for confirm_through */
	struct posta_publication publications[CORE_EVENTS_MAX]; /* by id */
};

/* The system with one actor on a loop of its own. ops: of the broker's file. */
struct posta_bridge *core_new(const struct posta_bridge_ops *ops, const char *url);
/* Closes the connection too. */
void core_free(struct posta_bridge *core);
/* A new connection; up is waited for in core_connected(). */
enum posta_err core_connect(struct posta_bridge *core, struct posta_error *error);
void core_connected(struct posta_bridge *core);
void core_close(struct posta_bridge *core);

/* Runs the loop until the condition holds; fails the test after timeout_s. */
#define core_wait(core, condition)                                                                                     \
	do {                                                                                                           \
		ev_tstamp core_deadline = ev_time() + 20.;                                                             \
		bool core_done;                                                                                        \
		while (!(core_done = (condition)) && ev_time() < core_deadline)                                        \
			core_run_once(core);                                                                           \
		if (!core_done)                                                                                        \
			core_give_up(core, #condition, __FILE__, __LINE__);                                            \
	} while (0)
void core_run_once(struct posta_bridge *core);
/* Turns of the loop for that long, for what must not happen. */
void core_run_for(struct posta_bridge *core, double seconds);
void core_give_up(struct posta_bridge *core, const char *condition, const char *file, int line);

/* Publishes one (not flushed when more is true). Takes: envelope. Returns: its id. */
uint64_t core_publish(struct posta_bridge *core, const struct posta_target *target, struct posta_envelope *envelope,
		      bool more);
struct posta_envelope *core_text(const char *id, const char *body);
const struct core_confirm *core_confirm_of(const struct posta_bridge *core, uint64_t id);
void core_settle(struct posta_bridge *core, const struct core_delivery *delivery, enum posta_outcome outcome);

#endif
