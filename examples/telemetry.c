/* SPDX-License-Identifier: MIT */
/* Health and API metrics. Runs on the embedded broker, or over MQTT: MQTT_BROKER_URL=mqtt://localhost ./telemetry */
#include <posta/messaging.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static enum posta_err on_metric(void *context, const char *topic, const char *json, size_t len, struct posta_job *job)
{
	(void)len, (void)job;
	printf("%s %s\n", topic, json);
	sem_post(context);
	return POSTA_OK;
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
	struct posta_telemetry *telemetry = posta_messaging_telemetry(messaging);
	struct posta_subscription *all =
		posta_telemetry_subscribe(telemetry, "servicios/#", on_metric, &arrived, NULL, &error);
	bool good =
		all && posta_subscription_wait(all, 10000, &error) == POSTA_OK &&
		posta_telemetry_publish_health(telemetry, "micro-estudiantes", POSTA_HEALTHY, NULL, NULL) == POSTA_OK &&
		posta_telemetry_publish_api_metric(telemetry, "micro-estudiantes", "/reservas", 45, 200, NULL, NULL) ==
			POSTA_OK;
	for (int i = 0; good && i < 2; i++)
		sem_wait(&arrived);
	char *status = posta_telemetry_connection_status_json(telemetry);
	printf("%s\n", status ? status : "");
	free(status);
	posta_messaging_free(messaging);
	sem_destroy(&arrived);
	return good ? 0 : 1;
}
