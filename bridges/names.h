/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_NAMES_H
#define POSTA_BRIDGES_NAMES_H

/*
 * Names of topics, queues and routing keys: what each broker allows, how one is written as another's, and how filters
 * match. MQTT a/b is AMQP a.b is Kafka a.b; what a side can't hold is escaped, so that the way back gives the same
 * name. Pure functions. Thread: any.
 *
 * A name is a list of levels. MQTT and AMQP escape a byte as %HH, Kafka as _xHH (upper-case). A sequence that stands in
 * a name already is told apart by one more escape of its first character, and only where it would be taken for one:
 * "50%", "mqtt_topic" and "x_x41" stay as they are.
 */

#include <posta/error.h>

enum posta__name_kind {
	POSTA__NAME_KAFKA, /* topic: A-Z a-z 0-9 . _ -, 1 to 249 bytes, not "." nor ".." */
	POSTA__NAME_AMQP,  /* routing key or queue: UTF-8, 1 to 255 bytes */
	POSTA__NAME_MQTT   /* topic: UTF-8 without control characters, + and #, 1 to 65,535 bytes */
};

#define POSTA__KAFKA_TOPIC_MAX 249u
#define POSTA__AMQP_NAME_MAX 255u
#define POSTA__MQTT_TOPIC_MAX 65535u

/* Whether one may publish to it. Errors: EINVAL with the offending place. */
enum posta_err posta__name_check(enum posta__name_kind kind, const char *name, struct posta_error *error);
/*
 * Whether one may subscribe to it: MQTT filters with + and #, also behind $share/GROUP/; AMQP binding patterns. Kafka:
 * as posta__name_check. Errors: EINVAL.
 */
enum posta_err posta__filter_check(enum posta__name_kind kind, const char *filter, struct posta_error *error);

/*
 * Writes name as the other kind's; size is room in out with its zero. Errors: EINVAL (no such name), ETOOBIG (too long
 * for that broker, or for out), EUNSUPPORTED (has no form there: MQTT "/" would be Kafka's ".").
 */
enum posta_err posta__name_convert(enum posta__name_kind from, enum posta__name_kind to, const char *name, char *out,
				   size_t size, struct posta_error *error);
/*
 * The same for filters, between MQTT and AMQP: + is *, # is #. A $share/GROUP/ is not part of the filter: take it off
 * first. Errors: as above; EUNSUPPORTED: AMQP's # inside has no MQTT form, MQTT's level "*" has no AMQP form, Kafka has
 * none.
 */
enum posta_err posta__filter_convert(enum posta__name_kind from, enum posta__name_kind to, const char *filter,
				     char *out, size_t size, struct posta_error *error);

/* Behind "$share/GROUP/", or filter itself when it is not shared. group may be NULL. */
const char *posta__filter_unshare(const char *filter, const char **group, size_t *group_len);

/*
 * Whether topic is under filter, both valid. A wildcard in the first level does not match topics that begin with $; a
 * shared filter matches as what is behind its group. Source: MQTT 5, sections 4.7 and 4.8.2.
 */
bool posta__mqtt_match(const char *filter, const char *topic);
/* * is one word, # is none or more. Source: AMQP 0-9-1, section 3.1.3.3, as RabbitMQ does it ("" has no word). */
bool posta__amqp_match(const char *pattern, const char *key);

#endif
