/* SPDX-License-Identifier: MIT */
/*
 * A question is shared by the loop and its thread; whoever lets go last frees it. The thread writes the answer,
 * then the eventfd: the loop reads the answer only after the eventfd, so the two need no further order.
 */
#include "bridges/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREAD_STACK (512u * 1024)

struct posta__resolve {
	pthread_mutex_t lock; /* holders */
	int holders;
	int event; /* eventfd */
	struct ev_loop *loop;
	ev_io io;
	posta__resolve_fn *on_done;
	void *context;
	struct addrinfo *addresses;
	int status; /* of getaddrinfo */
	int saved_errno;
	int port;
	char host[];
};

static void let_go(struct posta__resolve *resolve)
{
	pthread_mutex_lock(&resolve->lock);
	int left = --resolve->holders;

	pthread_mutex_unlock(&resolve->lock);
	if (left)
		return;
	if (resolve->addresses)
		freeaddrinfo(resolve->addresses);
	close(resolve->event);
	pthread_mutex_destroy(&resolve->lock);
	free(resolve);
}

static void look_up(struct posta__resolve *resolve, int flags)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = flags | AI_NUMERICSERV };
	char service[12];

	snprintf(service, sizeof service, "%d", resolve->port);
	resolve->status = getaddrinfo(resolve->host, service, &hints, &resolve->addresses);
	resolve->saved_errno = errno;
	if (resolve->status)
		resolve->addresses = NULL;
}

static void *run(void *context)
{
	struct posta__resolve *resolve = context;
	uint64_t one = 1;

	look_up(resolve, AI_ADDRCONFIG);
	if (write(resolve->event, &one, sizeof one) < 0)
		resolve->status =
			EAI_SYSTEM; /* cannot happen to an eventfd at 0; the connect time-out would end the wait */
	let_go(resolve);
	return NULL;
}

static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct posta__resolve *resolve = io->data;
	struct addrinfo *addresses;
	char text[POSTA_ERROR_TEXT_MAX];
	uint64_t count;

	ev_io_stop(loop, io);
	if (read(resolve->event, &count, sizeof count) < 0 && errno != EAGAIN)
		resolve->saved_errno = errno; /* a numeric address has no thread, and nothing was written */
	addresses = resolve->addresses;
	resolve->addresses = NULL;
	snprintf(text, sizeof text, "cannot resolve %s: %s", resolve->host,
		 resolve->status == EAI_SYSTEM ? strerror(resolve->saved_errno) : gai_strerror(resolve->status));
	resolve->on_done(resolve->context, addresses, addresses ? "" : text);
	let_go(resolve);
}

/* The thread takes none of the process's signals. */
static int start_thread(struct posta__resolve *resolve)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int failed = pthread_attr_init(&attributes);

	if (failed)
		return failed;
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	resolve->holders = 2;
	failed = pthread_create(&thread, &attributes, run, resolve);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (failed)
		resolve->holders = 1;
	return failed;
}

static struct posta__resolve *make(struct ev_loop *loop, const char *host, int port)
{
	struct posta__resolve *resolve = calloc(1, sizeof *resolve + strlen(host) + 1);

	if (!resolve)
		return NULL;
	resolve->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (resolve->event < 0 || pthread_mutex_init(&resolve->lock, NULL)) {
		if (resolve->event >= 0)
			close(resolve->event);
		free(resolve);
		return NULL;
	}
	resolve->holders = 1;
	resolve->loop = loop;
	resolve->port = port;
	memcpy(resolve->host, host, strlen(host) + 1);
	return resolve;
}

enum posta_err posta__resolve_start(struct ev_loop *loop, const char *host, int port, posta__resolve_fn *on_done,
				    void *context, struct posta__resolve **out, struct posta_error *error)
{
	struct posta__resolve *resolve = make(loop, host, port);
	int failed = 0;
	bool numeric;

	if (!resolve)
		return posta_error_set(error, POSTA_ENOMEM,
				       "cannot begin to resolve %s: no memory or no descriptor left", host);
	resolve->on_done = on_done;
	resolve->context = context;
	look_up(resolve, AI_NUMERICHOST);
	numeric = resolve->status == 0;
	if (!numeric)
		failed = start_thread(resolve);
	if (failed) {
		let_go(resolve);
		return posta_error_set(error, POSTA_EIO, "cannot start a thread to resolve %s: %s", host,
				       strerror(failed));
	}
	ev_io_init(&resolve->io, on_event, resolve->event, EV_READ);
	resolve->io.data = resolve;
	ev_io_start(loop, &resolve->io);
	if (numeric)
		ev_feed_event(loop, &resolve->io, EV_READ);
	*out = resolve;
	return POSTA_OK;
}

void posta__resolve_cancel(struct posta__resolve *resolve)
{
	if (!resolve)
		return;
	ev_io_stop(resolve->loop, &resolve->io);
	let_go(resolve);
}
