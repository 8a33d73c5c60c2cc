/* SPDX-License-Identifier: MIT */
/*
 * One AMQP connection up to its channels:
 *
 *   CONNECTING ─▶ WAIT_START ─▶ WAIT_TUNE ─▶ WAIT_OPEN ─▶ OPEN ─▶ WAIT_CLOSE ─▶ CLOSED
 *
 * Each phase before OPEN has one deadline together; in OPEN the heartbeats watch both ways, and requests their answers:
 * a broker that is stopped or behind a black hole is found out as well as one that is gone.
 * Source: AMQP 0-9-1, 2.2.4 "The Connection Class", 4.2.7 "Heartbeat Frames"; RabbitMQ, "Connections Notifications".
 */
#include "bridges/amqp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_METHOD_MAX 4096u /* bytes of any method we send: names are at most 255 */
#define CHANNEL_MAX 2047u
#define FRAME_MAX_MIN 4096u
#define FRAME_MAX_MAX (1u << 20)
#define RPC_TIMEOUT_S 60.
#define TICK_MAX_S 1.

/* -- sending */

static bool encode(struct posta__amqp_connection *connection, uint16_t channel, amqp_method_number_t method,
		   const void *fields)
{
	size_t room = method == AMQP_CONNECTION_START_OK_METHOD ? FRAME_MAX_MIN : CONTROL_METHOD_MAX;
	uint8_t *out = posta__amqp_socket_reserve(&connection->sock, room + POSTA__AMQP_FRAME_OVERHEAD);

	if (!out)
		return false;
	amqp_bytes_t bytes = { room - 4, out + POSTA__AMQP_FRAME_HEADER + 4 };
	int used = amqp_encode_method(method, (void *)(uintptr_t)fields, bytes);

	if (used < 0) {
		posta__amqp_socket_fail(&connection->sock, POSTA_ETOOBIG,
					"a request to the broker does not fit into a frame: %s",
					amqp_error_string2(used));
		return false;
	}
	posta__amqp_put32(out + POSTA__AMQP_FRAME_HEADER, method);
	posta__amqp_frame_close(out, AMQP_FRAME_METHOD, channel, (uint32_t)used + 4);
	posta__amqp_socket_commit(&connection->sock, (size_t)used + 4 + POSTA__AMQP_FRAME_OVERHEAD);
	return true;
}

bool posta__amqp_send(struct posta__amqp_connection *connection, uint16_t channel, amqp_method_number_t method,
		      const void *fields)
{
	return connection->phase < POSTA__AMQP_CLOSED && encode(connection, channel, method, fields);
}

bool posta__amqp_ask(struct posta__amqp_connection *connection, uint16_t channel, amqp_method_number_t method,
		     const void *fields)
{
	if (!posta__amqp_send(connection, channel, method, fields))
		return false;
	if (!connection->rpcs++)
		connection->rpc_at = ev_now(connection->amqp->loop);
	return true;
}

void posta__amqp_answered(struct posta__amqp_connection *connection, unsigned n)
{
	connection->rpcs -= n < connection->rpcs ? n : connection->rpcs;
	connection->rpc_at = ev_now(connection->amqp->loop);
}

void posta__amqp_flush(struct posta__amqp_connection *connection)
{
	posta__amqp_socket_flush(&connection->sock);
}

static void send_heartbeat(struct posta__amqp_connection *connection)
{
	uint8_t *out = posta__amqp_socket_reserve(&connection->sock, POSTA__AMQP_FRAME_OVERHEAD);

	if (!out)
		return;
	posta__amqp_frame_close(out, AMQP_FRAME_HEARTBEAT, 0, 0);
	posta__amqp_socket_commit(&connection->sock, POSTA__AMQP_FRAME_OVERHEAD);
	posta__amqp_flush(connection);
}

/* -- watching */

static void fail(struct posta__amqp_connection *connection, enum posta_err code, const char *text)
{
	posta__amqp_socket_fail(&connection->sock, code, "%s (connection to %s)", text, connection->role->name);
}

static void watch_open(struct posta__amqp_connection *connection, double now)
{
	struct posta__amqp_socket *sock = &connection->sock;
	double patience = 2 * connection->heartbeat_s;

	/* This process was held up itself: what the broker sent meanwhile has not been read yet. */
	if (now - connection->ticked_at > TICK_MAX_S + connection->heartbeat_s / 2)
		sock->read_at = sock->written_at = connection->rpc_at = now;
	connection->ticked_at = now;
	if (patience > 0 && now - sock->read_at > patience)
		fail(connection, POSTA_ETIMEDOUT, "the broker was silent for two heartbeats");
	else if (patience > 0 && !connection->blocked && posta__amqp_socket_pending(sock) &&
		 now - sock->written_at > patience)
		fail(connection, POSTA_ETIMEDOUT, "the broker takes no bytes, and does not say it is blocked");
	else if (connection->rpcs && !connection->blocked && now - connection->rpc_at > RPC_TIMEOUT_S)
		fail(connection, POSTA_ETIMEDOUT, "the broker does not answer a request");
	else if (patience > 0 && now - sock->written_at >= connection->heartbeat_s / 2)
		send_heartbeat(connection);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct posta__amqp_connection *connection = timer->data;
	double now = ev_now(loop);

	if (connection->phase == POSTA__AMQP_OPEN)
		watch_open(connection, now);
	else if (connection->phase == POSTA__AMQP_WAIT_CLOSE && now >= connection->deadline)
		posta__amqp_on_closed(connection->amqp);
	else if (connection->phase < POSTA__AMQP_OPEN && now >= connection->deadline)
		fail(connection, POSTA_ETIMEDOUT, "no AMQP handshake in time");
}

static void set_tick(struct posta__amqp_connection *connection, double period_s)
{
	ev_timer_stop(connection->amqp->loop, &connection->tick);
	ev_timer_set(&connection->tick, period_s, period_s);
	ev_timer_start(connection->amqp->loop, &connection->tick);
}

/* -- the handshake */

static void on_opened(void *context)
{
	static const uint8_t protocol_header[8] = { 'A', 'M', 'Q', 'P', 0, 0, 9, 1 };
	struct posta__amqp_connection *connection = context;
	uint8_t *out = posta__amqp_socket_reserve(&connection->sock, sizeof protocol_header);

	if (!out)
		return;
	memcpy(out, protocol_header, sizeof protocol_header);
	posta__amqp_socket_commit(&connection->sock, sizeof protocol_header);
	connection->phase = POSTA__AMQP_WAIT_START;
	posta__amqp_flush(connection);
}

static amqp_table_entry_t text_entry(const char *key, const char *text)
{
	return (amqp_table_entry_t){ posta__amqp_text(key),
				     { AMQP_FIELD_KIND_UTF8, { .bytes = posta__amqp_text(text) } } };
}

static amqp_table_entry_t true_entry(const char *key)
{
	return (amqp_table_entry_t){ posta__amqp_text(key), { AMQP_FIELD_KIND_BOOLEAN, { .boolean = 1 } } };
}

static bool send_start_ok(struct posta__amqp_connection *connection, amqp_bytes_t response)
{
	char name[128];
	amqp_table_entry_t capabilities[] = {
		true_entry("publisher_confirms"), true_entry("exchange_exchange_bindings"),
		true_entry("basic.nack"),         true_entry("consumer_cancel_notify"),
		true_entry("connection.blocked"), true_entry("authentication_failure_close"),
	};
	amqp_table_entry_t properties[] = {
		text_entry("product", "posta"),
		text_entry("version", POSTA_VERSION),
		text_entry("platform", "C"),
		text_entry("connection_name", name),
		{ posta__amqp_text("capabilities"),
		  { AMQP_FIELD_KIND_TABLE,
		    { .table = { sizeof capabilities / sizeof *capabilities, capabilities } } } },
	};
	amqp_connection_start_ok_t fields = {
		.client_properties = { sizeof properties / sizeof *properties, properties },
		.mechanism = posta__amqp_text("PLAIN"),
		.response = response,
		.locale = posta__amqp_text("en_US"),
	};

	snprintf(name, sizeof name, "%.100s (%s)", posta_bridge_client_id(connection->amqp->bridge),
		 connection->role->name);
	properties[3] = text_entry("connection_name", name);
	return posta__amqp_send(connection, 0, AMQP_CONNECTION_START_OK_METHOD, &fields);
}

static void on_start(struct posta__amqp_connection *connection, const amqp_connection_start_t *start)
{
	const struct posta__amqp *amqp = connection->amqp;
	const char *user = amqp->user ? amqp->user : amqp->info.user;
	const char *password = amqp->password ? amqp->password : amqp->info.password;
	size_t user_len = strlen(user), password_len = strlen(password);
	char response[1024];

	if (!memmem(start->mechanisms.bytes, start->mechanisms.len, "PLAIN", 5)) {
		fail(connection, POSTA_EAUTH, "the broker offers no authentication by PLAIN");
		return;
	}
	if (user_len + password_len + 2 > sizeof response) {
		fail(connection, POSTA_EAUTH, "user and password are longer than 1,022 bytes");
		return;
	}
	response[0] = '\0';
	memcpy(response + 1, user, user_len + 1);
	memcpy(response + 2 + user_len, password, password_len);
	bool sent = send_start_ok(connection, (amqp_bytes_t){ user_len + password_len + 2, response });

	explicit_bzero(response, sizeof response);
	if (!sent)
		return;
	connection->phase = POSTA__AMQP_WAIT_TUNE;
	posta__amqp_flush(connection);
}

/* Each side's 0 means "no limit of mine". */
static uint32_t lesser(uint32_t ours, uint32_t theirs)
{
	return theirs && theirs < ours ? theirs : ours;
}

static uint32_t wanted_frame_max(const struct posta__amqp *amqp)
{
	const char *const *extra = posta_bridge_get_options(amqp->bridge)->extra;

	for (; extra && extra[0]; extra += 2)
		if (strcmp(extra[0], "frame_max") == 0)
			return (uint32_t)strtoul(extra[1], NULL, 10);
	return AMQP_DEFAULT_FRAME_SIZE;
}

static void on_tune(struct posta__amqp_connection *connection, const amqp_connection_tune_t *tune)
{
	struct posta__amqp *amqp = connection->amqp;
	uint32_t heartbeat = (posta_bridge_get_options(amqp->bridge)->heartbeat_ms + 999) / 1000;
	amqp_connection_open_t open = { .virtual_host = posta__amqp_text(amqp->info.vhost) };

	connection->limits.frame_max = lesser(wanted_frame_max(amqp), tune->frame_max);
	connection->limits.channel_max = (uint16_t)lesser(CHANNEL_MAX, tune->channel_max);
	heartbeat = lesser(heartbeat < UINT16_MAX ? heartbeat : UINT16_MAX, tune->heartbeat);
	connection->heartbeat_s = heartbeat;
	if (connection->limits.frame_max < FRAME_MAX_MIN) {
		fail(connection, POSTA_EPROTOCOL, "the broker wants frames of less than 4,096 bytes");
		return;
	}
	amqp_connection_tune_ok_t tune_ok = { connection->limits.channel_max, connection->limits.frame_max,
					      (uint16_t)heartbeat };

	if (!posta__amqp_send(connection, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &tune_ok) ||
	    !posta__amqp_send(connection, 0, AMQP_CONNECTION_OPEN_METHOD, &open))
		return;
	connection->phase = POSTA__AMQP_WAIT_OPEN;
	posta__amqp_flush(connection);
}

static void on_open_ok(struct posta__amqp_connection *connection)
{
	double period_s = connection->heartbeat_s / 4;

	connection->phase = POSTA__AMQP_OPEN;
	connection->ticked_at = ev_now(connection->amqp->loop);
	set_tick(connection, period_s > 0 && period_s < TICK_MAX_S ? period_s : TICK_MAX_S);
	connection->role->opened(connection->amqp);
}

/* -- the broker's word on the connection */

enum posta_err posta__amqp_code(uint16_t reply_code)
{
	switch (reply_code) {
	case AMQP_CONNECTION_FORCED: /* 320: an operator, or its shutdown */
	case AMQP_INTERNAL_ERROR:
	case AMQP_RESOURCE_ERROR:
		return POSTA_ECONNECTION;
	case AMQP_FRAME_ERROR:
	case AMQP_SYNTAX_ERROR:
	case AMQP_COMMAND_INVALID:
	case AMQP_CHANNEL_ERROR:
	case AMQP_UNEXPECTED_FRAME:
		return POSTA_EPROTOCOL;
	default:
		return POSTA_EREFUSED;
	}
}

const char *posta__amqp_words(amqp_bytes_t bytes, char *out, size_t size)
{
	size_t len = bytes.len < size - 1 ? bytes.len : size - 1;

	if (len)
		memcpy(out, bytes.bytes, len);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)out[i] < ' ' || out[i] == 127)
			out[i] = ' ';
	out[len] = '\0';
	return out;
}

static void on_close(struct posta__amqp_connection *connection, const amqp_connection_close_t *close)
{
	static const amqp_connection_close_ok_t close_ok = { 0 };
	bool login = connection->phase == POSTA__AMQP_WAIT_TUNE && close->reply_code == AMQP_ACCESS_REFUSED;
	char words[200];

	posta__amqp_words(close->reply_text, words, sizeof words);
	if (posta__amqp_send(connection, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &close_ok))
		posta__amqp_flush(connection);
	posta__amqp_socket_fail(&connection->sock, login ? POSTA_EAUTH : posta__amqp_code(close->reply_code), "%u %s",
				close->reply_code, words);
}

static void set_blocked(struct posta__amqp_connection *connection, bool blocked, amqp_bytes_t reason)
{
	char words[128];

	connection->blocked = blocked;
	connection->rpc_at = connection->sock.written_at = ev_now(connection->amqp->loop);
	if (connection->role == &posta__amqp_publisher_role)
		posta_bridge_blocked(connection->amqp->bridge, blocked, posta__amqp_words(reason, words, sizeof words));
}

static void on_close_ok(struct posta__amqp_connection *connection)
{
	posta__amqp_connection_stop(connection);
	posta__amqp_on_closed(connection->amqp);
}

/* Methods of channel 0. */
static void take_connection_method(struct posta__amqp_connection *connection, amqp_method_number_t method,
				   const void *decoded)
{
	enum posta__amqp_phase phase = connection->phase;

	if (method == AMQP_CONNECTION_CLOSE_METHOD)
		on_close(connection, decoded);
	else if (method == AMQP_CONNECTION_START_METHOD && phase == POSTA__AMQP_WAIT_START)
		on_start(connection, decoded);
	else if (method == AMQP_CONNECTION_TUNE_METHOD && phase == POSTA__AMQP_WAIT_TUNE)
		on_tune(connection, decoded);
	else if (method == AMQP_CONNECTION_OPEN_OK_METHOD && phase == POSTA__AMQP_WAIT_OPEN)
		on_open_ok(connection);
	else if (method == AMQP_CONNECTION_BLOCKED_METHOD)
		set_blocked(connection, true, ((const amqp_connection_blocked_t *)decoded)->reason);
	else if (method == AMQP_CONNECTION_UNBLOCKED_METHOD)
		set_blocked(connection, false, (amqp_bytes_t){ 0 });
	else if (method == AMQP_CONNECTION_CLOSE_OK_METHOD && phase == POSTA__AMQP_WAIT_CLOSE)
		on_close_ok(connection);
	else
		fail(connection, POSTA_EPROTOCOL, "the broker sent a method out of its turn");
}

/* -- frames */

static void take_method(struct posta__amqp_connection *connection, const struct posta__amqp_frame *frame)
{
	amqp_method_number_t method;
	void *decoded = NULL;

	if (!posta__amqp_method_ok(frame, &method)) {
		fail(connection, POSTA_EPROTOCOL, "the broker sent a malformed or unexpected method");
		return;
	}
	amqp_bytes_t bytes = { frame->size - 4, (void *)(uintptr_t)(frame->payload + 4) };

	if (amqp_decode_method(method, &connection->pool, bytes, &decoded) < 0)
		fail(connection, POSTA_EPROTOCOL, "the broker sent a malformed method");
	else if (frame->channel == 0)
		take_connection_method(connection, method, decoded);
	else if (connection->phase == POSTA__AMQP_OPEN)
		connection->role->method(connection->amqp, frame->channel, method, decoded);
}

static void take_frame(struct posta__amqp_connection *connection, const struct posta__amqp_frame *frame)
{
	struct posta__amqp_content_header header;

	if (frame->type == AMQP_FRAME_METHOD) {
		take_method(connection, frame);
		return;
	}
	if (frame->type == AMQP_FRAME_HEARTBEAT || connection->phase == POSTA__AMQP_WAIT_CLOSE)
		return;
	if (connection->phase != POSTA__AMQP_OPEN || frame->channel == 0)
		fail(connection, POSTA_EPROTOCOL, "the broker sent content outside of a channel");
	else if (frame->type == AMQP_FRAME_BODY)
		connection->role->body(connection->amqp, frame->channel, frame->payload, frame->size);
	else if (posta__amqp_header_read(frame, &header))
		connection->role->header(connection->amqp, frame->channel, &header);
	else
		fail(connection, POSTA_EPROTOCOL, "the broker sent a malformed content header");
}

static size_t on_bytes(void *context, const uint8_t *bytes, size_t len)
{
	struct posta__amqp_connection *connection = context;
	struct posta__amqp_frame frame;
	const char *why;
	size_t used = 0;

	while (connection->sock.phase == POSTA__AMQP_SOCKET_OPEN) {
		enum posta__amqp_cut cut =
			posta__amqp_frame_cut(bytes + used, len - used, &connection->limits, &frame, &why);

		if (cut == POSTA__AMQP_CUT_MORE)
			break;
		if (cut == POSTA__AMQP_CUT_BAD) {
			fail(connection, POSTA_EPROTOCOL, why);
			break;
		}
		take_frame(connection, &frame);
		recycle_amqp_pool(&connection->pool);
		used += frame.size + POSTA__AMQP_FRAME_OVERHEAD;
	}
	if (connection->phase == POSTA__AMQP_OPEN && connection->sock.phase == POSTA__AMQP_SOCKET_OPEN)
		connection->role->read(connection->amqp);
	return used;
}

static void on_drained(void *context)
{
	struct posta__amqp_connection *connection = context;

	if (connection->phase == POSTA__AMQP_OPEN)
		connection->role->drained(connection->amqp);
}

static void on_failed(void *context, enum posta_err code, const char *text)
{
	struct posta__amqp_connection *connection = context;
	enum posta__amqp_phase phase = connection->phase;

	connection->phase = POSTA__AMQP_CLOSED;
	ev_timer_stop(connection->amqp->loop, &connection->tick);
	if (phase == POSTA__AMQP_WAIT_CLOSE)
		posta__amqp_on_closed(connection->amqp);
	else if (phase != POSTA__AMQP_CLOSED)
		posta__amqp_fail(connection->amqp, code, "%s", text);
}

/* -- its life */

void posta__amqp_connection_start(struct posta__amqp_connection *connection, struct posta__amqp *amqp,
				  const struct posta__amqp_role *role, const struct addrinfo *addresses)
{
	static const struct posta__amqp_socket_ops ops = {
		.opened = on_opened, .bytes = on_bytes, .drained = on_drained, .failed = on_failed
	};
	const struct posta_bridge_options *options = posta_bridge_get_options(amqp->bridge);
	double timeout_s = options->connect_timeout_ms / 1000.;

	connection->amqp = amqp;
	connection->role = role;
	connection->limits = (struct posta__amqp_limits){ AMQP_DEFAULT_FRAME_SIZE, 0 };
	connection->phase = POSTA__AMQP_CONNECTING;
	connection->deadline = ev_now(amqp->loop) + timeout_s;
	init_amqp_pool(&connection->pool, 4096);
	connection->sock = (struct posta__amqp_socket){
		.ops = &ops,
		.context = connection,
		.loop = amqp->loop,
		.tls = amqp->tls,
		.host = amqp->info.host,
		.peer = amqp->peer,
		.in_max = FRAME_MAX_MAX + (128u << 10),
		.out_max = POSTA__AMQP_HIGH_WATER + 2 * ((size_t)options->message_bytes_max + FRAME_MAX_MAX),
		.fd = -1,
	};
	ev_init(&connection->tick, on_tick);
	connection->tick.data = connection;
	set_tick(connection, timeout_s < TICK_MAX_S ? timeout_s : TICK_MAX_S);
	posta__amqp_socket_connect(&connection->sock, addresses, timeout_s);
}

void posta__amqp_connection_finish(struct posta__amqp_connection *connection, double timeout_s)
{
	amqp_connection_close_t fields = { .reply_code = AMQP_REPLY_SUCCESS,
					   .reply_text = posta__amqp_text("closed by the client") };

	if (connection->phase != POSTA__AMQP_OPEN ||
	    !posta__amqp_send(connection, 0, AMQP_CONNECTION_CLOSE_METHOD, &fields)) {
		posta__amqp_connection_stop(connection);
		posta__amqp_on_closed(connection->amqp);
		return;
	}
	connection->phase = POSTA__AMQP_WAIT_CLOSE;
	connection->deadline = ev_now(connection->amqp->loop) + timeout_s;
	set_tick(connection, timeout_s);
	posta__amqp_flush(connection);
}

void posta__amqp_connection_stop(struct posta__amqp_connection *connection)
{
	if (connection->phase == POSTA__AMQP_IDLE)
		return;
	connection->phase = POSTA__AMQP_CLOSED;
	ev_timer_stop(connection->amqp->loop, &connection->tick);
	posta__amqp_socket_stop(&connection->sock);
}

void posta__amqp_connection_close(struct posta__amqp_connection *connection)
{
	if (connection->phase == POSTA__AMQP_IDLE)
		return;
	posta__amqp_connection_stop(connection);
	posta__amqp_socket_close(&connection->sock);
	empty_amqp_pool(&connection->pool);
}
