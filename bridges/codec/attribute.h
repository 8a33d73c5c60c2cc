/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_ATTRIBUTE_H
#define POSTA_CODEC_ATTRIBUTE_H

/*
 * The names an envelope's attributes have in a CloudEvent, and their values as text: what the header and the JSON form
 * share. A kind below POSTA_ATTR_COUNT is that attribute. Thread: any.
 */

#include <posta/envelope.h>

enum posta__kind {
	POSTA__KIND_TIME = POSTA_ATTR_COUNT,
	POSTA__KIND_EXPIRY,
	POSTA__KIND_PRIORITY,
	POSTA__KIND_SPECVERSION,
	POSTA__KIND_FREE, /* none of ours */
	POSTA__KIND_COUNT = POSTA__KIND_FREE
};

/* "source", "partitionkey", ...; by enum posta__kind. */
extern const char *const posta__kind_names[POSTA__KIND_COUNT];

enum posta__kind posta__kind_of(const char *name, size_t len);

/*
 * The value of a kind as text; scratch holds those that are no text in the envelope. data NULL: absent.
 * SPECVERSION is "1.0" where id, source and type are all there, else absent.
 */
#define POSTA__KIND_SCRATCH 32
struct posta_bytes posta__kind_get(const struct posta_envelope *envelope, unsigned kind,
				   char scratch[POSTA__KIND_SCRATCH]);

/*
 * Takes a received value. Key, correlation, reply-to, content type and topic stay if they are there: a protocol's own
 * field comes before its echo in a header. Errors: EFORMAT (no such time or priority), ETOOBIG, ENOMEM.
 */
enum posta_err posta__kind_set(struct posta_envelope *envelope, unsigned kind, const void *value, size_t len);

#endif
