/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_ENVELOPE_H
#define POSTA_BRIDGES_ENVELOPE_H

/*
 * Inside an envelope: one allocation for the usual message. Attributes and headers are copied, each with a zero behind
 * it, into a small arena that begins in the same block and grows by chunks. Replaced values are only counted as waste;
 * when the waste outweighs what lives, everything moves to one fresh chunk, so that an envelope edited for ever stays
 * small.
 *
 * A copy made by posta_envelope_edit() does not copy the body: it keeps a reference to the envelope that owns it.
 */

#include <posta/envelope.h>

#include <stdatomic.h>

#define POSTA__ENVELOPE_INLINE 448u

struct posta__chunk {
	struct posta__chunk *next;
	uint32_t used;
	uint32_t size;
	char bytes[];
};

struct posta__header {
	const char *name;
	const char *value;
	uint16_t name_len;
	uint16_t value_len;
};

struct posta__view;

struct posta_envelope {
	/* All that letting go looks at: by then the rest may be in no cache any more. */
	_Atomic uint32_t refs;
	uint16_t header_count;
	uint16_t header_room;
	void (*release)(void *context); /* of the body */
	void *context;
	struct posta_envelope *body_owner; /* the one whose body this is, where it is another's */
	struct posta__chunk *chunks;       /* newest first */
	/* What posta_envelope_field() found out about the body; several threads may ask at once. */
	_Atomic(struct posta__view *) view;
	struct posta_bytes body;
	int64_t time_ms;
	int64_t expiry_ms;
	struct posta__header *headers;
	size_t used;   /* bytes handed out by the arena */
	size_t wasted; /* of these, no longer reachable */
	uint32_t inline_used;
	int8_t priority;
	uint16_t lengths[POSTA_ATTR_COUNT];
	const char *values[POSTA_ATTR_COUNT]; /* NULL: absent */
	char inline_bytes[POSTA__ENVELOPE_INLINE];
};

/* As the public ones, with the name's length given. */
enum posta_err posta__envelope_add_header(struct posta_envelope *envelope, const char *name, size_t name_len,
					  const void *value, size_t len);
struct posta_bytes posta__envelope_header(const struct posta_envelope *envelope, const char *name, size_t name_len);
/*
 * Memory in the envelope's own block, for the context of its body's release: it lives until the body goes. Aligned for
 * pointers. Returns: NULL when there is no room; a fresh envelope has some.
 */
void *posta__envelope_reserve(struct posta_envelope *envelope, size_t size);
/* envelope_cache.c. Returns: uninitialised; NULL when out of memory. */
void *posta__envelope_memory(void);
void posta__envelope_memory_free(void *memory);
/* After every change of the body or its type. */
void posta__envelope_forget_view(struct posta_envelope *envelope);
/* Frees what posta_envelope_field() keeps. NULL is allowed. */
void posta__view_free(struct posta__view *view);

/* A second reference of its maker's, while nobody else knows it: no other thread is to be kept out. */
static inline struct posta_envelope *posta__envelope_ref_own(struct posta_envelope *envelope)
{
	uint32_t refs = atomic_load_explicit(&envelope->refs, memory_order_relaxed);
	atomic_store_explicit(&envelope->refs, refs + 1, memory_order_relaxed);
	return envelope;
}

/* Whether anybody else holds it. */
static inline bool posta__envelope_shared(const struct posta_envelope *envelope)
{
	/* PAIRS with the release in unref: what the last other holder read was read before we change it. */
	return atomic_load_explicit(&((struct posta_envelope *)(uintptr_t)envelope)->refs, memory_order_acquire) > 1;
}

#endif
