/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_AMQP_FRAME_H
#define POSTA_BRIDGES_AMQP_FRAME_H

/*
 * AMQP 0-9-1 frames: cut out of hostile bytes, checked before the library's decoder sees them, and written.
 * Pure functions over the caller's memory. Thread: any.
 * Source: AMQP 0-9-1 specification, 2.3 "Frame Details", 4.2 "Wire-Level Format".
 */

#include <amqp.h>
#include <amqp_framing.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POSTA__AMQP_FRAME_HEADER 7u   /* type, channel, size */
#define POSTA__AMQP_FRAME_OVERHEAD 8u /* and the end byte */
#define POSTA__AMQP_TABLE_DEPTH_MAX 32u

struct posta__amqp_limits {
	uint32_t frame_max; /* bytes of a whole frame */
	uint16_t channel_max;
};

struct posta__amqp_frame {
	uint8_t type;
	uint16_t channel;
	const uint8_t *payload; /* borrowed from the bytes it was cut from */
	uint32_t size;
};

enum posta__amqp_cut {
	POSTA__AMQP_CUT_MORE,  /* no whole frame yet */
	POSTA__AMQP_CUT_FRAME, /* frame->size + POSTA__AMQP_FRAME_OVERHEAD bytes are used up */
	POSTA__AMQP_CUT_BAD    /* not AMQP, or larger than agreed: *why says so (static text) */
};

/* Cuts the first frame off len bytes. A bad one is recognised by its head: its payload is never waited for. */
enum posta__amqp_cut posta__amqp_frame_cut(const uint8_t *bytes, size_t len, const struct posta__amqp_limits *limits,
					   struct posta__amqp_frame *frame, const char **why);

/* The payload of a content header, as far as it is read before the properties are decoded. */
struct posta__amqp_content_header {
	uint16_t class_id;
	uint64_t body_size;
	amqp_bytes_t properties; /* for amqp_decode_properties; borrowed */
};

/* False: shorter than its fixed part, or not of class basic. */
bool posta__amqp_header_read(const struct posta__amqp_frame *frame, struct posta__amqp_content_header *header);

/*
 * Whether amqp_decode_properties may see these bytes: lengths inside, tables no deeper than the limit, one word of
 * flags.
 */
bool posta__amqp_properties_ok(const void *bytes, size_t len);
/* The same for a table with its 4 bytes of length in front; len may be more than the table. */
bool posta__amqp_table_ok(const void *bytes, size_t len);

/* Whether amqp_decode_method may see this method: one that a broker sends to a client, its tables checked. */
bool posta__amqp_method_ok(const struct posta__amqp_frame *frame, amqp_method_number_t *method);

/*
 * The head of a frame, and its end byte behind size bytes of payload. out: room for size + POSTA__AMQP_FRAME_OVERHEAD.
 */
void posta__amqp_frame_close(uint8_t *out, uint8_t type, uint16_t channel, uint32_t size);

/* Big-endian numbers. */
static inline uint32_t posta__amqp_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void posta__amqp_put32(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 24);
	p[1] = (uint8_t)(value >> 16);
	p[2] = (uint8_t)(value >> 8);
	p[3] = (uint8_t)value;
}

static inline uint16_t posta__amqp_get16(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline void posta__amqp_put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

#endif
