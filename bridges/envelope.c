/* SPDX-License-Identifier: MIT */
#include "envelope.h"

#include "codec/cloudevents.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN 1024u
/* Below this much waste moving costs more than it gives back. */
#define WASTE_MIN 4096u

struct posta_envelope *posta_envelope_new(void)
{
	struct posta_envelope *envelope = posta__envelope_memory();
	if (!envelope)
		return NULL;
	memset(envelope, 0, offsetof(struct posta_envelope, inline_bytes));
	atomic_init(&envelope->refs, 1);
	atomic_init(&envelope->view, NULL);
	envelope->priority = POSTA_PRIORITY_NONE;
	envelope->time_ms = POSTA_TIME_NONE;
	envelope->expiry_ms = POSTA_TIME_NONE;
	return envelope;
}

struct posta_envelope *posta_envelope_ref(struct posta_envelope *envelope)
{
	/* Relaxed: the caller holds a reference already, so nothing is published by this one. */
	if (envelope)
		atomic_fetch_add_explicit(&envelope->refs, 1, memory_order_relaxed);
	return envelope;
}

void posta__envelope_forget_view(struct posta_envelope *envelope)
{
	/* Relaxed: there is none, or somebody else's came by the reference that we hold alone. */
	if (!atomic_load_explicit(&envelope->view, memory_order_relaxed))
		return;
	posta__view_free(atomic_exchange_explicit(&envelope->view, NULL, memory_order_acquire));
}

static void drop_body(struct posta_envelope *envelope)
{
	void (*release)(void *context) = envelope->release;
	void *context = envelope->context;
	struct posta_envelope *owner = envelope->body_owner;
	envelope->release = NULL;
	envelope->body_owner = NULL;
	envelope->body = (struct posta_bytes){ NULL, 0 };
	posta__envelope_forget_view(envelope);
	if (release)
		release(context);
	posta_envelope_unref(owner);
}

static void free_chunks(struct posta__chunk *chunk)
{
	while (chunk) {
		struct posta__chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
}

void posta_envelope_unref(struct posta_envelope *envelope)
{
	/*
	 * PAIRS with itself in other threads: release publishes what this holder did with the envelope to the one that
	 * frees it, acquire makes it see that. Weaker: memory freed while another thread's reads are still under way.
	 */
	if (!envelope)
		return;
	/* The only holder need not count down: nobody else is there who could. Acquire: as above. */
	if (atomic_load_explicit(&envelope->refs, memory_order_acquire) > 1 &&
	    atomic_fetch_sub_explicit(&envelope->refs, 1, memory_order_acq_rel) > 1)
		return;
	drop_body(envelope);
	free_chunks(envelope->chunks);
	posta__envelope_memory_free(envelope);
}

/* A new chunk with room for size bytes and, beyond, for half of what is there already. */
static struct posta__chunk *add_chunk(struct posta_envelope *envelope, size_t size)
{
	size_t room = envelope->used / 2 > CHUNK_MIN ? envelope->used / 2 : CHUNK_MIN;
	room = size > room ? size : room;
	struct posta__chunk *chunk = malloc(sizeof *chunk + room);
	if (!chunk)
		return NULL;
	chunk->used = 0;
	chunk->size = (uint32_t)room;
	chunk->next = envelope->chunks;
	envelope->chunks = chunk;
	return chunk;
}

static void *take(char *bytes, uint32_t *used, size_t room, size_t size, size_t alignment)
{
	size_t at = (*used + alignment - 1) & ~(alignment - 1);
	if (at > room || size > room - at)
		return NULL;
	*used = (uint32_t)(at + size);
	return bytes + at;
}

static_assert(offsetof(struct posta_envelope, inline_bytes) % alignof(void *) == 0, "arena is aligned");
static_assert(offsetof(struct posta__chunk, bytes) % alignof(void *) == 0, "chunks are aligned");

static void *arena_alloc(struct posta_envelope *envelope, size_t size, size_t alignment)
{
	void *memory = NULL;
	struct posta__chunk *chunk = envelope->chunks;
	if (chunk)
		memory = take(chunk->bytes, &chunk->used, chunk->size, size, alignment);
	else
		memory = take(envelope->inline_bytes, &envelope->inline_used, POSTA__ENVELOPE_INLINE, size, alignment);
	if (!memory && (chunk = add_chunk(envelope, size)))
		memory = take(chunk->bytes, &chunk->used, chunk->size, size, alignment);
	if (memory)
		envelope->used += size;
	return memory;
}

void *posta__envelope_reserve(struct posta_envelope *envelope, size_t size)
{
	return take(envelope->inline_bytes, &envelope->inline_used, POSTA__ENVELOPE_INLINE, size, alignof(void *));
}

static char *arena_copy(struct posta_envelope *envelope, const void *value, size_t len)
{
	char *copy = arena_alloc(envelope, len + 1, 1);
	if (!copy)
		return NULL;
	if (len)
		memcpy(copy, value, len);
	copy[len] = 0;
	return copy;
}

/* Copies attributes and headers of from to the arena of to, whose own are not looked at. */
static bool copy_texts(struct posta_envelope *to, const struct posta_envelope *from)
{
	struct posta__header *headers = NULL;
	const char *values[POSTA_ATTR_COUNT] = { NULL };
	for (int i = 0; i < POSTA_ATTR_COUNT; i++)
		if (from->values[i] && !(values[i] = arena_copy(to, from->values[i], from->lengths[i])))
			return false;
	if (from->header_count) {
		headers = arena_alloc(to, from->header_room * sizeof *headers, alignof(struct posta__header));
		if (!headers)
			return false;
	}
	for (size_t i = 0; i < from->header_count; i++) {
		headers[i] = from->headers[i];
		headers[i].name = arena_copy(to, headers[i].name, headers[i].name_len);
		headers[i].value = arena_copy(to, headers[i].value, headers[i].value_len);
		if (!headers[i].name || !headers[i].value)
			return false;
	}
	memcpy(to->values, values, sizeof values);
	memcpy(to->lengths, from->lengths, sizeof to->lengths);
	to->headers = headers;
	to->header_count = from->header_count;
	to->header_room = from->header_count ? from->header_room : 0;
	return true;
}

/* Moves what lives to a chunk of its own when most of the arena is waste. Out of memory: stays as it is. */
static void repack(struct posta_envelope *envelope)
{
	size_t live = envelope->used - envelope->wasted;
	if (envelope->wasted < WASTE_MIN || envelope->wasted < live)
		return;
	struct posta__chunk *old = envelope->chunks;
	if (!add_chunk(envelope, live + alignof(struct posta__header)))
		return;
	envelope->used = 0;
	envelope->wasted = 0;
	if (!copy_texts(envelope, envelope))
		return;
	for (struct posta__chunk *chunk = envelope->chunks; chunk; chunk = chunk->next)
		if (chunk->next == old)
			chunk->next = NULL;
	free_chunks(old);
}

enum posta_err posta_envelope_edit(struct posta_envelope **envelope)
{
	struct posta_envelope *old = *envelope;
	if (!posta__envelope_shared(old))
		return POSTA_OK;
	struct posta_envelope *copy = posta_envelope_new();
	if (!copy || !copy_texts(copy, old)) {
		posta_envelope_unref(copy);
		return POSTA_ENOMEM;
	}
	copy->priority = old->priority;
	copy->time_ms = old->time_ms;
	copy->expiry_ms = old->expiry_ms;
	copy->body = old->body;
	if (old->body.data)
		copy->body_owner = posta_envelope_ref(old->body_owner ? old->body_owner : old);
	posta_envelope_unref(old);
	*envelope = copy;
	return POSTA_OK;
}

enum posta_err posta_envelope_set(struct posta_envelope *envelope, enum posta_attribute attribute, const void *value,
				  size_t len)
{
	if ((unsigned)attribute >= POSTA_ATTR_COUNT)
		return POSTA_EINVAL;
	if (posta__envelope_shared(envelope))
		return POSTA_ESTATE;
	if (value && len > POSTA_ATTRIBUTE_MAX)
		return POSTA_ETOOBIG;
	const char *copy = value ? arena_copy(envelope, value, len) : NULL;
	if (value && !copy)
		return POSTA_ENOMEM;
	if (envelope->values[attribute])
		envelope->wasted += envelope->lengths[attribute] + 1u;
	envelope->values[attribute] = copy;
	envelope->lengths[attribute] = value ? (uint16_t)len : 0;
	if (attribute == POSTA_ATTR_CONTENT_TYPE)
		posta__envelope_forget_view(envelope);
	repack(envelope);
	return POSTA_OK;
}

enum posta_err posta_envelope_set_text(struct posta_envelope *envelope, enum posta_attribute attribute,
				       const char *text)
{
	return posta_envelope_set(envelope, attribute, text, text ? strlen(text) : 0);
}

struct posta_bytes posta_envelope_get(const struct posta_envelope *envelope, enum posta_attribute attribute)
{
	if ((unsigned)attribute >= POSTA_ATTR_COUNT)
		return (struct posta_bytes){ NULL, 0 };
	return (struct posta_bytes){ envelope->values[attribute], envelope->lengths[attribute] };
}

const char *posta_envelope_text(const struct posta_envelope *envelope, enum posta_attribute attribute)
{
	const char *text = posta_envelope_get(envelope, attribute).data;
	return text ? text : "";
}

void posta_envelope_set_time(struct posta_envelope *envelope, int64_t time_ms)
{
	if (!posta__envelope_shared(envelope))
		envelope->time_ms = time_ms;
}

int64_t posta_envelope_time(const struct posta_envelope *envelope)
{
	return envelope->time_ms;
}

void posta_envelope_set_expiry(struct posta_envelope *envelope, int64_t expiry_ms)
{
	if (!posta__envelope_shared(envelope))
		envelope->expiry_ms = expiry_ms;
}

int64_t posta_envelope_expiry(const struct posta_envelope *envelope)
{
	return envelope->expiry_ms;
}

void posta_envelope_set_priority(struct posta_envelope *envelope, int priority)
{
	if (!posta__envelope_shared(envelope))
		envelope->priority = (int8_t)(priority < 0 ? POSTA_PRIORITY_NONE : priority > 9 ? 9 : priority);
}

int posta_envelope_priority(const struct posta_envelope *envelope)
{
	return envelope->priority;
}

/* Small bodies live in what is left of the envelope's own block; they never move, so copies may point there. */
enum posta_err posta_envelope_set_body(struct posta_envelope *envelope, const void *data, size_t len)
{
	if (posta__envelope_shared(envelope))
		return POSTA_ESTATE;
	if (!data) {
		drop_body(envelope);
		return POSTA_OK;
	}
	char *own = len ? take(envelope->inline_bytes, &envelope->inline_used, POSTA__ENVELOPE_INLINE, len, 1) : NULL;
	bool heap = len && !own;
	if (heap && !(own = malloc(len)))
		return POSTA_ENOMEM;
	if (len)
		memcpy(own, data, len);
	drop_body(envelope);
	envelope->body = (struct posta_bytes){ len ? own : "", len };
	envelope->release = heap ? free : NULL;
	envelope->context = own;
	return POSTA_OK;
}

enum posta_err posta_envelope_wrap_body(struct posta_envelope *envelope, const void *data, size_t len,
					void (*release)(void *context), void *context)
{
	if (posta__envelope_shared(envelope)) {
		if (release)
			release(context);
		return POSTA_ESTATE;
	}
	drop_body(envelope);
	envelope->body = (struct posta_bytes){ data, data ? len : 0 };
	envelope->release = release;
	envelope->context = context;
	return POSTA_OK;
}

struct posta_bytes posta_envelope_body(const struct posta_envelope *envelope)
{
	return envelope->body;
}

static bool grow_headers(struct posta_envelope *envelope)
{
	size_t room = envelope->header_room ? envelope->header_room * 2u : 4u;
	struct posta__header *headers = arena_alloc(envelope, room * sizeof *headers, alignof(struct posta__header));
	if (!headers)
		return false;
	if (envelope->header_count)
		memcpy(headers, envelope->headers, envelope->header_count * sizeof *headers);
	envelope->wasted += envelope->header_room * sizeof *headers;
	envelope->headers = headers;
	envelope->header_room = (uint16_t)room;
	return true;
}

enum posta_err posta__envelope_add_header(struct posta_envelope *envelope, const char *name, size_t name_len,
					  const void *value, size_t len)
{
	if (posta__envelope_shared(envelope))
		return POSTA_ESTATE;
	if (envelope->header_count >= POSTA_HEADERS_MAX || name_len > POSTA_ATTRIBUTE_MAX || len > POSTA_ATTRIBUTE_MAX)
		return POSTA_ETOOBIG;
	/* Names are texts for C: what hostile peers put behind a zero is cut. */
	name_len = name_len ? strnlen(name, name_len) : 0;
	const char *name_copy = arena_copy(envelope, name, name_len);
	const char *value_copy = name_copy ? arena_copy(envelope, value, value ? len : 0) : NULL;
	if (!value_copy || (envelope->header_count == envelope->header_room && !grow_headers(envelope)))
		return POSTA_ENOMEM;
	envelope->headers[envelope->header_count++] = (struct posta__header){
		.name = name_copy,
		.value = value_copy,
		.name_len = (uint16_t)name_len,
		.value_len = (uint16_t)(value ? len : 0),
	};
	repack(envelope);
	return POSTA_OK;
}

enum posta_err posta_envelope_add_header(struct posta_envelope *envelope, const char *name, const void *value,
					 size_t len)
{
	return posta__envelope_add_header(envelope, name, strlen(name), value, len);
}

static bool has_name(const struct posta__header *header, const char *name, size_t name_len)
{
	return header->name_len == name_len && memcmp(header->name, name, name_len) == 0;
}

/* Drops those of that name among the first limit headers. */
static void remove_headers(struct posta_envelope *envelope, const char *name, size_t name_len, size_t limit)
{
	size_t kept = 0;
	for (size_t i = 0; i < envelope->header_count; i++) {
		struct posta__header *header = &envelope->headers[i];
		if (i < limit && has_name(header, name, name_len))
			envelope->wasted += header->name_len + header->value_len + 2u;
		else
			envelope->headers[kept++] = *header;
	}
	envelope->header_count = (uint16_t)kept;
}

/* Added first: value may be the very header that is replaced, and nothing is lost when memory is short. */
enum posta_err posta_envelope_put_header(struct posta_envelope *envelope, const char *name, const void *value,
					 size_t len)
{
	size_t name_len = strlen(name);
	size_t before = envelope->header_count;
	if (before == POSTA_HEADERS_MAX && !posta__envelope_shared(envelope) &&
	    posta__envelope_header(envelope, name, name_len).data && len <= POSTA_ATTRIBUTE_MAX) {
		char *copy = arena_copy(envelope, value, value ? len : 0);
		if (!copy)
			return POSTA_ENOMEM;
		envelope->wasted += len + 1;
		remove_headers(envelope, name, name_len, before);
		return posta__envelope_add_header(envelope, name, name_len, copy, len);
	}
	enum posta_err err = posta__envelope_add_header(envelope, name, name_len, value, len);
	if (!err)
		remove_headers(envelope, name, name_len, before);
	return err;
}

enum posta_err posta_envelope_remove_header(struct posta_envelope *envelope, const char *name)
{
	if (posta__envelope_shared(envelope))
		return POSTA_ESTATE;
	remove_headers(envelope, name, strlen(name), envelope->header_count);
	return POSTA_OK;
}

struct posta_bytes posta__envelope_header(const struct posta_envelope *envelope, const char *name, size_t name_len)
{
	for (size_t i = 0; i < envelope->header_count; i++)
		if (has_name(&envelope->headers[i], name, name_len))
			return (struct posta_bytes){ envelope->headers[i].value, envelope->headers[i].value_len };
	return (struct posta_bytes){ NULL, 0 };
}

struct posta_bytes posta_envelope_header(const struct posta_envelope *envelope, const char *name)
{
	return posta__envelope_header(envelope, name, strlen(name));
}

size_t posta_envelope_header_count(const struct posta_envelope *envelope)
{
	return envelope->header_count;
}

const char *posta_envelope_header_at(const struct posta_envelope *envelope, size_t index, struct posta_bytes *value)
{
	const struct posta__header *header = &envelope->headers[index];
	if (value)
		*value = (struct posta_bytes){ header->value, header->value_len };
	return header->name;
}

size_t posta_envelope_size(const struct posta_envelope *envelope)
{
	return envelope->used - envelope->wasted + envelope->body.len;
}

enum posta_err posta_envelope_complete(struct posta_envelope *envelope)
{
	if (posta__envelope_shared(envelope))
		return POSTA_ESTATE;
	if (envelope->time_ms == POSTA_TIME_NONE)
		envelope->time_ms = posta__wall_ms();
	if (envelope->values[POSTA_ATTR_ID])
		return POSTA_OK;
	char id[37];
	posta_uuid7(id);
	return posta_envelope_set(envelope, POSTA_ATTR_ID, id, sizeof id - 1);
}
