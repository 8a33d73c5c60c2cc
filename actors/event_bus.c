/* SPDX-License-Identifier: MIT */
#include "event_bus.h"

#include "bridges/names.h"
#include "event.h"

#include <stdlib.h>
#include <string.h>

#define CREDIT 256u

const struct posta__service_kind posta__event_bus_kind = { .name = "event_bus" };

/* -- Types */

static const char *const standard_types[] = {
	POSTA_EVENT_RESERVA_CREADA,     POSTA_EVENT_RESERVA_ACTUALIZADA, POSTA_EVENT_RESERVA_CANCELADA,
	POSTA_EVENT_RESERVA_CONFIRMADA, POSTA_EVENT_HORARIO_CREADO,      POSTA_EVENT_HORARIO_ACTUALIZADO,
	POSTA_EVENT_HORARIO_ELIMINADO,  POSTA_EVENT_USUARIO_REGISTRADO,  POSTA_EVENT_USUARIO_ACTUALIZADO,
	POSTA_EVENT_USUARIO_ELIMINADO,
};

/* With the lock. */
static bool is_known(const struct posta_event_bus *bus, const char *type)
{
	for (size_t i = 0; i < sizeof standard_types / sizeof standard_types[0]; i++)
		if (strcmp(standard_types[i], type) == 0)
			return true;
	for (uint32_t i = 0; i < bus->type_count; i++)
		if (strcmp(bus->types[i], type) == 0)
			return true;
	return false;
}

bool posta_event_type_known(struct posta_event_bus *bus, const char *type)
{
	pthread_mutex_lock(&bus->service.lock);
	bool known = type && is_known(bus, type);
	pthread_mutex_unlock(&bus->service.lock);
	return known;
}

/* With the lock. */
static enum posta_err add_type(struct posta_event_bus *bus, const char *type)
{
	if (bus->type_count >= POSTA__EVENT_TYPES_MAX)
		return POSTA_EFULL;
	if (bus->type_count == bus->type_room) {
		uint32_t room = bus->type_room ? bus->type_room * 2 : 16;
		char **grown = realloc(bus->types, room * sizeof *grown);
		if (!grown)
			return POSTA_ENOMEM;
		bus->types = grown;
		bus->type_room = room;
	}
	char *copy = strdup(type);
	if (!copy)
		return POSTA_ENOMEM;
	bus->types[bus->type_count++] = copy;
	return POSTA_OK;
}

enum posta_err posta_event_type_register(struct posta_event_bus *bus, const char *type)
{
	if (!type || !*type)
		return POSTA_EINVAL;
	pthread_mutex_lock(&bus->service.lock);
	enum posta_err err = is_known(bus, type) ? POSTA_OK : add_type(bus, type);
	pthread_mutex_unlock(&bus->service.lock);
	return err;
}

void posta__event_bus_fini(struct posta_event_bus *bus)
{
	for (uint32_t i = 0; i < bus->type_count; i++)
		free(bus->types[i]);
	free(bus->types);
	bus->types = NULL;
	bus->type_count = 0;
	posta__service_fini(&bus->service);
}

/* -- Publishing */

static enum posta_err prepare(struct posta_event_bus *bus, const char *topic, struct posta_event *event,
			      struct posta__publication **publication, struct posta_error *error)
{
	struct posta_envelope *envelope;
	if (!topic || !event)
		return posta_error_set(error, POSTA_EINVAL, "an event and the topic it goes to are needed");
	enum posta_err err = posta__name_check(POSTA__NAME_KAFKA, topic, error);
	if (err)
		return err;
	if (bus->strict_types && !posta_event_type_known(bus, posta_event_type(event)))
		return posta_error_set(error, POSTA_EUNSUPPORTED, "event type '%s' is not registered",
				       posta_event_type(event));
	err = posta__event_to_envelope(event, &envelope);
	if (!err) {
		*publication = posta__publication_new(&bus->service, topic, envelope);
		err = *publication ? POSTA_OK : POSTA_ENOMEM;
	}
	return err ? posta_error_set(error, err, "an event: %s", posta_strerror(err)) : POSTA_OK;
}

enum posta_err posta_event_bus_publish(struct posta_event_bus *bus, const char *topic, struct posta_event *event,
				       posta_done_fn *on_done, void *context)
{
	struct posta__publication *publication;
	enum posta_err err = prepare(bus, topic, event, &publication, NULL);
	return err ? err : posta__publication_submit(publication, on_done, context);
}

enum posta_err posta_event_bus_publish_from(struct posta_actor *self, struct posta_event_bus *bus, const char *topic,
					    struct posta_event *event, uint64_t cookie)
{
	struct posta__publication *publication;
	enum posta_err err = prepare(bus, topic, event, &publication, NULL);
	return err ? err : posta__publication_submit_from(publication, self, cookie);
}

enum posta_err posta_event_bus_publish_wait(struct posta_event_bus *bus, const char *topic, struct posta_event *event,
					    uint64_t timeout_ms, struct posta_error *error)
{
	struct posta__publication *publication;
	enum posta_err err = prepare(bus, topic, event, &publication, error);
	return err ? err : posta__publication_submit_wait(publication, timeout_ms, error);
}

/* -- Subscribing */

static enum posta_err decode(struct posta_job *job, struct posta_error *error)
{
	struct posta_event *event;
	enum posta_err err = posta__event_from_envelope(job->envelope, &event, error);
	if (err)
		return err;
	job->item = event;
	job->key = posta_event_key(event);
	return POSTA_OK;
}

static void release(void *item)
{
	posta_event_unref(item);
}

static enum posta_err handle(struct posta_subscription *subscription, struct posta_job *job)
{
	posta_event_fn *handler = (posta_event_fn *)subscription->handler;
	return handler(subscription->context, job->item, job);
}

static enum posta_err pass_on(struct posta_subscription *subscription, struct posta_job *job)
{
	const struct posta_event_message message = { job->item, job };
	(void)subscription;
	return posta__job_pass_on(job, POSTA_MSG_EVENT, &message, sizeof message);
}

static const struct posta__consumer_kind by_handler = {
	.keyed = true, .decode = decode, .release = release, .handle = handle
};
static const struct posta__consumer_kind by_actor = {
	.keyed = true, .decode = decode, .release = release, .handle = pass_on
};

static struct posta_subscription *subscribe(struct posta_event_bus *bus, const char *topic, const char *group,
					    struct posta__subscribe *what, struct posta_error *error)
{
	char dead[POSTA__KAFKA_TOPIC_MAX + 8];
	if (!topic) {
		posta_error_set(error, POSTA_EINVAL, "a subscription needs a topic");
		return NULL;
	}
	if (posta__name_check(POSTA__NAME_KAFKA, topic, error))
		return NULL;
	strcpy(dead, topic); /* checked: at most POSTA__KAFKA_TOPIC_MAX */
	strcat(dead, ".dlq");
	what->name = topic;
	what->group = group;
	what->source = (struct posta_source){ .topic = topic, .group = group, .qos = -1 };
	what->dead_letter = strlen(dead) <= POSTA__KAFKA_TOPIC_MAX ? dead : NULL;
	what->credit = CREDIT;
	return posta__service_subscribe(&bus->service, what, error);
}

struct posta_subscription *posta_event_bus_subscribe(struct posta_event_bus *bus, const char *topic, const char *group,
						     posta_event_fn *handler, void *context,
						     const struct posta_consume_options *options,
						     struct posta_error *error)
{
	struct posta__subscribe what = {
		.kind = &by_handler, .options = options, .handler = (void (*)(void))handler, .context = context
	};
	if (!handler) {
		posta_error_set(error, POSTA_EINVAL, "a subscription needs a handler");
		return NULL;
	}
	return subscribe(bus, topic, group, &what, error);
}

struct posta_subscription *posta_event_bus_subscribe_actor(struct posta_event_bus *bus, const char *topic,
							   const char *group, posta_ref actor,
							   const struct posta_consume_options *options,
							   struct posta_error *error)
{
	struct posta__subscribe what = { .kind = &by_actor, .options = options, .actor = actor };
	return subscribe(bus, topic, group, &what, error);
}

enum posta_err posta_event_bus_connection_status(struct posta_event_bus *bus, struct posta_connection_status *status)
{
	return posta__service_status(&bus->service, status);
}

char *posta_event_bus_connection_status_json(struct posta_event_bus *bus)
{
	return posta__service_status_json(&bus->service);
}
