/* SPDX-License-Identifier: MIT */
#ifndef POSTA_MESSAGE_H
#define POSTA_MESSAGE_H

/*
 * What actors send each other: a 64-byte block with a type, a sender and up to 32 bytes of payload inside;
 * larger payloads come from size classes, the largest from the heap, and a payload may be memory of
 * somebody else with a release hook (a broker's buffer): it is never copied.
 *
 * A handler borrows the message until it returns; posta_keep() makes it the handler's own.
 * The struct is public so that reading it costs no call; members that end in _ are the runtime's.
 */

#include <posta/error.h>
#include <posta/ref.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct posta_actor;

struct posta_message {
	struct posta_message *next_;
	posta_ref sender;     /* POSTA_NOBODY when it came from outside */
	uint32_t type;        /* the sender's word for it; types from 0x7FFE0000 on are posta's own */
	uint32_t ask_;        /* not 0: somebody waits for a reply */
	uint32_t generation_; /* of the receiver */
	uint16_t size_;
	uint8_t owner_;
	uint8_t bits_;
#ifdef __GNUC__
	__extension__ /* C++ has no such array */
#endif
		unsigned char payload_[]; /* 8-byte aligned */
};

/* Bytes that fit into the smallest block, and the most a block carries inside. */
#define POSTA_INLINE_MAX 32u
#define POSTA_COPY_MAX (UINT32_C(1) << 30)

/* The payload of a message that carries somebody else's memory. */
struct posta_slice {
	void *data;
	size_t size;                                /* bytes */
	void (*release)(void *data, void *context); /* once, by the last holder, on any thread; may be NULL */
	void *context;
};

#define POSTA_BIT_SLICE_ 0x10u

/* Borrows: as long as the message. 8-byte aligned unless it is a slice of other memory. */
static inline void *posta_data(const struct posta_message *message)
{
	return message->bits_ & POSTA_BIT_SLICE_ ? ((const struct posta_slice *)(const void *)message->payload_)->data
						 : (void *)(uintptr_t)message->payload_;
}

/* Bytes of the payload. */
static inline size_t posta_size(const struct posta_message *message)
{
	return message->bits_ & POSTA_BIT_SLICE_ ? ((const struct posta_slice *)(const void *)message->payload_)->size
						 : message->size_;
}

/*
 * A message to be filled through posta_data() and sent by posta_post(). Contents undefined.
 * Thread: the actor's own. Returns: owned; NULL when out of memory or size > POSTA_COPY_MAX.
 */
struct posta_message *posta_message_new(struct posta_actor *self, uint32_t type, size_t size);
/* The same around memory that is handed over. Takes: slice (its release is called on failure too). */
struct posta_message *posta_message_wrap(struct posta_actor *self, uint32_t type, const struct posta_slice *slice);
/* Frees a message that was made or kept and not posted. NULL is allowed. */
void posta_message_free(struct posta_actor *self, struct posta_message *message);
/*
 * Makes the message in work the handler's own: it may be posted again, kept, or freed. A reply is a message like any
 * other from then on. Returns: owned, the same block; no copy. Thread: the actor's own, inside its handler.
 */
struct posta_message *posta_keep(struct posta_actor *self, struct posta_message *message);

#ifdef __cplusplus
}
#endif
#endif
