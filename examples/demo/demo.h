/* SPDX-License-Identifier: MIT */
#ifndef POSTA_EXAMPLES_DEMO_H
#define POSTA_EXAMPLES_DEMO_H

/*
 * The main job in one process, on embedded brokers:
 *
 *   producer ─event─▶ EventBus ─▶ route ─task─▶ TaskQueue ─▶ worker ─metric─▶ Telemetry ─▶ dashboard
 *
 * Half-way the task queue's connection is broken on purpose, and refused a few times more.
 */

#include <posta/messaging.h>
#include <posta/posta.h>

#include <pthread.h>
#include <stdatomic.h>

#define TOPIC "reservas"
#define QUEUE "email"
#define METRICS "sistema/trabajo"

enum leg { LEG_EVENTS, LEG_TASKS, LEG_METRICS, LEGS };

/* What one leg carried, by the number of the reservation: that is how a second delivery is recognised. */
struct tally {
	atomic_uint sent;        /* confirmed by the broker */
	atomic_uint received;    /* different ones */
	atomic_uint redelivered; /* of which the receiver had seen the number before */
	atomic_uchar *was_sent, *was_received;
};

/* Restarts as the supervisors' log records tell them. */
enum { RESTARTS_MAX = 64 };
struct restart {
	char child[32];
	unsigned long long wait_ms;
};

struct demo {
	unsigned count;
	struct posta_system *system;
	struct posta_messaging *messaging;
	struct tally legs[LEGS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct restart restarts[RESTARTS_MAX];
	unsigned restart_count;
	double seconds;
};

/* -- tally.c */
bool demo_init(struct demo *demo, unsigned count);
void demo_fini(struct demo *demo);
/* The number in "reservaId" of a body; UINT_MAX where there is none. */
unsigned demo_number(const char *json);
void demo_sent(struct demo *demo, enum leg leg, unsigned number);
bool demo_was_sent(const struct demo *demo, enum leg leg, unsigned number);
void demo_received(struct demo *demo, enum leg leg, unsigned number);
/* A hook for the system's log; context: the demo. */
void demo_log(void *context, int level, const char *event, const char *text);
/* Waits until that many different ones were received. Returns: whether they were, before the time was up. */
bool demo_await(struct demo *demo, enum leg leg, unsigned received, unsigned seconds);
/* Returns: how many were lost. */
unsigned demo_print(const struct demo *demo);

/* -- flow.c */
/* Starts route, worker and dashboard. */
enum posta_err demo_flow(struct demo *demo, struct posta_error *error);

#endif
