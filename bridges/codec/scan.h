/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_SCAN_H
#define POSTA_CODEC_SCAN_H

/*
 * The bounded look at hostile input, before anything is built from it: nesting at most POSTA__DEPTH_MAX, counts that
 * the remaining bytes can hold, UTF-8 where text is promised. And a walk over JSON text that passed, in place, without
 * building a tree. Thread: any. Source: RFC 8259 and the MessagePack specification (2017).
 */

#include <posta/envelope.h>

#define POSTA__DEPTH_MAX 32
/* A document larger than this is refused whatever the caller would take. */
#define POSTA__DOCUMENT_MAX (UINT32_C(64) << 20)
/* Objects in a msgpack document: msgpack-c makes 24 bytes of each, whose input may be a single one. */
#define POSTA__OBJECTS_MAX (UINT32_C(1) << 20)

/*
 * Exactly one JSON value with white space around. *offset: where it went wrong (may be NULL). Returns: OK, EFORMAT,
 * ETOOBIG.
 */
enum posta_err posta__json_scan(const void *data, size_t len, size_t *offset);
/* The same, with words in error. */
enum posta_err posta__json_check(const void *data, size_t len, struct posta_error *error);
/* Exactly one msgpack object; strings are UTF-8, map keys anything. */
enum posta_err posta__msgpack_scan(const void *data, size_t len, size_t *offset);

/* The span of the value in a text that passed the scan, without the white space around it. */
struct posta_bytes posta__json_value(const void *data, size_t len);

/* Walks the members of an object, or the elements of an array, of a text that passed the scan. */
struct posta__json_walk {
	const char *at;
	const char *end;
	struct posta_bytes name;  /* of a member, with its quotes; data NULL in an array */
	struct posta_bytes value; /* raw */
	bool object;
};
/* Returns: false when value is neither. */
bool posta__json_walk(struct posta__json_walk *walk, struct posta_bytes value);
bool posta__json_next(struct posta__json_walk *walk);
/* The member of that name, the last where it repeats; data NULL where there is none. */
struct posta_bytes posta__json_member(struct posta_bytes object, const char *name, size_t name_len);
/* Whether a raw value is a string. */
bool posta__json_is_text(struct posta_bytes raw);
/* Whether a raw string stands for this text. */
bool posta__json_equal(struct posta_bytes string, const char *text, size_t len);
/*
 * Writes what a raw string stands for; out has room for its raw length. A lone surrogate becomes U+FFFD. Returns:
 * bytes.
 */
size_t posta__json_unescape(struct posta_bytes string, char *out);

#endif
