/* SPDX-License-Identifier: MIT */
#include "proxy/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct kit_flow *other(struct kit_flow *flow)
{
	return flow == &flow->link->up ? &flow->link->down : &flow->link->up;
}

/* -- The end of a link */

static void stop_flow(struct kit_flow *flow)
{
	struct ev_loop *loop = flow->link->shared->loop;

	ev_io_stop(loop, &flow->readable);
	ev_io_stop(loop, &flow->writable);
	ev_timer_stop(loop, &flow->later);
	while (flow->first) {
		struct kit_chunk *chunk = flow->first;

		flow->first = chunk->next;
		free(chunk);
	}
	flow->last = &flow->first;
	flow->held = 0;
}

static void free_link(struct kit_link *link)
{
	struct kit_link **at = &link->shared->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	link->shared->figures.open--;
	stop_flow(&link->up);
	stop_flow(&link->down);
	close(link->client);
	close(link->broker);
	free(link);
}

void kit__link_reset(struct kit_link *link)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(link->client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	setsockopt(link->broker, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	link->shared->figures.resets++;
	free_link(link);
}

/* -- A flow */

/* Waits for what is possible now. */
static void watch(struct kit_flow *flow)
{
	const struct kit_faults *faults = &flow->link->shared->faults;
	struct ev_loop *loop = flow->link->shared->loop;

	if (!flow->ended && !faults->hole && flow->held < KIT_HELD_MAX)
		ev_io_start(loop, &flow->readable);
	else
		ev_io_stop(loop, &flow->readable);
	if (faults->hole || !flow->first) {
		ev_io_stop(loop, &flow->writable);
		ev_timer_stop(loop, &flow->later);
	}
}

static void wait_until(struct kit_flow *flow, ev_tstamp when)
{
	struct ev_loop *loop = flow->link->shared->loop;

	ev_io_stop(loop, &flow->writable);
	ev_timer_stop(loop, &flow->later);
	ev_timer_set(&flow->later, when - ev_now(loop), 0.);
	ev_timer_start(loop, &flow->later);
}

static void drop_first(struct kit_flow *flow)
{
	struct kit_chunk *chunk = flow->first;

	flow->first = chunk->next;
	if (!flow->first)
		flow->last = &flow->first;
	free(chunk);
}

/* False: the link is gone. */
static bool count(struct kit_flow *flow, size_t n)
{
	struct kit_link *link = flow->link;
	struct kit_shared *shared = link->shared;

	flow->held -= n;
	if (flow->from_broker)
		shared->figures.to_client += n;
	else
		shared->figures.to_broker += n;
	if (shared->faults.bytes_per_s > 0.)
		flow->free_at = (flow->free_at > ev_now(shared->loop) ? flow->free_at : ev_now(shared->loop)) +
				(double)n / shared->faults.bytes_per_s;
	if (!shared->faults.cut)
		return true;
	link->cut_left -= n;
	if (link->cut_left)
		return true;
	kit__link_reset(link);
	return false;
}

/* At most what a fault lets through at once. */
static size_t portion(const struct kit_flow *flow)
{
	const struct kit_faults *faults = &flow->link->shared->faults;
	size_t n = flow->first->len - flow->first->done;
	size_t slice = (size_t)(faults->bytes_per_s / 50.) + 1;

	if (faults->bytes_per_s > 0. && n > slice)
		n = slice;
	return faults->cut && n > flow->link->cut_left ? flow->link->cut_left : n;
}

/* False: the link is gone. */
static bool end_if_drained(struct kit_flow *flow)
{
	if (flow->first || !flow->ended || flow->closed)
		return true;
	flow->closed = true;
	shutdown(flow->from_broker ? flow->link->client : flow->link->broker, SHUT_WR);
	if (!other(flow)->closed)
		return true;
	free_link(flow->link);
	return false;
}

static bool write_failed(struct kit_flow *flow)
{
	if (errno == EAGAIN || errno == EINTR || errno == ENOTCONN) {
		ev_io_start(flow->link->shared->loop, &flow->writable);
		return true;
	}
	kit__link_reset(flow->link);
	return false;
}

/* Writes what is due. False: the link is gone. */
static bool pump(struct kit_flow *flow)
{
	struct ev_loop *loop = flow->link->shared->loop;
	int fd = flow->from_broker ? flow->link->client : flow->link->broker;

	while (flow->first && !flow->link->shared->faults.hole) {
		struct kit_chunk *chunk = flow->first;
		ev_tstamp when = chunk->due > flow->free_at ? chunk->due : flow->free_at;
		ssize_t n;

		if (when > ev_now(loop)) {
			wait_until(flow, when);
			break;
		}
		n = send(fd, chunk->bytes + chunk->done, portion(flow), MSG_NOSIGNAL);
		if (n < 0)
			return write_failed(flow);
		chunk->done += (size_t)n;
		if (chunk->done == chunk->len)
			drop_first(flow);
		if (!count(flow, (size_t)n))
			return false;
	}
	if (!end_if_drained(flow))
		return false;
	watch(flow);
	return true;
}

static void append(struct kit_flow *flow, const char *bytes, size_t n)
{
	struct kit_shared *shared = flow->link->shared;
	struct kit_chunk *chunk = malloc(sizeof *chunk + n);

	if (!chunk) {
		perror("kit_proxy");
		_exit(1);
	}
	*chunk = (struct kit_chunk){ .due = shared->faults.delay_s > 0. ? ev_now(shared->loop) + shared->faults.delay_s
									: 0.,
				     .len = n };
	for (size_t i = 0; i < n; i++)
		chunk->bytes[i] = bytes[i];
	*flow->last = chunk;
	flow->last = &chunk->next;
	flow->held += n;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct kit_flow *flow = io->data;
	struct kit_shared *shared = flow->link->shared;
	char bytes[KIT_CHUNK];
	ssize_t n = recv(io->fd, bytes, sizeof bytes, 0);

	(void)loop;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
		return;
	if (n < 0) {
		kit__link_reset(flow->link);
		return;
	}
	if (n > 0 && shared->tap)
		shared->tap(shared->tap_context, flow->link->number, flow->from_broker, bytes, (size_t)n);
	if (n > 0 && !flow->deaf)
		append(flow, bytes, (size_t)n);
	flow->ended = n == 0;
	pump(flow);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	struct kit_flow *flow = io->data;

	(void)events;
	ev_io_stop(loop, io);
	pump(flow);
}

static void on_later(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	pump(timer->data);
}

/* -- A link */

static void init_flow(struct kit_flow *flow, struct kit_link *link, int from, int to, bool from_broker)
{
	flow->link = link;
	flow->from_broker = from_broker;
	flow->last = &flow->first;
	ev_io_init(&flow->readable, on_readable, from, EV_READ);
	ev_io_init(&flow->writable, on_writable, to, EV_WRITE);
	ev_timer_init(&flow->later, on_later, 0., 0.);
	flow->readable.data = flow->writable.data = flow->later.data = flow;
}

void kit__link_open(struct kit_shared *shared, int client, int broker)
{
	struct kit_link *link = calloc(1, sizeof *link);

	if (!link) {
		perror("kit_proxy");
		_exit(1);
	}
	link->shared = shared;
	link->client = client;
	link->broker = broker;
	link->number = shared->figures.connections++;
	link->next = shared->links;
	link->cut_left = shared->faults.cut_after;
	shared->links = link;
	shared->figures.open++;
	init_flow(&link->up, link, client, broker, false);
	init_flow(&link->down, link, broker, client, true);
	watch(&link->up);
	watch(&link->down);
}

void kit__link_half_close(struct kit_link *link)
{
	stop_flow(&link->down);
	link->down.deaf = true;
	link->down.closed = true;
	shutdown(link->client, SHUT_WR);
	watch(&link->down);
}

void kit__link_renew(struct kit_link *link)
{
	link->cut_left = link->shared->faults.cut_after;
	link->up.free_at = link->down.free_at = 0.;
	for (struct kit_chunk *chunk = link->up.first; chunk && !(link->shared->faults.delay_s > 0.);
	     chunk = chunk->next)
		chunk->due = 0.;
	for (struct kit_chunk *chunk = link->down.first; chunk && !(link->shared->faults.delay_s > 0.);
	     chunk = chunk->next)
		chunk->due = 0.;
	if (pump(&link->up))
		pump(&link->down);
}
