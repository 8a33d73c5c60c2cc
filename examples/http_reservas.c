/* SPDX-License-Identifier: MIT */
/*
 * An HTTP service that publishes an event: POST /reservas answers 201 once the broker has the event, 503 when it can't
 * be reached. "http_reservas 3000" serves on that port; without an argument it sends itself one request and ends.
 */
#include <posta/messaging.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { REQUEST_MAX = 16384, SECONDS_MAX = 5 };

/* -- The service: one call between the request and the answer */

static int reserve(struct posta_event_bus *bus, const char *body)
{
	struct posta_error error;
	struct posta_event *event = posta_event_create(POSTA_EVENT_RESERVA_CREADA, body, "micro-estudiantes");
	if (!event)
		return 400; /* not JSON */
	enum posta_err err = posta_event_bus_publish_wait(bus, "reservas", event, 5000, &error);
	if (err)
		fprintf(stderr, "%s\n", error.text);
	posta_event_unref(event);
	return err ? 503 : 201;
}

/* -- Just enough HTTP/1.1 */

static const char *reason_of(int status)
{
	return status == 201   ? "Created"
	       : status == 400 ? "Bad Request"
	       : status == 404 ? "Not Found"
			       : "Service Unavailable";
}

/* Reads head and body, at most REQUEST_MAX. Returns: the body inside request; NULL: not a whole request. */
static char *read_request(int client, char *request)
{
	size_t len = 0;
	for (;;) {
		ssize_t got = recv(client, request + len, REQUEST_MAX - 1 - len, 0);
		if (got <= 0)
			return NULL;
		len += (size_t)got;
		request[len] = 0;
		char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\ncontent-length:");
		if (!end)
			continue;
		size_t wanted = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
		if (wanted >= REQUEST_MAX)
			return NULL;
		if (len - (size_t)(end + 4 - request) >= wanted)
			return end + 4;
	}
}

static void answer(int client, int status, const char *body)
{
	char head[160];
	int len = snprintf(
		head, sizeof head,
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		status, reason_of(status), strlen(body));
	if (send(client, head, (size_t)len, MSG_NOSIGNAL | MSG_MORE) == len)
		send(client, body, strlen(body), MSG_NOSIGNAL);
}

static void serve(int client, struct posta_event_bus *bus)
{
	static char request[REQUEST_MAX];
	struct timeval limit = { .tv_sec = SECONDS_MAX };
	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	char *body = read_request(client, request);
	int status = !body ? 400 : strncmp(request, "POST /reservas ", 15) != 0 ? 404 : reserve(bus, body);
	answer(client, status, status == 201 ? body : "{}");
	close(client);
}

static int listen_on(unsigned short *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(*port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int one = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (server < 0 || bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 64) ||
	    getsockname(server, (struct sockaddr *)&address, &len))
		return -1;
	*port = ntohs(address.sin_port);
	return server;
}

static void *request_once(void *argument)
{
	static const char request[] =
		"POST /reservas HTTP/1.1\r\nHost: localhost\r\nContent-Length: 19\r\n\r\n{\"reservaId\":\"123\"}";
	static char reply[1024];
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(*(unsigned short *)argument),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(client, (struct sockaddr *)&address, sizeof address) == 0 &&
	    send(client, request, sizeof request - 1, MSG_NOSIGNAL) > 0)
		recv(client, reply, sizeof reply - 1, MSG_WAITALL);
	close(client);
	return reply;
}

int main(int argc, char **argv)
{
	struct posta_error error;
	unsigned short port = (unsigned short)(argc > 1 ? atoi(argv[1]) : 0);
	struct posta_messaging *messaging = posta_messaging_default(&error);
	int server = listen_on(&port), client;
	pthread_t thread;
	void *reply = NULL;
	if (!messaging || server < 0) {
		fprintf(stderr, "http_reservas: %s\n", messaging ? "cannot listen" : error.text);
		return 1;
	}
	if (argc == 1 && pthread_create(&thread, NULL, request_once, &port) != 0)
		return 1;
	while ((client = accept(server, NULL, NULL)) >= 0) {
		serve(client, posta_messaging_event_bus(messaging));
		if (argc == 1)
			break;
	}
	if (argc == 1)
		pthread_join(thread, &reply);
	close(server);
	posta_messaging_default_stop(5000, NULL);
	printf("%s\n", reply ? (const char *)reply : "");
	return !reply || strncmp(reply, "HTTP/1.1 201", 12) != 0;
}
