/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_INTEGRATION_LEGS_H
#define POSTA_TESTS_INTEGRATION_LEGS_H

/*
 * The six directed legs between three brokers, moved by a posta process of its own: the test publishes at the sources
 * and reads at the sinks, through bridges of its own on a system that it steps by hand.
 */

#include "brokers.h"

#include <posta/bridge.h>
#include <posta/system.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#define LEGS 6
#define MESSAGES 10000
#define KEYS 100
#define BODY_BYTES 256
#define WINDOW 1500 /* published and not arrived yet, for each leg */

struct leg {
	enum kit_kind from, to;
	char *from_name, *to_name;
	unsigned published, confirmed, arrived, duplicates, disordered, strangers;
	unsigned char seen[MESSAGES];
	int last[KEYS]; /* the newest number that arrived of a key */
};

struct legs {
	struct kit_broker *brokers[KIT_KIND_COUNT];
	struct posta_bridge *bridges[KIT_KIND_COUNT];
	struct posta_system *system;
	posta_ref driver;
	struct leg leg[LEGS];
	uint32_t subscriptions[LEGS];
	unsigned subscribed; /* sinks that are being read */
	unsigned refused;    /* publications that ended with an error */
	char refusal[POSTA_ERROR_TEXT_MAX];
	bool flowing, saved;
	char folder[64];
	char *group;
	pid_t posta;
};

/*
 * Starts everything up to the first message: readers are there, posta has subscribed to all sources. saved: what is
 * published to Mosquitto is confirmed when it has saved it (bridges/mqtt_saved.c).
 */
void legs_begin(struct legs *legs, struct kit_broker *const brokers[KIT_KIND_COUNT], bool saved);
/* Publishes and reads until so many have arrived in all, over all legs. Fails the test after timeout_ms. */
void legs_flow(struct legs *legs, unsigned arrived, uint64_t timeout_ms);
unsigned legs_arrived(const struct legs *legs);
/* kill -9 and start again, in mid-flow. */
void legs_kill(struct legs *legs, enum kit_kind kind);
/* Ends posta by SIGTERM. Returns: what it printed, owned, free(). Fails the test unless it ends with status 0. */
char *legs_end(struct legs *legs);
/* A figure of one object in posta's JSON: "bridges" or "routes". */
long legs_figure(const char *json, const char *list, const char *name, const char *figure);
/* Prints a line a leg, and checks that nothing is lost, strange or out of order. */
void legs_check(const struct legs *legs);
void legs_free(struct legs *legs);

extern const char *const legs_broker_names[KIT_KIND_COUNT];

#endif
