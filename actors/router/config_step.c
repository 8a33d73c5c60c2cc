/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum posta_attribute attribute;
} attributes[] = {
	{ "id", POSTA_ATTR_ID },
	{ "source", POSTA_ATTR_SOURCE },
	{ "type", POSTA_ATTR_TYPE },
	{ "subject", POSTA_ATTR_SUBJECT },
	{ "content_type", POSTA_ATTR_CONTENT_TYPE },
	{ "dataschema", POSTA_ATTR_DATASCHEMA },
	{ "key", POSTA_ATTR_KEY },
	{ "correlation_id", POSTA_ATTR_CORRELATION_ID },
	{ "reply_to", POSTA_ATTR_REPLY_TO },
	{ "traceparent", POSTA_ATTR_TRACEPARENT },
	{ "tracestate", POSTA_ATTR_TRACESTATE },
};

static bool read_field(struct posta__reader *reader, struct fy_node *node, const char *path, struct posta__field *field)
{
	const char *names[sizeof attributes / sizeof attributes[0] + 2] = { NULL };
	char hint[128];
	field->path = path;
	if (strncmp(path, "header.", 7) == 0 && path[7]) {
		field->kind = POSTA__FIELD_HEADER;
		field->header = path + 7;
		return true;
	}
	if (strcmp(path, "priority") == 0) {
		field->kind = POSTA__FIELD_PRIORITY;
		return true;
	}
	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
		names[i] = attributes[i].name;
		if (strcmp(path, names[i]) == 0) {
			field->attribute = attributes[i].attribute;
			return true;
		}
	}
	names[sizeof attributes / sizeof attributes[0]] = "priority";
	const char *nearest = posta__nearest(path, names);
	if (nearest)
		snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest);
	if (strncmp(path, "data", 4) == 0)
		posta__wrong(reader, node, "steps change attributes and header.NAME",
			     "changes inside the body are not available in this version");
	else
		posta__wrong(reader, node, nearest ? hint : "an attribute, as type or key, or header.NAME",
			     "\"%.64s\" is nothing that a step can change", path);
	return false;
}

static struct posta__change *add_change(struct posta__reader *reader, struct posta__step *step)
{
	struct posta__change **end = &step->changes;
	while (*end)
		end = &(*end)->next;
	*end = posta__arena_alloc(reader->arena, sizeof **end);
	reader->no_memory |= !*end;
	return *end;
}

/* low, normal, high are those of the task queue. */
static const char *priority_text(const char *text)
{
	return strcmp(text, "low") == 0      ? "1"
	       : strcmp(text, "normal") == 0 ? "5"
	       : strcmp(text, "high") == 0   ? "9"
					     : text;
}

static void read_set_pair(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			  void *owner)
{
	struct posta__field field = { 0 };
	struct posta_error why = { 0 };
	const char *text;
	unsigned column;
	if (!read_field(reader, key_node, key, &field) || !posta__read_text(reader, node, &text))
		return;
	if (field.kind == POSTA__FIELD_PRIORITY) {
		text = priority_text(text);
		if (!strchr(text, '{') && (strlen(text) != 1 || *text < '0' || *text > '9')) {
			posta__wrong(reader, node, NULL, "a priority is 0 to 9, low, normal or high");
			return;
		}
	}
	struct posta__change *change = add_change(reader, owner);
	if (!change)
		return;
	change->field = field;
	change->value = posta__template_compile(text, &column, &why);
	if (!change->value) {
		struct posta__place place = posta__place(node);
		place.column += (int)column - 1;
		posta__report(reader, place, false, NULL, "%s", why.text);
	}
}

static void read_set(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		     void *owner)
{
	static const struct posta__key any[] = { { "*", read_set_pair, NULL }, { NULL, NULL, NULL } };
	((struct posta__step *)owner)->kind = POSTA__STEP_SET;
	posta__read_mapping(reader, node, "set", any, owner);
}

static void read_rename_pair(struct posta__reader *reader, const char *key, struct fy_node *key_node,
			     struct fy_node *node, void *owner)
{
	struct posta__field from = { 0 }, to = { 0 };
	const char *text;
	if (!read_field(reader, key_node, key, &from) || !posta__read_text(reader, node, &text) ||
	    !read_field(reader, node, text, &to))
		return;
	if (from.kind == POSTA__FIELD_PRIORITY || to.kind == POSTA__FIELD_PRIORITY) {
		posta__wrong(reader, key_node, "use set: { priority: ... }", "a priority can't be renamed");
		return;
	}
	struct posta__change *change = add_change(reader, owner);
	if (!change)
		return;
	change->field = from;
	change->to = to;
}

static void read_rename(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	static const struct posta__key any[] = { { "*", read_rename_pair, NULL }, { NULL, NULL, NULL } };
	((struct posta__step *)owner)->kind = POSTA__STEP_RENAME;
	posta__read_mapping(reader, node, "rename", any, owner);
}

static void read_drop_name(struct posta__reader *reader, struct fy_node *node, struct posta__step *step)
{
	struct posta__field field = { 0 };
	const char *text;
	if (!posta__read_text(reader, node, &text) || !read_field(reader, node, text, &field))
		return;
	struct posta__change *change = add_change(reader, step);
	if (change)
		change->field = field;
}

static void read_drop(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		      void *owner)
{
	struct posta__step *step = owner;
	step->kind = POSTA__STEP_DROP;
	if (!node || !fy_node_is_sequence(node)) {
		read_drop_name(reader, node, step);
		return;
	}
	void *at = NULL;
	for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at));)
		read_drop_name(reader, item, step);
}

static void read_filter(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	struct posta__step *step = owner;
	struct posta_error why = { 0 };
	const char *text;
	unsigned column;
	step->kind = POSTA__STEP_FILTER;
	if (!posta__read_text(reader, node, &text))
		return;
	posta__expression_free(step->filter);
	step->filter = posta__expression_compile(text, &column, &why);
	if (step->filter)
		return;
	struct posta__place place = posta__place(node);
	place.column += (int)column - 1;
	posta__report(reader, place, false, NULL, "%s", why.text);
}

#define LATER_STEP "the steps of this version are filter, set, drop and rename"

static const struct posta__key step_keys[] = {
	{ "filter", read_filter, NULL }, { "set", read_set, NULL },     { "drop", read_drop, NULL },
	{ "rename", read_rename, NULL }, { "map", NULL, LATER_STEP },   { "content", NULL, LATER_STEP },
	{ "split", NULL, LATER_STEP },   { "dedup", NULL, LATER_STEP }, { "rate", NULL, LATER_STEP },
	{ "circuit", NULL, LATER_STEP }, { NULL, NULL, NULL },
};

void posta__read_steps(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		       void *owner)
{
	struct posta__route_config *route = owner;
	int count = node && fy_node_is_sequence(node) ? fy_node_sequence_item_count(node) : -1;
	if (count < 0 || count > (int)POSTA__STEPS_MAX) {
		posta__wrong(reader, count < 0 ? node : key_node, "steps: [ { filter: ... }, { set: ... } ]",
			     "steps must be a list of at most %u steps", POSTA__STEPS_MAX);
		return;
	}
	route->steps = posta__arena_alloc(reader->arena, (size_t)(count + 1) * sizeof *route->steps);
	reader->no_memory |= !route->steps;
	void *at = NULL;
	for (struct fy_node *item; route->steps && (item = fy_node_sequence_iterate(node, &at));) {
		if (fy_node_is_mapping(item) && fy_node_mapping_item_count(item) > 1)
			posta__wrong(reader, item, "begin another item: - NAME: ...", "a step has one key");
		posta__read_mapping(reader, item, "a step", step_keys, &route->steps[route->step_count++]);
	}
}
