/* SPDX-License-Identifier: MIT */
/* Events: publish, subscribe. Runs on the embedded broker, or on Kafka: KAFKA_BROKERS=localhost:9092 ./event_bus */
#include <posta/messaging.h>

#include <semaphore.h>
#include <stdio.h>

static enum posta_err on_event(void *context, const struct posta_event *event, struct posta_job *job)
{
	char id[64];
	(void)job;
	if (!posta_event_data_text(event, "reservaId", id, sizeof id))
		return POSTA_EFORMAT; /* tried again, then a dead letter on reservas.dlq */
	printf("%s from %s: reserva %s\n", posta_event_type(event), posta_event_source(event), id);
	sem_post(context);
	return POSTA_OK; /* only now the broker may forget it */
}

int main(void)
{
	struct posta_messaging *messaging;
	struct posta_error error;
	sem_t arrived;
	sem_init(&arrived, 0, 0);
	if (posta_messaging_start(NULL, &messaging, &error)) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	struct posta_event_bus *bus = posta_messaging_event_bus(messaging);
	struct posta_event *event = posta_event_create(
		POSTA_EVENT_RESERVA_CREADA, "{\"reservaId\":\"123\",\"estudianteId\":\"456\"}", "micro-estudiantes");
	bool good = posta_event_bus_subscribe(bus, "reservas", "reporte-consumer", on_event, &arrived, NULL, &error) &&
		    posta_event_bus_publish_wait(bus, "reservas", event, 10000, &error) == POSTA_OK;
	if (good)
		sem_wait(&arrived);
	else
		fprintf(stderr, "%s\n", error.text);
	posta_event_unref(event);
	posta_messaging_free(messaging);
	sem_destroy(&arrived);
	return good ? 0 : 1;
}
