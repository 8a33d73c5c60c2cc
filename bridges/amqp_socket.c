/* SPDX-License-Identifier: MIT */
/*
 *   IDLE ──connect──▶ CONNECTING ──▶ (TLS) ──▶ OPEN
 *                      │  ▲ next address │        │
 *                      └──┘              └──▶ FAILED ◀── last address, end of file, error
 *
 * The watcher's events follow from the phase, the output buffer and what TLS waits for: see watch().
 */
#include "bridges/amqp_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_CHUNK (64u * 1024)
#define OUT_CHUNK (64u * 1024)
#define OUT_KEEP (4u << 20) /* a larger output buffer is given back when it is empty */
#define READ_ROUNDS 8       /* reads in a row, so that one busy broker does not starve the worker */

enum { IO_AGAIN = -1, IO_FAILED = -2 };

static void on_io(struct ev_loop *loop, ev_io *io, int events);
static void try_address(struct posta__amqp_socket *sock);

static void watch(struct posta__amqp_socket *sock)
{
	int events = EV_READ;

	if (sock->phase == POSTA__AMQP_SOCKET_CONNECTING)
		events = EV_WRITE;
	else if (sock->phase == POSTA__AMQP_SOCKET_TLS)
		events = sock->read_wants_write ? EV_WRITE : EV_READ;
	else if (sock->read_wants_write || (posta__amqp_socket_pending(sock) && !sock->write_wants_read))
		events |= EV_WRITE;
	if (ev_is_active(&sock->io) && (sock->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(sock->loop, &sock->io);
	ev_io_set(&sock->io, sock->fd, events);
	ev_io_start(sock->loop, &sock->io);
}

static void drop_descriptor(struct posta__amqp_socket *sock)
{
	ev_timer_stop(sock->loop, &sock->attempt);
	ev_io_stop(sock->loop, &sock->io);
	SSL_free(sock->ssl);
	sock->ssl = NULL;
	sock->read_wants_write = sock->write_wants_read = false;
	if (sock->fd >= 0)
		close(sock->fd);
	sock->fd = -1;
}

void posta__amqp_socket_fail(struct posta__amqp_socket *sock, enum posta_err code, const char *format, ...)
{
	char text[POSTA_ERROR_TEXT_MAX];
	va_list arguments;

	if (sock->phase == POSTA__AMQP_SOCKET_FAILED)
		return;
	sock->phase = POSTA__AMQP_SOCKET_FAILED;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	drop_descriptor(sock);
	sock->ops->failed(sock->context, code, text);
}

/* -- connecting */

static void next_address(struct posta__amqp_socket *sock, const char *why)
{
	snprintf(sock->last_error, sizeof sock->last_error, "%s", why);
	drop_descriptor(sock);
	if (sock->address)
		sock->address = sock->address->ai_next;
	try_address(sock);
}

static void opened(struct posta__amqp_socket *sock)
{
	ev_timer_stop(sock->loop, &sock->attempt);
	sock->phase = POSTA__AMQP_SOCKET_OPEN;
	sock->read_at = sock->written_at = ev_now(sock->loop);
	watch(sock);
	sock->ops->opened(sock->context);
}

static void shake_hands(struct posta__amqp_socket *sock)
{
	ERR_clear_error();
	int result = SSL_do_handshake(sock->ssl);
	int kind = result == 1 ? SSL_ERROR_NONE : SSL_get_error(sock->ssl, result);
	char words[128];

	if (result == 1) {
		sock->read_wants_write = false;
		opened(sock);
	} else if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
		sock->read_wants_write = kind == SSL_ERROR_WANT_WRITE;
		watch(sock);
	} else {
		posta__tls_words(sock->ssl, result, words, sizeof words);
		posta__amqp_socket_fail(sock, POSTA_ECONNECTION, "cannot connect to %s: %s", sock->peer, words);
	}
}

static void connected(struct posta__amqp_socket *sock)
{
	int failed = 0;
	socklen_t size = sizeof failed;

	if (getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
		failed = errno;
	if (failed) {
		next_address(sock, strerror(failed));
		return;
	}
	if (!sock->tls) {
		opened(sock);
		return;
	}
	sock->ssl = posta__tls_open(sock->tls, sock->fd, sock->host);
	if (!sock->ssl) {
		posta__amqp_socket_fail(sock, POSTA_ENOMEM, "cannot connect to %s: no memory for TLS", sock->peer);
		return;
	}
	sock->phase = POSTA__AMQP_SOCKET_TLS;
	shake_hands(sock);
}

static void on_attempt(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct posta__amqp_socket *sock = timer->data;

	if (sock->phase != POSTA__AMQP_SOCKET_IDLE) {
		next_address(sock, "no answer in time");
		return;
	}
	sock->phase = POSTA__AMQP_SOCKET_CONNECTING;
	try_address(sock);
}

/* Whether the attempt has begun. */
static bool begin(struct posta__amqp_socket *sock)
{
	const struct addrinfo *address = sock->address;
	int on = 1;

	sock->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sock->fd < 0)
		return false;
	(void)setsockopt(sock->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return connect(sock->fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS;
}

static void try_address(struct posta__amqp_socket *sock)
{
	for (; sock->address; sock->address = sock->address->ai_next) {
		if (begin(sock)) {
			ev_timer_set(&sock->attempt, sock->attempt_s, 0.);
			ev_timer_start(sock->loop, &sock->attempt);
			watch(sock);
			return;
		}
		snprintf(sock->last_error, sizeof sock->last_error, "%s", strerror(errno));
		drop_descriptor(sock);
	}
	posta__amqp_socket_fail(sock, POSTA_ECONNECTION, "cannot connect to %s: %s", sock->peer, sock->last_error);
}

void posta__amqp_socket_connect(struct posta__amqp_socket *sock, const struct addrinfo *addresses, double timeout_s)
{
	unsigned count = 0;

	for (const struct addrinfo *address = addresses; address; address = address->ai_next)
		count++;
	sock->fd = -1;
	sock->address = addresses;
	sock->attempt_s = count ? timeout_s / count : timeout_s;
	ev_init(&sock->io, on_io);
	ev_init(&sock->attempt, on_attempt);
	sock->io.data = sock->attempt.data = sock;
	ev_timer_set(&sock->attempt, 0., 0.);
	ev_timer_start(sock->loop, &sock->attempt);
}

/* -- bytes */

static ssize_t take_tls_error(struct posta__amqp_socket *sock, int result, bool reading)
{
	int kind = SSL_get_error(sock->ssl, result);
	char words[128];

	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
		if (reading)
			sock->read_wants_write = kind == SSL_ERROR_WANT_WRITE;
		else
			sock->write_wants_read = kind == SSL_ERROR_WANT_READ;
		return IO_AGAIN;
	}
	if (kind == SSL_ERROR_ZERO_RETURN) {
		posta__amqp_socket_fail(sock, POSTA_ECONNECTION, "%s closed the connection", sock->peer);
		return IO_FAILED;
	}
	posta__tls_words(sock->ssl, result, words, sizeof words);
	posta__amqp_socket_fail(sock, POSTA_ECONNECTION, "connection to %s was lost: %s", sock->peer, words);
	return IO_FAILED;
}

static ssize_t take_error(struct posta__amqp_socket *sock, ssize_t n)
{
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return IO_AGAIN;
	posta__amqp_socket_fail(sock, POSTA_ECONNECTION, "connection to %s was lost: %s", sock->peer,
				n ? strerror(errno) : "the broker closed it");
	return IO_FAILED;
}

static ssize_t read_some(struct posta__amqp_socket *sock, uint8_t *to, size_t room)
{
	if (!sock->ssl) {
		ssize_t n = recv(sock->fd, to, room, 0);
		return n > 0 ? n : take_error(sock, n);
	}
	ERR_clear_error();
	int n = SSL_read(sock->ssl, to, (int)(room < INT32_MAX ? room : INT32_MAX));

	sock->read_wants_write = false;
	return n > 0 ? n : take_tls_error(sock, n, true);
}

static ssize_t write_some(struct posta__amqp_socket *sock, const uint8_t *from, size_t len)
{
	if (!sock->ssl) {
		ssize_t n = send(sock->fd, from, len, MSG_NOSIGNAL);
		return n >= 0 ? n : take_error(sock, n);
	}
	ERR_clear_error();
	int n = SSL_write(sock->ssl, from, (int)(len < INT32_MAX ? len : INT32_MAX));

	sock->write_wants_read = false;
	return n > 0 ? n : take_tls_error(sock, n, false);
}

/* n bytes of room behind end. Moves what is in use to the front first, grows when that does not do. */
static bool make_room(struct posta__amqp_buffer *buffer, size_t n, size_t chunk)
{
	size_t used = buffer->end - buffer->start;
	size_t capacity = buffer->capacity ? buffer->capacity : chunk;

	if (buffer->capacity - buffer->end >= n)
		return true;
	if (buffer->start && (used + n <= buffer->capacity)) {
		memmove(buffer->data, buffer->data + buffer->start, used);
	} else {
		while (capacity < used + n)
			capacity *= 2;
		uint8_t *data = malloc(capacity);

		if (!data)
			return false;
		if (used)
			memcpy(data, buffer->data + buffer->start, used);
		free(buffer->data);
		buffer->data = data;
		buffer->capacity = capacity;
	}
	buffer->start = 0;
	buffer->end = used;
	return true;
}

static void hand_over(struct posta__amqp_socket *sock)
{
	struct posta__amqp_buffer *in = &sock->in;
	size_t used = sock->ops->bytes(sock->context, in->data + in->start, in->end - in->start);

	in->start += used;
	if (in->start == in->end)
		in->start = in->end = 0;
}

/* Room for a good read; a frame that does not fit makes the buffer grow up to in_max, which holds the largest one. */
static bool make_read_room(struct posta__amqp_socket *sock)
{
	struct posta__amqp_buffer *in = &sock->in;
	size_t used = in->end - in->start;
	size_t want = used < IN_CHUNK / 2 ? IN_CHUNK / 2 : used;

	if (used + want > sock->in_max)
		want = sock->in_max > used ? sock->in_max - used : 0;
	if (want && make_room(in, want, IN_CHUNK))
		return true;
	posta__amqp_socket_fail(sock, want ? POSTA_ENOMEM : POSTA_EPROTOCOL, "%s: no room for what %s sends",
				want ? "out of memory" : "protocol", sock->peer);
	return false;
}

static void do_read(struct posta__amqp_socket *sock)
{
	for (int round = 0; round < READ_ROUNDS && sock->phase == POSTA__AMQP_SOCKET_OPEN; round++) {
		if (!make_read_room(sock))
			return;
		size_t room = sock->in.capacity - sock->in.end;
		ssize_t n = read_some(sock, sock->in.data + sock->in.end, room);

		if (n < 0)
			return;
		sock->in.end += (size_t)n;
		sock->read_at = ev_now(sock->loop);
		hand_over(sock);
		if (!sock->ssl && (size_t)n < room)
			return;
	}
	/* TLS may hold decrypted bytes, which no event announces. */
	if (sock->phase == POSTA__AMQP_SOCKET_OPEN && sock->ssl && SSL_pending(sock->ssl))
		ev_feed_event(sock->loop, &sock->io, EV_READ);
}

uint8_t *posta__amqp_socket_reserve(struct posta__amqp_socket *sock, size_t n)
{
	if (sock->phase == POSTA__AMQP_SOCKET_FAILED)
		return NULL;
	if (posta__amqp_socket_pending(sock) + n <= sock->out_max && make_room(&sock->out, n, OUT_CHUNK))
		return sock->out.data + sock->out.end;
	posta__amqp_socket_fail(sock, POSTA_ENOMEM, "no memory for %zu bytes of output to %s", n, sock->peer);
	return NULL;
}

static void do_write(struct posta__amqp_socket *sock)
{
	struct posta__amqp_buffer *out = &sock->out;

	while (out->start < out->end) {
		ssize_t n = write_some(sock, out->data + out->start, out->end - out->start);

		if (n == IO_FAILED)
			return;
		if (n == IO_AGAIN)
			break;
		out->start += (size_t)n;
		sock->written_at = ev_now(sock->loop);
	}
	if (out->start == out->end) {
		out->start = out->end = 0;
		if (out->capacity > OUT_KEEP) {
			free(out->data);
			*out = (struct posta__amqp_buffer){ 0 };
		}
	}
	watch(sock);
}

void posta__amqp_socket_flush(struct posta__amqp_socket *sock)
{
	/* What waits for the socket already goes with its event. */
	if (sock->phase != POSTA__AMQP_SOCKET_OPEN || sock->io.events & EV_WRITE || !posta__amqp_socket_pending(sock))
		return;
	sock->written_at = ev_now(sock->loop);
	do_write(sock);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct posta__amqp_socket *sock = io->data;

	if (sock->phase == POSTA__AMQP_SOCKET_CONNECTING) {
		connected(sock);
		return;
	}
	if (sock->phase == POSTA__AMQP_SOCKET_TLS) {
		shake_hands(sock);
		return;
	}
	bool write_now = events & EV_WRITE || sock->write_wants_read;

	if (events & EV_READ || sock->read_wants_write)
		do_read(sock);
	if (sock->phase != POSTA__AMQP_SOCKET_OPEN || !write_now)
		return;
	do_write(sock);
	if (sock->phase == POSTA__AMQP_SOCKET_OPEN && !posta__amqp_socket_pending(sock))
		sock->ops->drained(sock->context);
}

void posta__amqp_socket_stop(struct posta__amqp_socket *sock)
{
	if (!sock->io.data) /* never begun */
		return;
	drop_descriptor(sock);
	sock->phase = POSTA__AMQP_SOCKET_FAILED;
}

void posta__amqp_socket_close(struct posta__amqp_socket *sock)
{
	posta__amqp_socket_stop(sock);
	free(sock->in.data);
	free(sock->out.data);
	sock->in = sock->out = (struct posta__amqp_buffer){ 0 };
}
