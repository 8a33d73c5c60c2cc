/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_MESSAGING_H
#define POSTA_ACTORS_MESSAGING_H

#include "event_bus.h"
#include "task_queue.h"
#include "telemetry.h"

#include <posta/messaging.h>

#define POSTA__BRIDGES 3

struct posta_messaging {
	struct posta_system *system;
	bool owns_system;
	bool stopped;
	bool abandoned; /* an actor of it did not end in time: what it may still look at is never freed */
	enum posta_err stop_result;
	struct posta_messaging_report report;
	posta_ref supervisor; /* of the services */
	struct posta_bridge *bridges[POSTA__BRIDGES];
	struct posta_event_bus bus;
	struct posta_task_queue queue;
	struct posta_telemetry telemetry;
};

/*
 * Where a broker is and who we are there: option, else environment, else default. which: one of the three bridges.
 * Returns: owned, free(); NULL when out of memory.
 */
char *posta__messaging_url(const struct posta_messaging_options *options, int which);
char *posta__messaging_client_id(const struct posta_messaging_options *options, int which);

/*
 * Ends the services and then the connections; blocks until they have ended. Errors: ETIMEDOUT, EWRONGTHREAD.
 */
enum posta_err posta__messaging_close(struct posta_messaging *messaging, uint64_t deadline_ms);

#endif
