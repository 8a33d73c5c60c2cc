/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_BROKERS_BROKER_H
#define POSTA_TESTS_KIT_BROKERS_BROKER_H

/* What a broker is inside the kit; brokers.c and launch.c share it. */

#include <stdbool.h>
#include <sys/types.h>

#include "brokers/host.h"

struct kit_broker_options;

struct kit_kind_info {
	const char *name; /* its script is name.sh */
	const char *scheme;
	const char *shared;     /* environment: host:port of the run's broker */
	const char *shared_dir; /* environment: its folder, for kit_broker_ctl() */
	bool helper;
	bool (*probe)(int port, const char *user, const char *password);
};

struct kit_broker {
	const struct kit_kind_info *kind;
	char **env; /* the host's environment: ours and the options */
	char *user;
	char *password;
	char *vhost;
	bool tls;
	bool persistent; /* and what it is told is written after its answer */
	bool paused;
	int ready_ms;
	pid_t host; /* 0: not ours, named by the environment */
	int socket;
	char dir[160];
	int ports[KIT_PORTS];
	char url[512];
};

/* What the host says of the broker: up PID, down WAIT-STATUS, unprepared STATUS. */
struct kit_state {
	char word[16];
	long number;
};

/* Starts a host for it, which prepares and starts the broker; and ends it, which
 * returns when broker and folder are gone. */
void kit__launch(struct kit_broker *broker);
void kit__dismiss(struct kit_broker *broker);
struct kit_state kit__ask(struct kit_broker *broker, const char *order);
bool kit__is(struct kit_state state, const char *word);

/* The host's environment: ours, and the options as KIT_ variables. Owned. */
char **kit__environment(const struct kit_broker_options *options);
void kit__free_environment(char **env);

/* rabbitmq.sh ctl; what it printed (owned, free()) and its wait status. */
char *kit__run_ctl(const struct kit_broker *broker, const char *const arguments[], int *status);

/* Prints why, and the tail of the broker's log; broker may be NULL. */
_Noreturn void kit__end_test(struct kit_broker *broker, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The test ends where there is no memory. */
void *kit__must(void *memory);
char *kit__copy(const char *text);

#endif
