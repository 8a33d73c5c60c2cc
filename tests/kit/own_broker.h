/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_OWN_BROKER_H
#define POSTA_TESTS_KIT_OWN_BROKER_H

/* Hooks of struct kit_bridge for a bridge whose suite has a broker of its own. One at a time in a program. */

#include "brokers.h"
#include "conformance.h"

/* A proxy is before it; what Kafka tells its clients is the proxy's address. */
void kit_own_start(enum kit_kind kind, const struct kit_broker_options *options);
void kit_own_stop(void);
const char *kit_own_url(void);
const char *kit_own_far_url(void);
void kit_own_fault(struct posta_system *system, enum kit_fault fault, size_t value);
/* A busy machine's broker may take its time behind a restart. */
void kit_own_patience(struct posta_bridge_options *options);
/* down by SIGKILL, down by SIGTERM, up. */
void kit_own_kill(struct posta_system *system);
void kit_own_shutdown(struct posta_system *system);
void kit_own_up(struct posta_system *system);
/* rabbitmqctl with these arguments, NULL-terminated. */
void kit_own_ctl(const char *const argv[]);

/* A name that nobody has used, for every bridge. */
void kit_fresh(char name[KIT_NAME_MAX], const char *prefix);

#endif
