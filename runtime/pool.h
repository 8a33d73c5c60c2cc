/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_POOL_H
#define POSTA_RUNTIME_POOL_H

/*
 * Message blocks of a worker: size classes of 64 to 4,096 bytes, each a stack of free blocks carved from arenas. The
 * small ones' stack is an array: so the next is known before the block on top is looked at, and blocks further down can
 * be fetched before their turn. A linked one made whoever sends many messages wait for the memory of each.
 * A block freed on another worker is gathered there and goes home in batches, at the latest before that worker
 * sleeps. With the option pools=false, and under AddressSanitizer, every block is a malloc of its own.
 */

#include <posta/message.h>
#include <posta/system.h>

#include <stdatomic.h>
#include <stdbool.h>

#define POSTA__CLASSES 7
#define POSTA__BLOCK_MAX (64u << (POSTA__CLASSES - 1))
#define POSTA__CLASS_MASK 0x07u
#define POSTA__CLASS_HEAP 0x07u /* a block of malloc's, of no worker */
#define POSTA__OWNER_HEAP 0xFFu
#define POSTA__RETURN_BATCH 64
#define POSTA__POOL_AHEAD 8 /* how far below the top a free block is fetched */

#define POSTA__BIT_STAMPED 0x08u  /* the last 8 bytes of its block are when it was sent; observe.h */
#define POSTA__BIT_SYSTEM 0x20u   /* for the runtime, never for a handler */
#define POSTA__BIT_REPLY 0x40u    /* answers the question ask_ of the receiver */
#define POSTA__BIT_DEADLINE 0x80u /* the last 8 bytes of its payload are a deadline, ns */
#define POSTA__BITS_SPECIAL (POSTA__BIT_REPLY | POSTA__BIT_DEADLINE)

struct posta__worker;

struct posta__arena {
	struct posta__arena *next;
	size_t size;
};

struct posta__pool {
	struct posta_message **top; /* of the small free blocks; under the lowest lies posta__pool_none */
	struct posta_message *none; /* all that the stack has before it has memory */
	struct posta_message *larger[POSTA__CLASSES - 1]; /* free blocks of the other classes, linked by next_ */
	struct posta_message **small;                     /* the stack's memory: room for all small blocks */
	uint32_t small_count, small_max;                  /* carved, and for how many there is room */
	struct posta_message *returned;                   /* small blocks that came home, not in the stack yet */
	struct posta_message *returning, *returning_last; /* small blocks of one other worker */
	uint32_t returning_count;
	size_t arena_next; /* bytes of the next arena: they double up to 2 MiB */
	char *arena_at, *arena_end;
	struct posta__arena *arenas;
};

/* Refills the class and returns one block; NULL when out of memory. */
struct posta_message *posta__pool_refill(struct posta__worker *worker, unsigned class_index);
/* Frees everything but a small block of the worker's own. */
void posta__pool_free_slow(struct posta__worker *worker, struct posta_message *message);
/* Sends gathered blocks home. */
void posta__pool_flush(struct posta__worker *worker);
void posta__pool_init(struct posta__worker *worker);
void posta__pool_fini(struct posta__worker *worker);

/* A block for size bytes, at most what the largest holds, header set but the sender. worker NULL: from the heap. */
struct posta_message *posta__block_new(struct posta__worker *worker, struct posta_system *system, uint32_t type,
				       size_t size);

/* The block of which payload is the payload. */
static inline struct posta_message *posta__payload_block(void *payload)
{
	return (struct posta_message *)payload - 1;
}

/* A block of malloc's with room for size bytes, for threads without a worker. NULL when out of memory. */
struct posta_message *posta__message_heap(struct posta_system *system, uint32_t type, size_t size);
/* A filled message for any thread; larger than a block: a slice. worker NULL: from the heap. */
struct posta_message *posta__message_copy(struct posta__worker *worker, struct posta_system *system, uint32_t type,
					  const void *data, size_t size);
/* Frees a message and what it carries, from the worker's thread (NULL: a foreign thread). */
void posta__message_release(struct posta__worker *worker, struct posta_system *system, struct posta_message *message);

#if defined(__SANITIZE_ADDRESS__) || !defined(POSTA_POOLS)
#define POSTA__POOLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POSTA__POOLED 0
#else
#define POSTA__POOLED 1
#endif
#else
#define POSTA__POOLED 1
#endif

#endif
