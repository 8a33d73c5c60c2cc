/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_RANDOM_ENVELOPE_H
#define POSTA_TESTS_RANDOM_ENVELOPE_H

/* Envelopes of every shape from a seed, and their comparison, for property tests. */

#include <posta/envelope.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline uint64_t next_random(uint64_t *seed)
{
	uint64_t z = (*seed += UINT64_C(0x9E3779B97F4A7C15));
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static inline size_t below(uint64_t *seed, size_t n)
{
	return (size_t)(next_random(seed) % n);
}

/* Plain words, all of UTF-8, control characters, or any bytes. */
static inline size_t random_value(uint64_t *seed, char *out, size_t max)
{
	static const char *const pieces[] = { "a",  "Z",  "0", ".", "/", "ñ", "€", "𝄞",
					      "\"", "\\", "%", ";", "+", "#", " ", "~" };
	size_t kind = below(seed, 8);
	size_t len = below(seed, kind == 0 ? max : 40 < max ? 40 : max);
	size_t at = 0;
	while (at < len) {
		const char *piece = pieces[below(seed, sizeof pieces / sizeof pieces[0])];
		if (kind < 5 && at + strlen(piece) > len)
			break;
		if (kind < 5) {
			memcpy(out + at, piece, strlen(piece));
			at += strlen(piece);
		} else {
			out[at++] = (char)(kind == 5 ? 1 + below(seed, 126) : next_random(seed));
		}
	}
	return at;
}

static inline void random_headers(uint64_t *seed, struct posta_envelope *envelope)
{
	static const char *const names[] = {
		"a",           "origen",   "mqtt_topic", "ce_id",    "ce-time",      "ce_other", "cloudEvents:id",
		"traceparent", "posta~x",  "posta~",     "x;base64", "content-type", "id",       "time",
		"topic",       "ñ",        "a b",        "tab\tin",  "idbase64",     "data",     "postaheaders",
		"specversion", "priority", "",           "%41",      "Content-Type"
	};
	char value[3000];
	for (size_t n = below(seed, 3) ? below(seed, 6) : below(seed, 40); n > 0; n--) {
		const char *name =
			below(seed, 2) ? names[below(seed, 2)] : names[below(seed, sizeof names / sizeof names[0])];
		size_t len = random_value(seed, value, sizeof value);
		assert_int_equal(posta_envelope_add_header(envelope, name, value, len), POSTA_OK);
	}
}

static inline void random_body(uint64_t *seed, struct posta_envelope *envelope)
{
	static const char *const json[] = { "{}",     "[1,2,{\"a\":null}]",
					    "null",   "\"texto ñ\"",
					    "-1.5e3", "{\"a\": {\"b\" : [ 1 ]}, \"c\":\"\\u00f1\"}" };
	static const char *const types[] = { "application/json",
					     "application/vnd.x+json; charset=utf-8",
					     "text/plain",
					     "application/octet-stream",
					     "",
					     "application/msgpack",
					     "\xFF/x" };
	char bytes[2000];
	if (below(seed, 4))
		posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE,
					types[below(seed, sizeof types / sizeof types[0])]);
	size_t kind = below(seed, 8);
	if (kind == 0)
		return;
	if (kind < 4) {
		const char *text = json[below(seed, sizeof json / sizeof json[0])];
		assert_int_equal(posta_envelope_set_body(envelope, text, strlen(text)), POSTA_OK);
	} else {
		/* White space around JSON is not kept, so none is made. */
		size_t len = random_value(seed, bytes, sizeof bytes);
		while (len && strchr(" \t\r\n", bytes[len - 1]))
			len--;
		size_t skip = 0;
		while (skip < len && strchr(" \t\r\n", bytes[skip]))
			skip++;
		assert_int_equal(posta_envelope_set_body(envelope, bytes + skip, len - skip), POSTA_OK);
	}
}

static inline struct posta_envelope *random_envelope(uint64_t *seed)
{
	struct posta_envelope *envelope = posta_envelope_new();
	char value[3000];
	assert_non_null(envelope);
	for (int i = 0; i < POSTA_ATTR_COUNT; i++)
		if (i != POSTA_ATTR_CONTENT_TYPE && below(seed, 3))
			assert_int_equal(posta_envelope_set(envelope, (enum posta_attribute)i, value,
							    random_value(seed, value, sizeof value)),
					 POSTA_OK);
	if (below(seed, 2))
		posta_envelope_set_time(envelope, (int64_t)(next_random(seed) % UINT64_C(253402300800000)));
	if (below(seed, 2))
		posta_envelope_set_expiry(envelope, (int64_t)(next_random(seed) % UINT64_C(253402300800000)));
	posta_envelope_set_priority(envelope, (int)below(seed, 11) - 1);
	random_headers(seed, envelope);
	random_body(seed, envelope);
	return envelope;
}

static inline void assert_same_bytes(struct posta_bytes a, struct posta_bytes b)
{
	assert_int_equal(a.data == NULL, b.data == NULL);
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.data, b.data, a.len);
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

/* grouped: the order of headers is kept per name only. */
static inline void assert_same_envelope(const struct posta_envelope *a, const struct posta_envelope *b, bool grouped)
{
	for (int i = 0; i < POSTA_ATTR_COUNT; i++)
		assert_same_bytes(posta_envelope_get(a, (enum posta_attribute)i),
				  posta_envelope_get(b, (enum posta_attribute)i));
	assert_int_equal(posta_envelope_time(a), posta_envelope_time(b));
	assert_int_equal(posta_envelope_expiry(a), posta_envelope_expiry(b));
	assert_int_equal(posta_envelope_priority(a), posta_envelope_priority(b));
	assert_same_bytes(posta_envelope_body(a), posta_envelope_body(b));
	assert_int_equal(posta_envelope_header_count(a), posta_envelope_header_count(b));
	for (size_t i = 0; i < posta_envelope_header_count(a); i++) {
		struct posta_bytes value;
		const char *name = posta_envelope_header_at(a, i, &value);
		struct posta_bytes other;
		if (!grouped) {
			assert_string_equal(name, posta_envelope_header_at(b, i, &other));
			assert_same_bytes(value, other);
			continue;
		}
		size_t nth = 0;
		for (size_t k = 0; k < i; k++)
			nth += strcmp(posta_envelope_header_at(a, k, NULL), name) == 0;
		assert_same_bytes(value, nth_header(b, name, nth));
	}
}

#endif
