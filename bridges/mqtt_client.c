/* SPDX-License-Identifier: MIT */
/*
 * One libmosquitto client on the loop, without a thread of the library's own.
 *
 *   IDLE ──▶ TCP ──▶ [TLS] ──▶ CONNACK ──▶ UP ──▶ LEAVING ──▶ OVER
 *             │ next address      any of them ── failed ──────▶
 *
 * What libmosquitto 2.0.11 needs from us:
 * - mosquitto_threaded_set(true), so that packets are only queued, and leave when mosquitto_loop_write() is called:
 *   that gathers a batch (under TCP_CORK: one send() a packet, but full segments) and withholds acknowledgements.
 * - Its socket changes or goes within any call: it is compared after each one (posta__mqtt_client_exit).
 * - It writes with write(): SIGPIPE is kept from the process around each write.
 * - mosquitto_loop_read() reads one packet. Whether there was one is told by its callbacks only (errno is left over
 *   from the write to its wake-up pipe), so it is called again as long as callbacks come.
 * - PINGREQ is bound to a keepalive of at least 5 s, and is of no use to notice a frozen broker soon. So silence is
 *   broken by an UNSUBSCRIBE of a filter that nobody has subscribed to: every broker answers that at once.
 * - The DUP flag isn't in its message: the debug log has it. The log is on from CONNECT until the first message
 *   without DUP, because retransmissions come first in a resumed session and never later.
 */
#include "bridges/mqtt.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static uint64_t now_ms(const struct posta__mqtt_client *client)
{
	return posta_bridge_now_ms(client->mqtt->bridge);
}

static const struct posta_bridge_options *options_of(const struct posta__mqtt_client *client)
{
	return posta_bridge_get_options(client->mqtt->bridge);
}

/* -- SIGPIPE */

struct pipe_guard {
	sigset_t before;
	bool was_pending;
};

static void guard_begin(struct pipe_guard *guard)
{
	sigset_t pipe_set, pending;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &guard->before);
	guard->was_pending = sigismember(&guard->before, SIGPIPE) == 1 && !sigpending(&pending) &&
			     sigismember(&pending, SIGPIPE) == 1;
}

static void guard_end(struct pipe_guard *guard, bool failed)
{
	int saved_errno = errno;
	struct timespec no_time = { 0, 0 };
	sigset_t pipe_set;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	while (failed && !guard->was_pending && sigtimedwait(&pipe_set, NULL, &no_time) < 0 && errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
	errno = saved_errno;
}

/* -- The end */

void posta__mqtt_client_stop(struct posta__mqtt_client *client)
{
	client->phase = POSTA__MQTT_OVER;
	if (!client->mosq)
		return;
	ev_io_stop(client->mqtt->loop, &client->reading);
	ev_io_stop(client->mqtt->loop, &client->writing);
	ev_timer_stop(client->mqtt->loop, &client->tick);
	ev_timer_stop(client->mqtt->loop, &client->soon);
}

void posta__mqtt_client_close(struct posta__mqtt_client *client)
{
	posta__mqtt_client_stop(client);
	if (!client->mosq)
		return;
	struct pipe_guard guard;

	guard_begin(&guard);
	mosquitto_destroy(client->mosq);
	guard_end(&guard, true);
	client->mosq = NULL;
}

static void fail(struct posta__mqtt_client *client, enum posta_err code, const char *text)
{
	if (client->phase == POSTA__MQTT_OVER)
		return;
	posta__mqtt_client_stop(client);
	client->ops->failed(client->context, code, text);
}

static void tls_words(const struct posta__mqtt_client *client, char *text, size_t size)
{
	long refusal = client->mqtt->tls->refusal;

	if (refusal)
		snprintf(text, size, "TLS: the broker's certificate was not accepted: %s",
			 X509_verify_cert_error_string(refusal));
	else
		snprintf(text, size, "TLS: %.200s", client->words[0] ? client->words : "the handshake failed");
}

#define NO_CERTIFICATE "the broker ended it after the handshake: does it ask for a certificate (tls.cert, tls.key)?"

static void closed_words(const struct posta__mqtt_client *client, char *text, size_t size)
{
	/* Mosquitto 2.0 just closes a connection that is taken over, in MQTT 5 too. */
	if (client->mqtt->tls && client->phase == POSTA__MQTT_CONNACK && !options_of(client)->tls.cert)
		snprintf(text, size, "TLS: %s %.120s", NO_CERTIFICATE, client->words);
	else if (client->mqtt->tls && client->words[0])
		snprintf(text, size, "TLS: %.200s", client->words);
	else
		snprintf(text, size,
			 "the broker closed the connection (if it does so again: another client uses the id %s)",
			 client->id);
}

/* rc: an MQTT_RC_* where it is 128 or more, else a MOSQ_ERR_*. */
static enum posta_err end_words(const struct posta__mqtt_client *client, int rc, int saved_errno, char *text,
				size_t size)
{
	if (rc == MQTT_RC_SESSION_TAKEN_OVER) {
		snprintf(text, size,
			 "another client connected with the id %s: every replica needs a client_id of its own",
			 client->id);
	} else if (rc >= 0x80) {
		snprintf(text, size, "the broker ended the connection: %s", mosquitto_reason_string(rc));
	} else if (rc == MOSQ_ERR_TLS) {
		tls_words(client, text, size);
	} else if (rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_CONN_LOST || (rc == MOSQ_ERR_ERRNO && client->mqtt->tls) ||
		   (rc == MOSQ_ERR_ERRNO && (saved_errno == ECONNRESET || saved_errno == EPIPE || !saved_errno))) {
		closed_words(client, text, size);
	} else if (rc == MOSQ_ERR_PROTOCOL || rc == MOSQ_ERR_MALFORMED_PACKET) {
		snprintf(text, size, "the broker sent something that is not MQTT %s",
			 client->mqtt->settings.mqtt5 ? "5" : "3.1.1");
		return POSTA_EPROTOCOL;
	} else {
		snprintf(text, size, "%s", rc == MOSQ_ERR_ERRNO ? strerror(saved_errno) : mosquitto_strerror(rc));
	}
	return rc == MOSQ_ERR_NOMEM ? POSTA_ENOMEM : rc == MQTT_RC_NOT_AUTHORIZED ? POSTA_EAUTH : POSTA_ECONNECTION;
}

/* The library has closed its socket, or must not be called any more. */
static void over(struct posta__mqtt_client *client, int rc, int saved_errno)
{
	char text[POSTA_ERROR_TEXT_MAX];
	enum posta_err code;

	if (client->phase == POSTA__MQTT_OVER)
		return;
	if (client->phase == POSTA__MQTT_LEAVING && rc == MOSQ_ERR_SUCCESS) {
		posta__mqtt_client_stop(client);
		client->ops->closed(client->context);
		return;
	}
	if (client->refusal) {
		snprintf(text, sizeof text, "%s", client->words);
		code = client->refusal;
	} else {
		code = end_words(client, rc, saved_errno, text, sizeof text);
	}
	fail(client, code, text);
}

/* -- Calls of the library */

void posta__mqtt_client_enter(struct posta__mqtt_client *client)
{
	client->inside++;
	client->progress = false;
}

void posta__mqtt_client_exit(struct posta__mqtt_client *client, int rc)
{
	int saved_errno = errno;

	if (--client->inside || client->phase == POSTA__MQTT_OVER)
		return;
	if (client->ended)
		over(client, client->end_rc, saved_errno);
	else if (rc || mosquitto_socket(client->mosq) != client->fd)
		over(client, rc, saved_errno);
}

static void write_now(struct posta__mqtt_client *client)
{
	bool cork = client->queued > 1 && client->phase == POSTA__MQTT_UP;
	struct pipe_guard guard;
	int rc, on = 1, off = 0;

	if (cork)
		setsockopt(client->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
	client->queued = 0;
	posta__mqtt_client_enter(client);
	guard_begin(&guard);
	rc = mosquitto_loop_write(client->mosq, 1);
	guard_end(&guard, rc != MOSQ_ERR_SUCCESS);
	if (cork && mosquitto_socket(client->mosq) == client->fd)
		setsockopt(client->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
	posta__mqtt_client_exit(client, rc);
}

static void watch(struct posta__mqtt_client *client)
{
	struct ev_loop *loop = client->mqtt->loop;
	const SSL *ssl = client->phase == POSTA__MQTT_TLS ? mosquitto_ssl_get(client->mosq) : NULL;
	bool read = client->phase != POSTA__MQTT_TCP && !client->deaf;
	bool write = client->phase == POSTA__MQTT_TCP || (ssl && SSL_want_write(ssl)) ||
		     (client->phase >= POSTA__MQTT_CONNACK && !client->withheld && mosquitto_want_write(client->mosq));

	if (read)
		ev_io_start(loop, &client->reading);
	else
		ev_io_stop(loop, &client->reading);
	if (write)
		ev_io_start(loop, &client->writing);
	else
		ev_io_stop(loop, &client->writing);
}

void posta__mqtt_client_update(struct posta__mqtt_client *client)
{
	if (client->inside || client->phase == POSTA__MQTT_OVER || client->phase == POSTA__MQTT_IDLE)
		return;
	if (client->phase >= POSTA__MQTT_CONNACK && !client->withheld && mosquitto_want_write(client->mosq)) {
		write_now(client);
		/* QoS 0 was confirmed by that: what follows comes from the loop, not from within the caller. */
		if (client->phase != POSTA__MQTT_OVER && client->progress)
			ev_timer_start(client->mqtt->loop, &client->soon);
	}
	if (client->phase != POSTA__MQTT_OVER)
		watch(client);
}

/* The library has returned and nothing of it is on the stack. */
static void passed(struct posta__mqtt_client *client)
{
	if (client->inside || client->phase == POSTA__MQTT_OVER)
		return;
	client->ops->passed(client->context);
	posta__mqtt_client_update(client);
}

/* As many packets as there are, until the owner has enough or the kernel has no more. */
static void read_now(struct posta__mqtt_client *client)
{
	bool more = true;

	while (more) {
		int rc;

		posta__mqtt_client_enter(client);
		rc = mosquitto_loop_read(client->mosq, 1);
		more = client->progress;
		posta__mqtt_client_exit(client, rc);
		more = more && client->phase != POSTA__MQTT_OVER && !client->deaf;
	}
}

/* -- Connecting */

static void try_address(struct posta__mqtt_client *client);

static void next_address(struct posta__mqtt_client *client, const char *why)
{
	char text[POSTA_ERROR_TEXT_MAX];

	ev_io_stop(client->mqtt->loop, &client->reading);
	ev_io_stop(client->mqtt->loop, &client->writing);
	client->address = client->address->ai_next;
	if (client->address) {
		try_address(client);
		return;
	}
	snprintf(text, sizeof text, "cannot connect to %.200s: %s", client->mqtt->settings.peer, why);
	fail(client, POSTA_ECONNECTION, text);
}

static int connect_numeric(struct posta__mqtt_client *client)
{
	const struct addrinfo *address = client->address;
	char host[NI_MAXHOST];
	struct pipe_guard guard;
	int rc;

	if (getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST))
		return MOSQ_ERR_EAI;
	posta__mqtt_client_enter(client);
	guard_begin(&guard);
	errno = 0;
	rc = mosquitto_connect_async(client->mosq, host, client->mqtt->settings.port, client->keepalive_s);
	guard_end(&guard, rc != MOSQ_ERR_SUCCESS);
	client->inside--;
	client->ended = false;
	return rc;
}

/* So that a peer that is gone is noticed by the kernel too, while we read nothing. */
static void tune_socket(const struct posta__mqtt_client *client)
{
	int on = 1;
	int interval_s = (int)(options_of(client)->heartbeat_ms / 2000);
	unsigned unacked_ms = options_of(client)->heartbeat_ms + options_of(client)->heartbeat_ms / 2;

	if (interval_s < 1)
		interval_s = 1;
	setsockopt(client->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(client->fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval_s, sizeof interval_s);
	setsockopt(client->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
	setsockopt(client->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof unacked_ms);
}

static const char *connect_words(struct posta__mqtt_client *client, int rc, int saved_errno)
{
	if (rc == MOSQ_ERR_TLS && client->mqtt->tls) {
		char text[POSTA_ERROR_TEXT_MAX];

		tls_words(client, text, sizeof text);
		snprintf(client->words, sizeof client->words, "%s", text);
		return client->words;
	}
	return rc == MOSQ_ERR_ERRNO && saved_errno ? strerror(saved_errno) : mosquitto_strerror(rc);
}

static void try_address(struct posta__mqtt_client *client)
{
	int rc = connect_numeric(client);
	int saved_errno = errno;
	SSL *ssl = mosquitto_ssl_get(client->mosq);

	client->fd = mosquitto_socket(client->mosq);
	if (rc || client->fd < 0) {
		next_address(client, connect_words(client, rc, saved_errno));
		return;
	}
	if (client->mqtt->tls && (!ssl || !posta__tls_adopt(client->mqtt->tls, ssl, client->fd))) {
		fail(client, POSTA_ENOMEM, "no memory for TLS");
		return;
	}
	tune_socket(client);
	client->phase = POSTA__MQTT_TCP;
	client->deadline_ms = now_ms(client) + options_of(client)->connect_timeout_ms;
	ev_io_set(&client->reading, client->fd, EV_READ);
	ev_io_set(&client->writing, client->fd, EV_WRITE);
	watch(client);
}

static void on_tcp(struct posta__mqtt_client *client)
{
	struct sockaddr_storage peer;
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	/* The library's first step of a handshake has taken the error of a connect that was refused at once. */
	len = sizeof peer;
	if (!error && getpeername(client->fd, (struct sockaddr *)&peer, &len))
		error = ECONNREFUSED;
	if (error) {
		/* The first step of the handshake may have been all of it. */
		bool handshaken = client->mqtt->tls && error == ECONNRESET && !options_of(client)->tls.cert;

		next_address(client, handshaken ? NO_CERTIFICATE : strerror(error));
		return;
	}
	client->phase = client->mqtt->tls ? POSTA__MQTT_TLS : POSTA__MQTT_CONNACK;
	client->heard_ms = now_ms(client);
	client->deadline_ms = client->heard_ms + options_of(client)->connect_timeout_ms;
}

/* The library takes an end of file within a handshake for "try again", and would do so for ever. */
static bool handshake_is_dead(struct posta__mqtt_client *client)
{
	char byte;
	ssize_t n = recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return false;
	over(client, n ? MOSQ_ERR_ERRNO : MOSQ_ERR_CONN_LOST, errno);
	return true;
}

static void handshake(struct posta__mqtt_client *client)
{
	const SSL *ssl;
	int rc;

	if (handshake_is_dead(client))
		return;
	posta__mqtt_client_enter(client);
	rc = mosquitto_loop_read(client->mosq, 1);
	posta__mqtt_client_exit(client, rc);
	if (client->phase == POSTA__MQTT_OVER)
		return;
	ssl = mosquitto_ssl_get(client->mosq);
	if (ssl && SSL_is_init_finished(ssl))
		client->phase = POSTA__MQTT_CONNACK;
}

/* -- Events of the loop */

static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
	struct posta__mqtt_client *client = io->data;

	(void)loop;
	(void)events;
	client->heard_ms = now_ms(client);
	client->probe_mid = 0;
	if (client->phase == POSTA__MQTT_TCP)
		on_tcp(client);
	if (client->phase == POSTA__MQTT_TLS)
		handshake(client);
	else if (io == &client->reading && client->phase >= POSTA__MQTT_CONNACK && client->phase != POSTA__MQTT_OVER)
		read_now(client);
	passed(client);
}

static void on_soon(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	passed(timer->data);
}

static bool hung_up(const struct posta__mqtt_client *client)
{
	struct pollfd pollfd = { .fd = client->fd, .events = POLLRDHUP };

	return poll(&pollfd, 1, 0) == 1 && pollfd.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* UP. Silence is no news while we don't read; then only an end of the connection is looked for. */
static void listen_for_life(struct posta__mqtt_client *client)
{
	uint64_t heartbeat_ms = options_of(client)->heartbeat_ms;
	uint64_t silence_ms = now_ms(client) - client->heard_ms;
	char text[POSTA_ERROR_TEXT_MAX];

	if (client->deaf || client->withheld) {
		client->heard_ms = now_ms(client);
		client->probe_mid = 0;
		if (hung_up(client))
			over(client, MOSQ_ERR_CONN_LOST, 0);
		return;
	}
	if (silence_ms >= heartbeat_ms + heartbeat_ms / 4) {
		snprintf(text, sizeof text, "no sign of life from the broker for %llu ms (heartbeat %llu ms)",
			 (unsigned long long)silence_ms, (unsigned long long)heartbeat_ms);
		fail(client, POSTA_ETIMEDOUT, text);
	} else if (silence_ms >= heartbeat_ms - heartbeat_ms / 4 && !client->probe_mid) {
		client->probe_mid = posta__mqtt_client_unsubscribe(client, POSTA__MQTT_PROBE);
	}
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct posta__mqtt_client *client = timer->data;
	int rc;

	(void)loop;
	(void)events;
	if (client->phase < POSTA__MQTT_UP || client->phase == POSTA__MQTT_LEAVING) {
		if (now_ms(client) < client->deadline_ms)
			return;
		if (client->phase == POSTA__MQTT_TCP)
			next_address(client, "time-out");
		else
			fail(client, POSTA_ETIMEDOUT, "the broker accepted the connection, but does not answer");
		return;
	}
	posta__mqtt_client_enter(client);
	rc = mosquitto_loop_misc(client->mosq);
	posta__mqtt_client_exit(client, rc);
	if (client->phase == POSTA__MQTT_UP)
		listen_for_life(client);
	passed(client);
}

/* -- Making one */

static void init_watchers(struct posta__mqtt_client *client)
{
	double period = options_of(client)->heartbeat_ms / 8000.0;

	if (period > 1.0)
		period = 1.0;
	if (period < 0.02)
		period = 0.02;
	ev_io_init(&client->reading, on_event, -1, EV_READ);
	ev_io_init(&client->writing, on_event, -1, EV_WRITE);
	ev_timer_init(&client->tick, on_tick, period, period);
	ev_timer_init(&client->soon, on_soon, 0., 0.);
	client->reading.data = client->writing.data = client->tick.data = client->soon.data = client;
}

enum posta_err posta__mqtt_client_init(struct posta__mqtt_client *client, const struct posta__mqtt_client_options *how,
				       struct posta_error *error)
{
	client->fd = -1;
	client->keepalive_s = how->keepalive_s;
	if ((size_t)snprintf(client->id, sizeof client->id, "%s", how->id) >= sizeof client->id)
		return posta_error_set(error, POSTA_EINVAL, "mqtt: client id longer than %zu bytes",
				       sizeof client->id - 1);
	init_watchers(client);
	return posta__mqtt_library_new(client, how, error);
}

void posta__mqtt_client_start(struct posta__mqtt_client *client, const struct addrinfo *addresses)
{
	ev_timer_start(client->mqtt->loop, &client->tick);
	client->address = addresses;
	try_address(client);
}

int posta__mqtt_client_unsubscribe(struct posta__mqtt_client *client, const char *filter)
{
	int mid = 0;
	int rc;

	posta__mqtt_client_enter(client);
	rc = mosquitto_unsubscribe(client->mosq, &mid, filter);
	posta__mqtt_client_exit(client, rc);
	client->queued++;
	return rc ? 0 : mid;
}

void posta__mqtt_client_leave(struct posta__mqtt_client *client, bool forget)
{
	mosquitto_property *properties = NULL;
	int rc = MOSQ_ERR_SUCCESS;

	if (client->phase != POSTA__MQTT_UP) {
		if (client->phase != POSTA__MQTT_OVER) {
			posta__mqtt_client_stop(client);
			client->ops->closed(client->context);
		}
		return;
	}
	client->phase = POSTA__MQTT_LEAVING;
	client->withheld = false;
	client->deaf = true;
	client->deadline_ms = now_ms(client) + options_of(client)->connect_timeout_ms;
	if (forget && client->mqtt->settings.mqtt5)
		rc = mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0);
	posta__mqtt_client_enter(client);
	if (!rc)
		rc = mosquitto_disconnect_v5(client->mosq, 0, properties);
	posta__mqtt_client_exit(client, rc);
	mosquitto_property_free_all(&properties);
	posta__mqtt_client_update(client);
}
