/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_AMQP_SOCKET_H
#define POSTA_BRIDGES_AMQP_SOCKET_H

/*
 * A non-blocking TCP or TLS connection on a libev loop: addresses tried in turn, bytes in to a callback, bytes out
 * from a bounded buffer, as many in one write as there are. Thread: the loop's.
 */

#include "bridges/tls.h"

#include <posta/error.h>

#include <ev.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct posta__amqp_buffer {
	uint8_t *data;
	size_t start, end, capacity; /* data[start..end) is in use */
};

struct posta__amqp_socket_ops {
	void (*opened)(void *context);
	/* Returns how many of the bytes are used up; the rest comes again with more behind it. */
	size_t (*bytes)(void *context, const uint8_t *bytes, size_t len);
	/* Everything was written. */
	void (*drained)(void *context);
	/* Once; the socket does nothing more after it. */
	void (*failed)(void *context, enum posta_err code, const char *text);
};

enum posta__amqp_socket_phase {
	POSTA__AMQP_SOCKET_IDLE,
	POSTA__AMQP_SOCKET_CONNECTING,
	POSTA__AMQP_SOCKET_TLS,
	POSTA__AMQP_SOCKET_OPEN,
	POSTA__AMQP_SOCKET_FAILED
};

struct posta__amqp_socket {
	const struct posta__amqp_socket_ops *ops;
	void *context;
	struct ev_loop *loop;
	struct posta__tls *tls;         /* NULL: plain TCP; borrowed */
	const char *host;               /* whose certificate it must be; borrowed */
	const char *peer;               /* "host:port" for errors; borrowed */
	const struct addrinfo *address; /* tried now; the list is borrowed until it is open */
	double attempt_s;               /* for one address */
	enum posta__amqp_socket_phase phase;
	int fd;
	SSL *ssl;
	bool read_wants_write, write_wants_read; /* of TLS */
	ev_io io;
	ev_timer attempt;
	struct posta__amqp_buffer in, out;
	size_t in_max, out_max;     /* bytes */
	double read_at, written_at; /* ev_now() of the last progress */
	char last_error[128];       /* of the addresses that failed */
};

/*
 * loop, ops, context, tls, host, peer, in_max and out_max are set. Ends in opened or failed, never from within this
 * call.
 */
void posta__amqp_socket_connect(struct posta__amqp_socket *sock, const struct addrinfo *addresses, double timeout_s);
/* Room for n more bytes of output; NULL: out of memory or above out_max, and the socket has failed. */
uint8_t *posta__amqp_socket_reserve(struct posta__amqp_socket *sock, size_t n);
/* n bytes of what was reserved are to be written at the next flush. */
static inline void posta__amqp_socket_commit(struct posta__amqp_socket *sock, size_t n)
{
	sock->out.end += n;
}
static inline size_t posta__amqp_socket_pending(const struct posta__amqp_socket *sock)
{
	return sock->out.end - sock->out.start;
}
/* Writes what it can now, the rest when the socket is writable. May call failed, never drained. */
void posta__amqp_socket_flush(struct posta__amqp_socket *sock);
/* Fails it by the owner's judgement: the callback comes. */
void posta__amqp_socket_fail(struct posta__amqp_socket *sock, enum posta_err code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Closes it without a callback; the buffers stay: may be called from within a callback. */
void posta__amqp_socket_stop(struct posta__amqp_socket *sock);
/* Frees everything but the struct, in any phase; no callback comes. Idempotent. */
void posta__amqp_socket_close(struct posta__amqp_socket *sock);

#endif
