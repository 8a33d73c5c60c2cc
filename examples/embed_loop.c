/* SPDX-License-Identifier: MIT */
/* On the host's own libev loop: no thread is started, everything runs between the host's own watchers. */
#include <posta/messaging.h>

#include <ev.h>
#include <stdio.h>

struct host {
	struct ev_loop *loop;
	unsigned ticks, events;
};

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct host *host = timer->data;
	(void)loop, (void)revents;
	host->ticks++;
}

static enum posta_err on_event(void *context, const struct posta_event *event, struct posta_job *job)
{
	struct host *host = context;
	(void)job;
	printf("%s after %u ticks of the host\n", posta_event_type(event), host->ticks);
	if (++host->events == 3)
		ev_break(host->loop, EVBREAK_ALL);
	return POSTA_OK;
}

static void publish(struct posta_event_bus *bus)
{
	struct posta_event *event = posta_event_create(POSTA_EVENT_HORARIO_CREADO, "{\"aula\":7}", "host");
	if (event)
		posta_event_bus_publish(bus, "horarios", event, NULL, NULL);
	posta_event_unref(event);
}

int main(void)
{
	struct host host = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct posta_system_options options = { .size = sizeof options,
						.workers = POSTA_HOST_DRIVEN,
						.loop = host.loop };
	struct posta_system *system;
	struct posta_messaging *messaging = NULL;
	struct posta_error error = { 0 };
	ev_timer tick;
	if (!host.loop || posta_system_start(&options, &system, &error))
		return 1;
	struct posta_messaging_options with = { .size = sizeof with, .system = system };
	if (posta_messaging_start(&with, &messaging, &error) == POSTA_OK &&
	    posta_event_bus_subscribe(posta_messaging_event_bus(messaging), "horarios", "host", on_event, &host, NULL,
				      &error)) {
		ev_timer_init(&tick, on_tick, 0.001, 0.001);
		tick.data = &host;
		ev_timer_start(host.loop, &tick);
		for (int i = 0; i < 3; i++)
			publish(posta_messaging_event_bus(messaging));
		ev_run(host.loop, 0);
		ev_timer_stop(host.loop, &tick);
	} else {
		fprintf(stderr, "%s\n", error.text);
	}
	posta_messaging_free(messaging);
	posta_system_stop(system, 1000, NULL);
	ev_loop_destroy(host.loop);
	return host.events == 3 ? 0 : 1;
}
