/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_MQTT_H
#define POSTA_BRIDGES_MQTT_H

/*
 * What the files of the MQTT bridge (3.1.1 and 5) share. One state = one connection that publishes, and one that
 * consumes for each subscription.
 *
 *   mqtt.c ────────── the ops table, the end          mqtt_client.c ──── one client on the loop
 *   mqtt_publish.c ── publications, their window      mqtt_library.c ─── how it is made, what it calls back
 *   mqtt_consume.c ── a subscription: batches         mqtt_properties.c  envelopes and MQTT packets
 *   mqtt_slots.c ──── what is not settled             mqtt_tls.c ─────── the certificate of the right host
 *   mqtt_options.c ── URL and options                 mqtt_saved.c ───── confirmed is what the broker has saved
 *   mqtt_alias.c ──── topics by numbers
 *
 * Why a connection for each subscription: libmosquitto hands an acknowledgement to its output queue before it shows
 * us the message, so that all we can do is write nothing until everything that was read is settled (mqtt_consume.c).
 * Publications must not wait for that, and a slow subscription must not hold up another one. It also gives each its
 * own Receive Maximum (= its credit) and its own session: what a resumed session brings belongs to that
 * subscription, even before it subscribes, and overlapping filters need no telling apart.
 *
 * Client ids: "<id>-pub", and "<id>-sub-<hash of filter and share>", the same in every run of the program, because the
 * broker keeps what is unsettled under it. A second subscription to the same filter gets "-1" behind it, and so on.
 *
 * Thread: the bridge's worker.
 */

#include "bridges/codec/cloudevents.h"
#include "bridges/resolve.h"
#include "bridges/tls.h"

#include <posta/bridge_ops.h>

#include <ev.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const struct posta_bridge_ops posta__mqtt_ops;

struct posta__mqtt;

/* -- mqtt_options.c */

#define POSTA__MQTT_WINDOW_DEFAULT 256u
#define POSTA__MQTT_WINDOW_MAX 4096u
/* The longest a batch of deliveries may stay unsettled is 1.5 times this; a broker of MQTT 5 may ask for less. */
#define POSTA__MQTT_CONSUMER_KEEPALIVE_S 3600u

struct posta__mqtt_settings {
	char *host;
	char *user, *password; /* NULL: none */
	int port;
	bool tls;
	bool mqtt5;
	uint32_t window;           /* publications of QoS 1 and 2 without an acknowledgement */
	uint32_t session_expiry_s; /* MQTT 5 */
	uint32_t consumer_keepalive_s;
	uint32_t topic_aliases; /* at most so many topics go by a number; MQTT 5 */
	uint32_t confirm_saved; /* 0: the broker's acknowledgement is the confirmation; 1: see mqtt_saved.c */
	char peer[280];         /* host:port, for people */
};

/* Errors: EINVAL names what is wrong, ENOMEM. settings hold nothing then. */
enum posta_err posta__mqtt_settings_init(struct posta__mqtt_settings *settings, const char *url,
					 const struct posta_bridge_options *options, struct posta_error *error);
void posta__mqtt_settings_fini(struct posta__mqtt_settings *settings);

/* -- mqtt_tls.c */

/* As posta__tls_new(), and its sessions expect host, which outlives it. */
struct posta__tls *posta__mqtt_tls_new(const struct posta_tls *options, const char *host, struct posta_error *error);

/* -- mqtt_client.c */

/* None of these may free the client; failed and closed come once, and last. */
struct posta__mqtt_client_ops {
	void (*connected)(void *context, const mosquitto_property *properties);
	void (*failed)(void *context, enum posta_err code, const char *text);
	void (*closed)(void *context); /* our DISCONNECT was written */
	void (*message)(void *context, const struct mosquitto_message *message, const mosquitto_property *properties,
			bool duplicate);
	void (*published)(void *context, int mid, int reason, const mosquitto_property *properties);
	void (*subscribed)(void *context, int reason, const mosquitto_property *properties);
	void (*unsubscribed)(void *context, int mid);
	/* The library has returned: everything is allowed here, but for freeing the client. */
	void (*passed)(void *context);
};

enum posta__mqtt_phase {
	POSTA__MQTT_IDLE,
	POSTA__MQTT_TCP, /* connect() is under way */
	POSTA__MQTT_TLS,
	POSTA__MQTT_CONNACK, /* waits for it */
	POSTA__MQTT_UP,
	POSTA__MQTT_LEAVING, /* DISCONNECT is to be written */
	POSTA__MQTT_OVER
};

struct posta__mqtt_client {
	const struct posta__mqtt_client_ops *ops;
	void *context;
	struct posta__mqtt *mqtt;
	struct mosquitto *mosq;
	const struct addrinfo *address; /* tried now */
	enum posta__mqtt_phase phase;
	int fd;
	int keepalive_s;
	ev_io reading, writing;
	ev_timer tick;
	ev_timer soon;          /* calls passed() from the loop */
	uint64_t heard_ms;      /* last sign of life */
	uint64_t deadline_ms;   /* of the phases before UP */
	unsigned inside;        /* depth of library calls */
	unsigned queued;        /* packets since the last write, roughly */
	int probe_mid;          /* 0: none under way */
	bool withheld;          /* nothing may be written: it would acknowledge what is not settled */
	bool deaf;              /* nothing is to be read now */
	bool progress;          /* a callback came in this library call */
	bool logging;           /* the library's log is on */
	bool duplicate;         /* the DUP flag of the message being read */
	bool ended;             /* the library closed the socket */
	int end_rc;             /* why: MOSQ_ERR_* or a reason code of MQTT 5 */
	enum posta_err refusal; /* CONNACK's */
	char id[128];
	char words[POSTA_ERROR_TEXT_MAX]; /* the library's last complaint */
};

struct posta__mqtt_client_options {
	const char *id;
	bool clean;
	int keepalive_s;
	uint32_t receive_max; /* MQTT 5 */
	bool will;
};

/* mqtt, ops and context are set. Errors: ENOMEM, EINVAL. The client must be closed, also on error. */
enum posta_err posta__mqtt_client_init(struct posta__mqtt_client *client,
				       const struct posta__mqtt_client_options *options, struct posta_error *error);
/* Ends in connected or failed; failed may come at once. */
void posta__mqtt_client_start(struct posta__mqtt_client *client, const struct addrinfo *addresses);
/* Writes what waits if that is allowed, and waits for the right events. Nothing is done from within a library call. */
void posta__mqtt_client_update(struct posta__mqtt_client *client);
/* DISCONNECT, behind all that waits; then closed. forget: the broker drops the session (MQTT 5). */
void posta__mqtt_client_leave(struct posta__mqtt_client *client, bool forget);
/* UNSUBSCRIBE; one of a filter nobody subscribed to makes a broker answer at once. Returns: its mid; 0: failed. */
int posta__mqtt_client_unsubscribe(struct posta__mqtt_client *client, const char *filter);
/* Stops it without a callback, without freeing: allowed anywhere. */
void posta__mqtt_client_stop(struct posta__mqtt_client *client);
/* Frees everything but the struct, in any phase, without waiting; never from a callback of its own. Idempotent. */
void posta__mqtt_client_close(struct posta__mqtt_client *client);
/* A call of the library is about to be made, and was made: callbacks inside of it do not write. */
void posta__mqtt_client_enter(struct posta__mqtt_client *client);
void posta__mqtt_client_exit(struct posta__mqtt_client *client, int rc);

#define POSTA__MQTT_PROBE "$posta/probe"

/* -- mqtt_library.c */

/* Makes client->mosq. Errors: ENOMEM, EINVAL. */
enum posta_err posta__mqtt_library_new(struct posta__mqtt_client *client, const struct posta__mqtt_client_options *how,
				       struct posta_error *error);

/* -- mqtt_properties.c */

/* A PUBLISH as libmosquitto takes it. */
struct posta__mqtt_packet {
	struct posta__wire_body body;
	mosquitto_property *properties; /* NULL for 3.1.1 */
};

/* Errors: EEXPIRED, ETOOBIG, EFORMAT, ENOMEM; packet holds nothing then. */
enum posta_err posta__mqtt_encode(const struct posta_envelope *envelope, enum posta_format format, bool mqtt5,
				  struct posta__mqtt_packet *packet);
void posta__mqtt_packet_fini(struct posta__mqtt_packet *packet);
/* Errors: ENOMEM, ETOOBIG. Returns: owned. */
enum posta_err posta__mqtt_decode(const struct mosquitto_message *message, const mosquitto_property *properties,
				  bool mqtt5, struct posta_envelope **envelope);
/* The broker's words for a reason code, with its Reason String if there is one. Returns: out. */
const char *posta__mqtt_reason(int reason, const mosquitto_property *properties, char *out, size_t size);

/* -- mqtt_saved.c */

/* Publications that are acknowledged and perhaps not saved, in the order of their acknowledgements. */
struct posta__mqtt_saved {
	uint64_t *ids; /* a ring */
	uint32_t capacity, first, count;
	uint32_t behind; /* of the oldest: acknowledged before the question under way was sent */
	uint32_t safe;   /* of those: before the question that was answered last */
	int mid;         /* of the question under way; 0: none */
};

/* Errors: ENOMEM. */
enum posta_err posta__mqtt_saved_init(struct posta__mqtt_saved *saved, uint32_t window);
/* There is room: at most window of them are unconfirmed. */
void posta__mqtt_saved_hold(struct posta__mqtt_saved *saved, uint64_t id);
/* Sends a question if one is due. */
void posta__mqtt_saved_ask(struct posta__mqtt_saved *saved, struct posta__mqtt_client *client);
/* An UNSUBACK. Returns: how many publications were confirmed by it. */
uint32_t posta__mqtt_saved_answered(struct posta__mqtt_saved *saved, struct posta_bridge *bridge, int mid);
void posta__mqtt_saved_fini(struct posta__mqtt_saved *saved);

/* -- mqtt_alias.c */

#define POSTA__MQTT_ALIASES_MAX 64u

struct posta__mqtt_aliases {
	char *topics[POSTA__MQTT_ALIASES_MAX]; /* the alias is the index + 1 */
	uint16_t count, room;
};

/* A connection begins: nothing is known to the broker, which allows so many. */
void posta__mqtt_aliases_begin(struct posta__mqtt_aliases *aliases, uint32_t wanted, uint16_t allowed);
/*
 * Returns: 0: none. is_new: the broker learns it by a packet with the topic, posta__mqtt_alias_known() when it is sent.
 */
uint16_t posta__mqtt_alias_of(struct posta__mqtt_aliases *aliases, const char *topic, bool *is_new);
void posta__mqtt_alias_known(struct posta__mqtt_aliases *aliases, const char *topic);
void posta__mqtt_aliases_fini(struct posta__mqtt_aliases *aliases);

/* -- mqtt_publish.c */

struct posta__mqtt_flight {
	uint64_t id;
	uint32_t bytes;
	uint8_t qos;
	bool used;
};

#define POSTA__MQTT_MIDS 65536u

struct posta__mqtt_publisher {
	struct posta__mqtt_client client;
	struct posta__mqtt *mqtt;
	struct posta__mqtt_flight *flights; /* by mid */
	uint32_t window;                    /* of QoS 1 and 2 */
	uint32_t unacked;                   /* QoS 1 and 2 that are not confirmed */
	uint32_t unwritten;                 /* QoS 0 in flight */
	size_t bytes;                       /* of all in flight: libmosquitto has a copy of each */
	struct posta__mqtt_saved saved;     /* with confirm_saved */
	struct posta__mqtt_aliases aliases;
	bool starved;  /* the core was offering more than fitted */
	bool announce; /* connected, and the core doesn't know yet */
};

enum posta_err posta__mqtt_publisher_init(struct posta__mqtt_publisher *publisher, struct posta__mqtt *mqtt,
					  struct posta_error *error);
size_t posta__mqtt_publisher_take(struct posta__mqtt_publisher *publisher, const struct posta_publication *const *batch,
				  size_t n);
void posta__mqtt_publisher_fini(struct posta__mqtt_publisher *publisher);

/* -- mqtt_slots.c */

#define POSTA__MQTT_SLOTS_MAX 65536u
#define POSTA__MQTT_NO_SLOT UINT32_MAX
#define POSTA__MQTT_NOBODYS_ID ((uint64_t)1 << 63) /* of a delivery that waits to be made again */

/* A delivery that is not settled. */
struct posta__mqtt_slot {
	uint64_t id; /* serial number << 16 | index; 0: free */
	struct posta_envelope *envelope;
	uint32_t next; /* of the free ones, or of those to be delivered again */
};

struct posta__mqtt_slots {
	struct posta__mqtt_slot *all;
	uint32_t count, used;
	uint32_t free; /* the first; begins as NO_SLOT */
	uint64_t serial;
};

/* Takes: envelope. Returns: borrowed, until the next one is taken; NULL when out of memory or beyond SLOTS_MAX. */
struct posta__mqtt_slot *posta__mqtt_slot_take(struct posta__mqtt_slots *slots, struct posta_envelope *envelope);
/* NULL where it is settled, or never was. */
struct posta__mqtt_slot *posta__mqtt_slot_find(const struct posta__mqtt_slots *slots, uint64_t id);
/* A fresh id for another delivery of the same. */
void posta__mqtt_slot_renew(struct posta__mqtt_slots *slots, struct posta__mqtt_slot *slot);
void posta__mqtt_slot_release(struct posta__mqtt_slots *slots, struct posta__mqtt_slot *slot);
void posta__mqtt_slots_fini(struct posta__mqtt_slots *slots);

/* -- mqtt_consume.c */

struct posta__mqtt_consumer;

/* Answers by posta_bridge_subscribed(), perhaps at once. */
void posta__mqtt_subscribe(struct posta__mqtt *mqtt, uint32_t subscription, const struct posta_source *source);
void posta__mqtt_unsubscribe(struct posta__mqtt *mqtt, uint32_t subscription);
void posta__mqtt_settle(struct posta__mqtt *mqtt, uint32_t subscription, const uint64_t *ids, size_t n,
			enum posta_outcome outcome);
void posta__mqtt_pause(struct posta__mqtt *mqtt, uint32_t subscription, bool paused);
/* Begins the orderly end of all; posta__mqtt_on_gone() for each. */
void posta__mqtt_consumers_finish(struct posta__mqtt *mqtt);
/* Frees those that are over. Never from within a callback. */
void posta__mqtt_consumers_sweep(struct posta__mqtt *mqtt);
bool posta__mqtt_consumers_gone(const struct posta__mqtt *mqtt);
void posta__mqtt_consumers_stop(struct posta__mqtt *mqtt);
void posta__mqtt_consumers_free(struct posta__mqtt *mqtt);

/* -- mqtt.c */

struct posta__mqtt {
	struct posta_bridge *bridge;
	struct ev_loop *loop;
	struct posta__mqtt_settings settings;
	struct posta__tls *tls; /* NULL: plain TCP */
	struct posta__resolve *resolve;
	struct addrinfo *addresses;
	struct posta__mqtt_publisher publisher;
	struct posta__mqtt_consumer *consumers;
	ev_timer sweep; /* frees consumers that are over, off their own stack */
	ev_timer resolving;
	bool forget; /* the client id is random: nobody can resume its sessions, so they end with us */
	bool failed, finishing, ended;
};

/* The connection is lost: the core is told once, nothing is done any more until close. */
void posta__mqtt_fail(struct posta__mqtt *mqtt, enum posta_err code, const char *text);
/* A client is over in the course of finish(). */
void posta__mqtt_on_gone(struct posta__mqtt *mqtt);
/* A consumer is over: it is freed soon. */
void posta__mqtt_sweep_soon(struct posta__mqtt *mqtt);

#endif
