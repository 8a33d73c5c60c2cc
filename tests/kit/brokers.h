/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_BROKERS_H
#define POSTA_TESTS_KIT_BROKERS_H

/*
 * Real brokers for tests: Kafka, RabbitMQ and Mosquitto, each on free loopback
 * ports with all its state in one temporary folder.
 *
 * A broker is the child of a small host process (kit_host.c) and the host
 * watches a socket held by the test. However the test ends (return, crash,
 * kill -9), the host kills the broker, waits for it and removes the folder.
 *
 * Thread: one broker is used by one thread at a time; kit_unique() by any.
 * Errors: none are returned. What cannot be done ends the test program with
 *         the tail of the broker's log. A broker which is not installed ends it
 *         with status 77 (skipped), or with a failure if POSTA_TEST_REQUIRE is
 *         set in the environment, as scripts/test does.
 */

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kit_kind { KIT_KAFKA, KIT_RABBITMQ, KIT_MOSQUITTO };
#define KIT_KIND_COUNT 3

/* How the client is to come in; what a broker offers depends on its options. */
enum kit_door {
	KIT_PLAIN, /* TCP, as in kit_broker_url() */
	KIT_TLS,   /* server certificate only: needs options.tls */
	KIT_MTLS,  /* client certificate required: needs options.tls */
	KIT_SASL,  /* Kafka only, SASL_PLAINTEXT: needs options.user */
};

/* What is wrong with the broker's certificate. */
enum kit_certificate {
	KIT_CERT_GOOD,
	KIT_CERT_EXPIRED,  /* yesterday */
	KIT_CERT_ELSEWHERE /* for another host */
};

/* Zero is the default of every field. Strings are borrowed during the call. */
struct kit_broker_options {
	/* Mosquitto: write each change to disk, so that queued messages, sessions
	 * and retained messages outlive kill -9. Kafka and RabbitMQ always do
	 * (RabbitMQ for persistent messages in durable queues). By itself Mosquitto
	 * acknowledges first and writes some milliseconds later; kit_broker_kill9()
	 * lets it finish that. */
	bool persistent;

	/* Lines to be added to the broker's own configuration file. */
	const char *config;

	/* A password is asked for. Mosquitto: anonymous clients are refused.
	 * RabbitMQ: this user instead of guest. Kafka: one more listener, KIT_SASL,
	 * for this user by PLAIN, and for "scram", "scram-secret" by SCRAM-SHA-256
	 * and -512. Both or neither. */
	const char *user;
	const char *password;

	/* RabbitMQ: the virtual host of the URL, instead of "/". [A-Za-z0-9_.-]+ */
	const char *vhost;

	/* Kafka: topics are not made on first use (they are by default, with
	 * this many partitions, default 1). */
	bool no_auto_create;
	int partitions;

	/* Kafka: the broker's message.max.bytes. Mosquitto: its
	 * max_packet_size. RabbitMQ: its max_message_size. In bytes. */
	int message_bytes_max;

	/* Kafka: another version than 4.4.0. librdkafka before 2.6.1 cannot do SCRAM
	 * with brokers after 3.8.0; with "3.7.2" it can. First use fetches it. */
	const char *version;

	/* Also listen with TLS: KIT_TLS and KIT_MTLS. See kit_broker_file(). RabbitMQ
	 * has one setting for both, and checks a certificate if there is one: to have
	 * it required, add "ssl_options.fail_if_no_peer_cert = true" to config. */
	bool tls;
	enum kit_certificate certificate;

	/* Milliseconds until it must be ready, default 90,000. */
	int ready_ms;
};

struct kit_broker;

/*
 * A broker of one's own: start it and wait until it answers its protocol.
 * kit_broker_begin() does not wait, so that several come up side by side;
 * kit_broker_wait() must be the next call on what it returns.
 * Returns: owned, to be ended by kit_broker_stop()
 */
struct kit_broker *kit_broker_start(enum kit_kind kind, const struct kit_broker_options *options);
struct kit_broker *kit_broker_begin(enum kit_kind kind, const struct kit_broker_options *options);
void kit_broker_wait(struct kit_broker *broker);

/*
 * The broker of the whole test run: the one named by POSTA_TEST_KAFKA,
 * POSTA_TEST_AMQP or POSTA_TEST_MQTT (host:port), else one started on first use
 * for this process. Others use it too: take every topic, queue, exchange and
 * client id from kit_unique(), and neither kill nor freeze nor restart it.
 * Returns: borrowed, until the process ends
 */
struct kit_broker *kit_broker_shared(enum kit_kind kind);

/* kafka://127.0.0.1:P, amqp://user:password@127.0.0.1:P[/vhost],
 * mqtt://[user:password@]127.0.0.1:P. Returns: borrowed, until stop */
const char *kit_broker_url(const struct kit_broker *broker);
int kit_broker_port(const struct kit_broker *broker);
int kit_broker_door(const struct kit_broker *broker, enum kit_door door);

/* The path of a file in the broker's folder: "log", and with options.tls
 * "tls/ca.pem", "tls/client.pem", "tls/client.key" (good for localhost and
 * 127.0.0.1) and "tls/stranger.pem", "tls/stranger.key" (a client which that CA
 * did not sign). Returns: owned, free() */
char *kit_broker_file(const struct kit_broker *broker, const char *name);

/* Faults. Each returns when it has happened; kill9 and shutdown (SIGTERM)
 * return when the process is gone. */
void kit_broker_kill9(struct kit_broker *broker);
void kit_broker_shutdown(struct kit_broker *broker);
void kit_broker_pause(struct kit_broker *broker); /* SIGSTOP */
void kit_broker_cont(struct kit_broker *broker);  /* SIGCONT */

/* Start it again after kill9 or shutdown: same ports, same data, waits until
 * ready. restart = shutdown if it runs, then start_again. */
void kit_broker_start_again(struct kit_broker *broker);
void kit_broker_restart(struct kit_broker *broker);

/* Process id, 0 while it is down; and whether it runs (frozen counts). */
long kit_broker_pid(struct kit_broker *broker);
bool kit_broker_runs(struct kit_broker *broker);

/* RabbitMQ: rabbitmqctl with these arguments (NULL-terminated, without the
 * program's name), 0.8 s a call; a failure ends the test.
 * kit_broker_ctl_output() returns what it printed: owned, free(). */
void kit_broker_ctl(struct kit_broker *broker, const char *const argv[]);
char *kit_broker_ctl_output(struct kit_broker *broker, const char *const argv[]);

/* Stop it (it is killed: its data go anyway), wait until it and its folder are
 * gone, free. NULL and what kit_broker_shared() gave from the environment: fine. */
void kit_broker_stop(struct kit_broker *broker);

/* prefix, "-", and letters and digits which no other call on any machine gives.
 * Legal as a Kafka topic or group, an AMQP name, an MQTT client id and one MQTT
 * topic level if prefix is. Returns: owned, free() */
char *kit_unique(const char *prefix);

#ifdef __cplusplus
}
#endif

#endif
