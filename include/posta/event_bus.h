/* SPDX-License-Identifier: MIT */
#ifndef POSTA_EVENT_BUS_H
#define POSTA_EVENT_BUS_H

/*
 * The event bus: publish and subscribe on Kafka topics (or any bridge with topics and groups). Several groups each get
 * every event; the members of one group share them. Events of one key are handled one after the other, in order,
 * also over retries; those of different keys do not wait for each other. Thread: any, unless said otherwise.
 */

#include <posta/event.h>
#include <posta/service.h>

#ifdef __cplusplus
extern "C" {
#endif

struct posta_event_bus;

/*
 * on_done (may be NULL) hears the end once if this returns OK; otherwise never. The event becomes read-only.
 * Errors: EINVAL (topic; event; with strict types: EUNSUPPORTED, an unregistered type), EFULL (too many in flight),
 * ECLOSED, ENOMEM.
 */
enum posta_err posta_event_bus_publish(struct posta_event_bus *bus, const char *topic, struct posta_event *event,
				       posta_done_fn *on_done, void *context);
/* The same for an actor: the end arrives as POSTA_MSG_PUBLISHED with this cookie. */
enum posta_err posta_event_bus_publish_from(struct posta_actor *self, struct posta_event_bus *bus, const char *topic,
					    struct posta_event *event, uint64_t cookie);
/*
 * Blocks until the broker has it. Thread: none of posta's own. Errors: as above and the broker's; EWRONGTHREAD;
 * ETIMEDOUT: it may still be published later.
 */
enum posta_err posta_event_bus_publish_wait(struct posta_event_bus *bus, const char *topic, struct posta_event *event,
					    uint64_t timeout_ms, struct posta_error *error);

typedef enum posta_err posta_event_fn(void *context, const struct posta_event *event, struct posta_job *job);

/*
 * Returns: owned by the bus, valid until posta_subscription_cancel() or the end of the bus; NULL with error.
 * options may be NULL. A new group begins with the oldest event.
 */
struct posta_subscription *posta_event_bus_subscribe(struct posta_event_bus *bus, const char *topic, const char *group,
						     posta_event_fn *handler, void *context,
						     const struct posta_consume_options *options,
						     struct posta_error *error);

/*
 * Payload of POSTA_MSG_EVENT. The actor calls posta_job_done(job, result) before its handler returns, or later if it
 * keeps the message (posta_keep) until then. A message that is freed without it counts as failed: also when the actor
 * dies.
 */
struct posta_event_message {
	const struct posta_event *event;
	struct posta_job *job;
};
/* The same for an actor: each event comes as such a message. */
struct posta_subscription *posta_event_bus_subscribe_actor(struct posta_event_bus *bus, const char *topic,
							   const char *group, posta_ref actor,
							   const struct posta_consume_options *options,
							   struct posta_error *error);

/* Adds a type to those known. Errors: ENOMEM, EINVAL, EFULL (over 4,096). Idempotent. */
enum posta_err posta_event_type_register(struct posta_event_bus *bus, const char *type);
/* Whether it is one of the constants of event.h or was registered. */
bool posta_event_type_known(struct posta_event_bus *bus, const char *type);

/* Fills *status, to be ended by posta_connection_status_fini(). Errors: ENOMEM. */
enum posta_err posta_event_bus_connection_status(struct posta_event_bus *bus, struct posta_connection_status *status);
/* The same as JSON. Returns: owned, free(); NULL when out of memory. */
char *posta_event_bus_connection_status_json(struct posta_event_bus *bus);

#ifdef __cplusplus
}
#endif
#endif
