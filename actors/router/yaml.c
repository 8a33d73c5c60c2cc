/* SPDX-License-Identifier: MIT */
#include "yaml.h"

#include "bridges/codec/number.h"
#include "bridges/codec/scan.h"
#include "environment.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_MAX 65536u

struct posta__chunk {
	struct posta__chunk *next;
	max_align_t data[];
};

void *posta__arena_alloc(struct posta__arena *arena, size_t size)
{
	struct posta__chunk *chunk = calloc(1, sizeof *chunk + size);
	if (!chunk) {
		arena->no_memory = true;
		return NULL;
	}
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk->data;
}

char *posta__arena_text(struct posta__arena *arena, const char *text, size_t len)
{
	char *copy = posta__arena_alloc(arena, len + 1);
	if (copy)
		memcpy(copy, text, len);
	return copy;
}

void posta__arena_free(struct posta__arena *arena)
{
	while (arena->chunks) {
		struct posta__chunk *next = arena->chunks->next;
		free(arena->chunks);
		arena->chunks = next;
	}
}

void posta__report(struct posta__reader *reader, struct posta__place place, bool warning, const char *hint,
		   const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!warning && reader->errors++ == 0)
		posta_error_set(reader->error, POSTA_EFORMAT, "%s:%d:%d: %s", reader->file, place.line, place.column,
				text);
	struct posta_diagnostic diagnostic = { reader->file, place.line, place.column, warning, text, hint };
	if (reader->report)
		reader->report(reader->context, &diagnostic);
}

static struct fy_token *first_token(struct fy_node *node)
{
	/* Each level of a file takes a byte or more, and libfyaml bounds its depth. */
	while (node && !fy_node_is_scalar(node)) {
		void *at = NULL;
		if (fy_node_is_mapping(node)) {
			struct fy_node_pair *pair = fy_node_mapping_iterate(node, &at);
			node = pair ? fy_node_pair_key(pair) : NULL;
		} else {
			node = fy_node_sequence_iterate(node, &at);
		}
	}
	return node ? fy_node_get_scalar_token(node) : NULL;
}

struct posta__place posta__place(struct fy_node *node)
{
	struct fy_node *here = node;
	struct fy_token *token = NULL;
	while (here && !(token = first_token(here)))
		here = fy_node_get_parent(here);
	const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
	return mark ? (struct posta__place){ mark->line + 1, mark->column + 1 } : (struct posta__place){ 1, 1 };
}

static size_t distance(const char *a, const char *b)
{
	size_t row[34];
	size_t n = strlen(b);
	if (n > 32 || strlen(a) > 32)
		return 99;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

const char *posta__nearest(const char *word, const char *const *names)
{
	const char *nearest = NULL;
	size_t best = 1 + (strlen(word) + 1) / 3;
	for (; *names; names++) {
		size_t d = distance(word, *names);
		if (d <= best) {
			best = d ? d - 1 : 0;
			nearest = *names;
		}
	}
	return nearest;
}

static void unknown_key(struct posta__reader *reader, struct fy_node *node, const char *key, const char *what,
			const struct posta__key *keys)
{
	const char *names[64];
	char hint[512];
	size_t count = 0, used = 0;
	for (; keys[count].name && count < 63; count++)
		names[count] = keys[count].name;
	names[count] = NULL;
	const char *nearest = posta__nearest(key, names);
	if (nearest) {
		snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest);
	} else {
		used = (size_t)snprintf(hint, sizeof hint, "known here:");
		for (size_t i = 0; i < count && used < sizeof hint - 40; i++)
			if (!keys[i].later)
				used += (size_t)snprintf(hint + used, sizeof hint - used, "%s %.32s",
							 used > 11 ? "," : "", names[i]);
	}
	posta__wrong(reader, node, hint, "unknown key \"%.64s\" in %s", key, what);
}

static void read_pair(struct posta__reader *reader, struct fy_node_pair *pair, const char *what,
		      const struct posta__key *keys, void *owner)
{
	struct fy_node *key_node = fy_node_pair_key(pair);
	size_t len = 0;
	const char *raw = key_node && fy_node_is_scalar(key_node) ? fy_node_get_scalar(key_node, &len) : NULL;
	const char *key = raw ? posta__arena_text(reader->arena, raw, len) : NULL;
	if (!key) {
		posta__wrong(reader, key_node, NULL, "a key of %s must be a plain word", what);
		return;
	}
	const struct posta__key *entry = keys;
	while (entry->name && strcmp(entry->name, key) != 0 && strcmp(entry->name, "*") != 0)
		entry++;
	if (!entry->name)
		unknown_key(reader, key_node, key, what, keys);
	else if (entry->later)
		posta__wrong(reader, key_node, entry->later, "\"%s\" is not available in this version", key);
	else
		entry->read(reader, key, key_node, fy_node_pair_value(pair), owner);
}

void posta__read_mapping(struct posta__reader *reader, struct fy_node *node, const char *what,
			 const struct posta__key *keys, void *owner)
{
	if (!node || !fy_node_is_mapping(node)) {
		posta__wrong(reader, node, NULL, "%s must be a mapping: key: value", what);
		return;
	}
	void *at = NULL;
	struct fy_node_pair *pair;
	while ((pair = fy_node_mapping_iterate(node, &at)))
		read_pair(reader, pair, what, keys, owner);
}

bool posta__read_text(struct posta__reader *reader, struct fy_node *node, const char **text)
{
	size_t len = 0;
	const char *raw =
		node && fy_node_is_scalar(node) && !fy_node_is_alias(node) ? fy_node_get_scalar(node, &len) : NULL;
	if (!raw || len > TEXT_MAX || memchr(raw, '\0', len)) {
		posta__wrong(reader, node, NULL, "a text is expected here");
		return false;
	}
	char *plain = posta__arena_text(reader->arena, raw, len);
	char *filled = NULL;
	struct posta_error why = { 0 };
	unsigned column = 1;
	if (!plain) {
		reader->no_memory = true;
		return false;
	}
	if (posta__environment_fill(plain, &filled, &column, &why)) {
		struct posta__place place = posta__place(node);
		place.column += (int)column - 1;
		posta__report(reader, place, false, "set it, or give a default: ${NAME:-default}", "%s", why.text);
		return false;
	}
	*text = posta__arena_text(reader->arena, filled, strlen(filled));
	free(filled);
	reader->no_memory |= !*text;
	return *text != NULL;
}

bool posta__read_bool(struct posta__reader *reader, struct fy_node *node, bool *value)
{
	static const char *const names[] = { "false", "true", NULL };
	int index;
	if (!posta__read_choice(reader, node, names, &index))
		return false;
	*value = index == 1;
	return true;
}

bool posta__read_integer(struct posta__reader *reader, struct fy_node *node, long long min, long long max,
			 long long *value)
{
	const char *text;
	char *end;
	if (!posta__read_text(reader, node, &text))
		return false;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (end == text || *end || errno || number < min || number > max) {
		posta__wrong(reader, node, NULL, "a whole number from %lld to %lld is expected here", min, max);
		return false;
	}
	*value = number;
	return true;
}

bool posta__read_number(struct posta__reader *reader, struct fy_node *node, double min, double max, double *value)
{
	const char *text;
	if (!posta__read_text(reader, node, &text))
		return false;
	bool good = (isdigit((unsigned char)*text) || *text == '-') && !posta__json_scan(text, strlen(text), NULL);
	double number = good ? posta__number_parse((struct posta_bytes){ text, strlen(text) }).number : 0;
	if (!good || number < min || number > max) {
		posta__wrong(reader, node, NULL, "a number from %g to %g is expected here", min, max);
		return false;
	}
	*value = number;
	return true;
}

bool posta__read_duration(struct posta__reader *reader, struct fy_node *node, uint64_t *ms)
{
	const char *text;
	if (!posta__read_text(reader, node, &text))
		return false;
	if (posta__duration_parse(text, ms))
		return true;
	posta__wrong(reader, node, "write 500ms, 1s, 2m or 1h", "\"%.32s\" is no duration", text);
	return false;
}

bool posta__read_choice(struct posta__reader *reader, struct fy_node *node, const char *const *names, int *index)
{
	const char *text;
	if (!posta__read_text(reader, node, &text))
		return false;
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], text) == 0) {
			*index = i;
			return true;
		}
	}
	char hint[256];
	size_t used = (size_t)snprintf(hint, sizeof hint, "one of:");
	for (int i = 0; names[i] && used < sizeof hint - 40; i++)
		used += (size_t)snprintf(hint + used, sizeof hint - used, " %.32s", names[i]);
	posta__wrong(reader, node, hint, "\"%.32s\" is not possible here", text);
	return false;
}
