/* SPDX-License-Identifier: MIT */
#include "proxy.h"

#include "proxy/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct kit_proxy {
	struct kit_shared shared;
	struct ev_loop *loop;
	pthread_t thread;
	ev_io incoming;
	ev_async called;
	pthread_mutex_t lock;
	pthread_cond_t done;
	/* The call under way, under the lock; NULL: none. */
	void (*call)(struct kit_proxy *proxy, size_t value);
	size_t value;
	struct kit_proxy_figures figures;
	int port, target;
};

static _Noreturn void cannot(const char *what)
{
	fprintf(stderr, "kit_proxy: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* -- Connections */

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}

/* It may still be under way: its end is known by the first read or write. */
static int connect_to(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		cannot("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (!connect(fd, (struct sockaddr *)&address, sizeof address) || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

static void on_incoming(struct ev_loop *loop, ev_io *io, int events)
{
	struct kit_proxy *proxy = io->data;
	int client = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int broker, on = 1;

	(void)loop;
	(void)events;
	if (client < 0)
		return;
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	broker = proxy->shared.faults.refuse ? -1 : connect_to(proxy->target);
	if (broker < 0) {
		proxy->shared.figures.resets++;
		reset(client);
		return;
	}
	kit__link_open(&proxy->shared, client, broker);
}

/* -- Calls */

static void on_called(struct ev_loop *loop, ev_async *async, int events)
{
	struct kit_proxy *proxy = async->data;

	(void)loop;
	(void)events;
	pthread_mutex_lock(&proxy->lock);
	if (proxy->call)
		proxy->call(proxy, proxy->value);
	proxy->call = NULL;
	proxy->figures = proxy->shared.figures;
	pthread_cond_signal(&proxy->done);
	pthread_mutex_unlock(&proxy->lock);
}

static void call(struct kit_proxy *proxy, void (*function)(struct kit_proxy *proxy, size_t value), size_t value)
{
	pthread_mutex_lock(&proxy->lock);
	proxy->call = function;
	proxy->value = value;
	ev_async_send(proxy->loop, &proxy->called);
	while (proxy->call)
		pthread_cond_wait(&proxy->done, &proxy->lock);
	pthread_mutex_unlock(&proxy->lock);
}

static void renew_all(struct kit_proxy *proxy)
{
	struct kit_link *next;

	for (struct kit_link *link = proxy->shared.links; link; link = next) {
		next = link->next;
		kit__link_renew(link);
	}
}

static void do_pass(struct kit_proxy *proxy, size_t value)
{
	(void)value;
	proxy->shared.faults = (struct kit_faults){ 0 };
	renew_all(proxy);
}

static void do_delay(struct kit_proxy *proxy, size_t value)
{
	proxy->shared.faults.delay_s = (double)value / 1000.;
	renew_all(proxy);
}

static void do_throttle(struct kit_proxy *proxy, size_t value)
{
	proxy->shared.faults.bytes_per_s = (double)value;
	renew_all(proxy);
}

static void do_hole(struct kit_proxy *proxy, size_t value)
{
	(void)value;
	proxy->shared.faults.hole = true;
	renew_all(proxy);
}

static void do_reset(struct kit_proxy *proxy, size_t value)
{
	(void)value;
	while (proxy->shared.links)
		kit__link_reset(proxy->shared.links);
}

static void do_cut(struct kit_proxy *proxy, size_t value)
{
	proxy->shared.faults.cut = true;
	proxy->shared.faults.cut_after = value ? value : 1;
	renew_all(proxy);
}

static void do_refuse(struct kit_proxy *proxy, size_t value)
{
	(void)value;
	proxy->shared.faults.refuse = true;
}

static void do_half_close(struct kit_proxy *proxy, size_t value)
{
	(void)value;
	for (struct kit_link *link = proxy->shared.links; link; link = link->next)
		kit__link_half_close(link);
}

static void do_aim(struct kit_proxy *proxy, size_t value)
{
	proxy->target = (int)value;
}

static void do_nothing(struct kit_proxy *proxy, size_t value)
{
	(void)proxy;
	(void)value;
}

static void do_stop(struct kit_proxy *proxy, size_t value)
{
	do_reset(proxy, value);
	ev_break(proxy->loop, EVBREAK_ALL);
}

void kit_proxy_pass(struct kit_proxy *proxy)
{
	call(proxy, do_pass, 0);
}

void kit_proxy_delay(struct kit_proxy *proxy, unsigned ms)
{
	call(proxy, do_delay, ms);
}

void kit_proxy_throttle(struct kit_proxy *proxy, unsigned bytes_per_second)
{
	call(proxy, do_throttle, bytes_per_second);
}

void kit_proxy_hole(struct kit_proxy *proxy)
{
	call(proxy, do_hole, 0);
}

void kit_proxy_cut(struct kit_proxy *proxy, size_t bytes)
{
	call(proxy, do_cut, bytes);
}

void kit_proxy_refuse(struct kit_proxy *proxy)
{
	call(proxy, do_refuse, 0);
}

void kit_proxy_reset(struct kit_proxy *proxy)
{
	call(proxy, do_reset, 0);
}

void kit_proxy_half_close(struct kit_proxy *proxy)
{
	call(proxy, do_half_close, 0);
}

void kit_proxy_aim(struct kit_proxy *proxy, int port)
{
	call(proxy, do_aim, (size_t)port);
}

struct kit_proxy_figures kit_proxy_figures(struct kit_proxy *proxy)
{
	call(proxy, do_nothing, 0);
	return proxy->figures;
}

int kit_proxy_port(const struct kit_proxy *proxy)
{
	return proxy->port;
}

void kit_proxy_set_tap(struct kit_proxy *proxy, kit_proxy_tap *tap, void *context)
{
	proxy->shared.tap_context = context;
	proxy->shared.tap = tap;
}

bool kit_proxy_order(struct kit_proxy *proxy, const char *words)
{
	static const struct {
		const char *name;
		void (*function)(struct kit_proxy *proxy, size_t value);
		bool has_value;
	} orders[] = {
		{ "pass", do_pass, false },     { "delay", do_delay, true },
		{ "hole", do_hole, false },     { "throttle", do_throttle, true },
		{ "reset", do_reset, false },   { "cut", do_cut, true },
		{ "refuse", do_refuse, false }, { "half-close", do_half_close, false },
		{ "aim", do_aim, true },
	};
	size_t len = strcspn(words, " \n");

	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		char *end;
		unsigned long value = strtoul(words + len, &end, 10);

		if (strlen(orders[i].name) != len || memcmp(orders[i].name, words, len) ||
		    orders[i].has_value != (end != words + len))
			continue;
		call(proxy, orders[i].function, value);
		return true;
	}
	return false;
}

/* -- Life */

static void *run(void *context)
{
	struct kit_proxy *proxy = context;

	ev_run(proxy->loop, 0);
	return NULL;
}

static int listen_somewhere(int *port)
{
	struct sockaddr_in address = loopback(0);
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		cannot("listen");
	*port = ntohs(address.sin_port);
	return fd;
}

struct kit_proxy *kit_proxy_start(int port)
{
	struct kit_proxy *proxy = calloc(1, sizeof *proxy);

	if (!proxy || !(proxy->loop = ev_loop_new(EVFLAG_AUTO)))
		cannot("a loop");
	proxy->target = port;
	proxy->shared.loop = proxy->loop;
	pthread_mutex_init(&proxy->lock, NULL);
	pthread_cond_init(&proxy->done, NULL);
	ev_io_init(&proxy->incoming, on_incoming, listen_somewhere(&proxy->port), EV_READ);
	ev_async_init(&proxy->called, on_called);
	proxy->incoming.data = proxy->called.data = proxy;
	ev_io_start(proxy->loop, &proxy->incoming);
	ev_async_start(proxy->loop, &proxy->called);
	errno = pthread_create(&proxy->thread, NULL, run, proxy);
	if (errno)
		cannot("a thread");
	return proxy;
}

void kit_proxy_stop(struct kit_proxy *proxy)
{
	if (!proxy)
		return;
	call(proxy, do_stop, 0);
	pthread_join(proxy->thread, NULL);
	close(proxy->incoming.fd);
	ev_loop_destroy(proxy->loop);
	pthread_mutex_destroy(&proxy->lock);
	pthread_cond_destroy(&proxy->done);
	free(proxy);
}
