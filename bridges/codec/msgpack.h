/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_MSGPACK_H
#define POSTA_CODEC_MSGPACK_H

/*
 * Bodies from JSON to msgpack and back. Hostile input meets a bounded scan first. Thread: any.
 *
 * JSON to msgpack: integers stay integers (int64 or uint64), other numbers become doubles; members keep their order.
 * msgpack to JSON: bytes become base64 texts, timestamps RFC 3339 texts, other extensions base64 texts, numbers that
 * JSON lacks null, keys that are no text their JSON as text.
 */

#include "text.h"

/* Returns: owned in *out, free(). Errors: EFORMAT or ETOOBIG with the byte in error, ENOMEM. */
enum posta_err posta__json_to_msgpack(const void *json, size_t len, void **out, size_t *out_len,
				      struct posta_error *error);
/* Returns: owned in *out, free(), zero-terminated; *out_len without the zero. Errors: the same. */
enum posta_err posta__msgpack_to_json(const void *data, size_t len, char **out, size_t *out_len,
				      struct posta_error *error);

/* msgpack-c's write callback; context: struct posta__buffer. */
int posta__msgpack_write(void *context, const char *data, size_t len);

#endif
