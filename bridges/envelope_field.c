/* SPDX-License-Identifier: MIT */
/*
 * Fields of an envelope by path. No tree is built: the first question makes sure that the body is JSON (or turns
 * msgpack into it), every question walks the text. Answers point into the body where they can; what needs memory (texts
 * with escapes, times) is kept in a list, once per place, until the body changes. An envelope that is shared may be
 * asked by several threads: both the view and its list only ever grow, by compare and exchange.
 */
#include "codec/attribute.h"
#include "codec/msgpack.h"
#include "codec/number.h"
#include "codec/scan.h"
#include "envelope.h"

#include <stdlib.h>
#include <string.h>

struct kept {
	struct kept *next;
	const void *place; /* what it was made from */
	size_t len;
	char text[];
};

struct posta__view {
	struct posta_bytes root; /* the body's JSON value; data NULL: none */
	struct posta_bytes data; /* what "data" names */
	char *json;              /* of a msgpack body */
	_Atomic(struct kept *) kept;
};

void posta__view_free(struct posta__view *view)
{
	if (!view)
		return;
	/* Relaxed: the only holder of the envelope is left. */
	struct kept *kept = atomic_load_explicit(&view->kept, memory_order_relaxed);
	while (kept) {
		struct kept *next = kept->next;
		free(kept);
		kept = next;
	}
	free(view->json);
	free(view);
}

static bool is_string(struct posta_bytes value)
{
	return value.len >= 2 && *(const char *)value.data == '"';
}

/* An event, ours or as a plain Node service writes it, carries its data in a member; another body is data itself. */
static struct posta_bytes find_data(struct posta_bytes root)
{
	struct posta_bytes data = { NULL, 0 };
	struct posta__json_walk walk;
	bool event = false;
	if (!posta__json_walk(&walk, root) || !walk.object)
		return root;
	while (posta__json_next(&walk)) {
		if (posta__json_equal(walk.name, "data", 4))
			data = walk.value;
		event |= is_string(walk.value) &&
			 (posta__json_equal(walk.name, "specversion", 11) || posta__json_equal(walk.name, "type", 4));
	}
	return data.data && event ? data : root;
}

static bool looks_like_map(struct posta_bytes body)
{
	unsigned first = body.len ? *(const unsigned char *)body.data : 0;
	return (first >= 0x80 && first < 0xA0) || (first >= 0xDC && first <= 0xDF);
}

/* Errors: ENOMEM. A body that is neither JSON nor msgpack has no root. */
static enum posta_err find_root(const struct posta_envelope *envelope, struct posta__view *view)
{
	struct posta_bytes type = posta_envelope_get(envelope, POSTA_ATTR_CONTENT_TYPE);
	struct posta_bytes body = envelope->body;
	if (posta__media_type_msgpack(type) || (!type.data && looks_like_map(body))) {
		size_t len;
		enum posta_err err = posta__msgpack_to_json(body.data, body.len, &view->json, &len, NULL);
		if (!err)
			view->root = (struct posta_bytes){ view->json, len };
		return err == POSTA_ENOMEM ? err : POSTA_OK;
	}
	if (posta__json_scan(body.data, body.len, NULL) == POSTA_OK)
		view->root = posta__json_value(body.data, body.len);
	return POSTA_OK;
}

static struct posta__view *make_view(const struct posta_envelope *envelope)
{
	struct posta__view *view = calloc(1, sizeof *view);
	if (!view)
		return NULL;
	atomic_init(&view->kept, NULL);
	if (find_root(envelope, view)) {
		posta__view_free(view);
		return NULL;
	}
	if (view->root.data)
		view->data = find_data(view->root);
	return view;
}

static struct posta__view *get_view(struct posta_envelope *envelope)
{
	/* PAIRS with the release below: the view's contents are there when its address is. */
	struct posta__view *view = atomic_load_explicit(&envelope->view, memory_order_acquire);
	if (view)
		return view;
	struct posta__view *made = make_view(envelope);
	/* Release publishes what made holds; acquire on failure: another thread was first and its view is used. */
	if (made && !atomic_compare_exchange_strong_explicit(&envelope->view, &view, made, memory_order_acq_rel,
							     memory_order_acquire)) {
		posta__view_free(made);
		return view;
	}
	return made;
}

static struct kept *find_kept(struct kept *kept, const void *place)
{
	while (kept && kept->place != place)
		kept = kept->next;
	return kept;
}

/* Two threads may keep the same text twice: harmless, and bounded by their number. */
static void push_kept(struct posta__view *view, struct kept *kept)
{
	kept->next = atomic_load_explicit(&view->kept, memory_order_relaxed);
	/* PAIRS with the acquire of those who look for it: its text is written before it can be found. */
	while (!atomic_compare_exchange_weak_explicit(&view->kept, &kept->next, kept, memory_order_release,
						      memory_order_relaxed))
		;
}

static struct posta_bytes plain_text(struct posta__view *view, struct posta_bytes string)
{
	const char *inside = (const char *)string.data + 1;
	size_t len = string.len - 2;
	if (!memchr(inside, '\\', len))
		return (struct posta_bytes){ inside, len };
	struct kept *kept = find_kept(atomic_load_explicit(&view->kept, memory_order_acquire), inside);
	if (!kept) {
		kept = malloc(sizeof *kept + len);
		if (!kept)
			return (struct posta_bytes){ NULL, 0 };
		kept->place = inside;
		kept->len = posta__json_unescape(string, kept->text);
		push_kept(view, kept);
	}
	return (struct posta_bytes){ kept->text, kept->len };
}

static struct posta_value text_value(struct posta_bytes text)
{
	return (struct posta_value){ .kind = text.data ? POSTA_VALUE_TEXT : POSTA_VALUE_NONE, .text = text };
}

static struct posta_value number_value(struct posta_bytes raw)
{
	struct posta__number number = posta__number_parse(raw);
	if (number.kind == POSTA__INTEGER)
		return (struct posta_value){ .kind = POSTA_VALUE_INT,
					     .integer = number.integer,
					     .number = number.number };
	return (struct posta_value){ .kind = POSTA_VALUE_DOUBLE, .number = number.number };
}

static struct posta_value to_value(struct posta__view *view, struct posta_bytes raw)
{
	switch (raw.len ? *(const char *)raw.data : 0) {
	case 0:
		return (struct posta_value){ .kind = POSTA_VALUE_NONE };
	case '"':
		return text_value(plain_text(view, raw));
	case '{':
	case '[':
		return (struct posta_value){ .kind = POSTA_VALUE_JSON, .text = raw };
	case 't':
	case 'f':
		return (struct posta_value){ .kind = POSTA_VALUE_BOOL, .boolean = *(const char *)raw.data == 't' };
	case 'n':
		return (struct posta_value){ .kind = POSTA_VALUE_NULL };
	default:
		return number_value(raw);
	}
}

static struct posta_bytes element(struct posta_bytes array, const char *index, size_t len)
{
	static const struct posta_bytes none = { NULL, 0 };
	struct posta__json_walk walk;
	size_t wanted = 0;
	for (size_t i = 0; i < len; i++) {
		if (index[i] < '0' || index[i] > '9' || len > 9)
			return none;
		wanted = wanted * 10 + (size_t)(index[i] - '0');
	}
	if (!len || !posta__json_walk(&walk, array))
		return none;
	while (posta__json_next(&walk))
		if (wanted-- == 0)
			return walk.value;
	return none;
}

/* path: "a.b.0" below value. */
static struct posta_bytes descend(struct posta_bytes value, const char *path)
{
	while (value.len) {
		size_t len = strcspn(path, ".");
		if (*(const char *)value.data == '[')
			value = element(value, path, len);
		else
			value = posta__json_member(value, path, len);
		if (!path[len])
			break;
		path += len + 1;
	}
	return value;
}

/* A member that is called "a.b" is found before a member b of a. */
static struct posta_value body_field(struct posta_envelope *envelope, bool root, const char *path)
{
	struct posta__view *view = envelope->body.len ? get_view(envelope) : NULL;
	if (!view)
		return (struct posta_value){ .kind = POSTA_VALUE_NONE };
	struct posta_bytes top = root ? view->root : view->data;
	if (!path)
		return to_value(view, top);
	struct posta_bytes whole = posta__json_member(top, path, strlen(path));
	return to_value(view, whole.data ? whole : descend(top, path));
}

/* The body as a whole: its JSON value, or the text that it is. */
static struct posta_value whole_data(struct posta_envelope *envelope)
{
	struct posta_value value = body_field(envelope, false, NULL);
	if (value.kind != POSTA_VALUE_NONE || !envelope->body.data ||
	    !posta__utf8_valid(envelope->body.data, envelope->body.len))
		return value;
	return text_value(envelope->body);
}

static const struct alias {
	const char *name;
	unsigned kind;
} aliases[] = {
	{ "content_type", POSTA_ATTR_CONTENT_TYPE },
	{ "key", POSTA_ATTR_KEY },
	{ "correlation_id", POSTA_ATTR_CORRELATION_ID },
	{ "reply_to", POSTA_ATTR_REPLY_TO },
	{ "expiry", POSTA__KIND_EXPIRY },
};

static unsigned kind_of(const char *path)
{
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (strcmp(path, aliases[i].name) == 0)
			return aliases[i].kind;
	return posta__kind_of(path, strlen(path));
}

/* Times as text, kept with the view: a new text for each value they had. */
static struct posta_value time_value(struct posta_envelope *envelope, const int64_t *time_ms)
{
	char text[25];
	struct posta__view *view = get_view(envelope);
	if (!view)
		return (struct posta_value){ .kind = POSTA_VALUE_NONE };
	posta_time_format(*time_ms, text);
	struct kept *kept = atomic_load_explicit(&view->kept, memory_order_acquire);
	while ((kept = find_kept(kept, time_ms)) && memcmp(kept->text, text, sizeof text) != 0)
		kept = kept->next;
	if (!kept) {
		kept = malloc(sizeof *kept + sizeof text);
		if (!kept)
			return (struct posta_value){ .kind = POSTA_VALUE_NONE };
		memcpy(kept->text, text, sizeof text);
		kept->place = time_ms;
		kept->len = sizeof text - 1;
		push_kept(view, kept);
	}
	return text_value((struct posta_bytes){ kept->text, kept->len });
}

static struct posta_value attribute(struct posta_envelope *envelope, unsigned kind)
{
	switch (kind) {
	case POSTA__KIND_TIME:
		if (envelope->time_ms != POSTA_TIME_NONE)
			return time_value(envelope, &envelope->time_ms);
		break;
	case POSTA__KIND_EXPIRY:
		if (envelope->expiry_ms != POSTA_TIME_NONE)
			return time_value(envelope, &envelope->expiry_ms);
		break;
	case POSTA__KIND_PRIORITY:
		if (envelope->priority >= 0)
			return (struct posta_value){ .kind = POSTA_VALUE_INT,
						     .integer = envelope->priority,
						     .number = envelope->priority };
		break;
	case POSTA__KIND_SPECVERSION:
	case POSTA__KIND_FREE:
		break;
	default:
		return text_value(posta_envelope_get(envelope, (enum posta_attribute)kind));
	}
	return (struct posta_value){ .kind = POSTA_VALUE_NONE };
}

struct posta_value posta_envelope_field(struct posta_envelope *envelope, const char *path)
{
	if (strncmp(path, "header.", 7) == 0)
		return text_value(posta_envelope_header(envelope, path + 7));
	if (strcmp(path, "data") == 0)
		return whole_data(envelope);
	if (strncmp(path, "data.", 5) == 0)
		return body_field(envelope, false, path + 5);
	struct posta_value value = attribute(envelope, kind_of(path));
	return value.kind == POSTA_VALUE_NONE ? body_field(envelope, true, path) : value;
}
