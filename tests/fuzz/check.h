/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_FUZZ_CHECK_H
#define POSTA_TESTS_FUZZ_CHECK_H

/* What a fuzz target may not find. */

#include "bridges/codec/cloudevents.h"
#include "bridges/codec/text.h"

#include <posta/envelope.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static inline void check_bytes(struct posta_bytes a, struct posta_bytes b)
{
	CHECK((a.data == NULL) == (b.data == NULL) && a.len == b.len);
	CHECK(a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A body that is a structured event is unpacked on its way, one that has white space around it may lose that. */
static inline bool changes_form(const struct posta_envelope *envelope)
{
	struct posta_bytes type = posta_envelope_get(envelope, POSTA_ATTR_CONTENT_TYPE);
	struct posta_bytes body = posta_envelope_body(envelope);
	const char *text = body.data;
	return posta__media_type_is(type, POSTA__CONTENT_TYPE_CLOUDEVENT) ||
	       posta__media_type_is(type, POSTA__CONTENT_TYPE_BATCH) ||
	       (body.len && (memchr(" \t\r\n", text[0], 4) || memchr(" \t\r\n", text[body.len - 1], 4)));
}

/* The nth header of that name. */
static inline struct posta_bytes nth_header(const struct posta_envelope *envelope, const char *name, size_t n)
{
	struct posta_bytes value;
	for (size_t i = 0; i < posta_envelope_header_count(envelope); i++)
		if (strcmp(posta_envelope_header_at(envelope, i, &value), name) == 0 && n-- == 0)
			return value;
	return (struct posta_bytes){ NULL, 0 };
}

/* The order of headers is looked at per name. */
static inline void check_same(const struct posta_envelope *a, const struct posta_envelope *b, bool topic)
{
	for (int i = 0; i < POSTA_ATTR_COUNT; i++)
		if (topic || i != POSTA_ATTR_TOPIC)
			check_bytes(posta_envelope_get(a, (enum posta_attribute)i),
				    posta_envelope_get(b, (enum posta_attribute)i));
	CHECK(posta_envelope_time(a) == posta_envelope_time(b));
	CHECK(posta_envelope_expiry(a) == posta_envelope_expiry(b));
	CHECK(posta_envelope_priority(a) == posta_envelope_priority(b));
	check_bytes(posta_envelope_body(a), posta_envelope_body(b));
	CHECK(posta_envelope_header_count(a) == posta_envelope_header_count(b));
	for (size_t i = 0; i < posta_envelope_header_count(a); i++) {
		struct posta_bytes value;
		const char *name = posta_envelope_header_at(a, i, &value);
		size_t nth = 0;
		for (size_t k = 0; k < i; k++)
			nth += strcmp(posta_envelope_header_at(a, k, NULL), name) == 0;
		check_bytes(value, nth_header(b, name, nth));
	}
}

#endif
