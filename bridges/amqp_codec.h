/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_AMQP_CODEC_H
#define POSTA_BRIDGES_AMQP_CODEC_H

/*
 * The properties of class basic and an envelope, both ways. Pure functions. Thread: any one at a time.
 * Source: bridges/codec/cloudevents.h says which attribute goes where.
 */

#include "bridges/amqp_frame.h"
#include "bridges/codec/cloudevents.h"

/* Where header names and values wait until the whole set is encoded: one frame holds no more than this. */
struct posta__amqp_scratch {
	uint8_t *bytes;
	size_t size, used;
};

/*
 * Encodes what goes with an envelope into out (size bytes): *len bytes of properties, and the body to send, which the
 * caller ends by posta__wire_body_fini(). now_ms: wall clock. Persistent always.
 * Errors: EEXPIRED, ETOOBIG (headers and properties do not fit into size or into their fields), EFORMAT, ENOMEM; with
 * words.
 */
enum posta_err posta__amqp_properties_encode(const struct posta_envelope *envelope, enum posta_format format,
					     int64_t now_ms, struct posta__amqp_scratch *scratch, uint8_t *out,
					     size_t size, size_t *len, struct posta__wire_body *body, const char **why);

/*
 * An envelope with everything but its body, from bytes that are checked here first. pool: for the decoder; recycled by
 * the caller. Errors: EFORMAT, ETOOBIG, ENOMEM; with words. Returns through *envelope: owned.
 */
enum posta_err posta__amqp_properties_decode(amqp_bytes_t properties, amqp_bytes_t routing_key, int64_t now_ms,
					     amqp_pool_t *pool, struct posta_envelope **envelope, const char **why);

#endif
