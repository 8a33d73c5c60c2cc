/* SPDX-License-Identifier: MIT */
/*
 * Evaluation. What is absent is null; values of different kinds are never equal, less or more; only true is true.
 * Recursion is bounded by the number of nodes, at most POSTA__EXPRESSION_NODES_MAX.
 */
#include "expression_node.h"

#include <string.h>

struct question {
	const struct posta__expression *expression;
	struct posta_envelope *envelope;
	struct posta_error *error;
	enum posta_err failed;
};

static const char *const attributes[] = {
	"id",
	"source",
	"type",
	"subject",
	"contenttype",
	"content_type",
	"datacontenttype",
	"dataschema",
	"key",
	"partitionkey",
	"correlationid",
	"correlation_id",
	"replyto",
	"reply_to",
	"traceparent",
	"tracestate",
	"topic",
	"time",
	"expiry",
	"expirytime",
	"priority",
};

enum posta_err posta__path_check(const char *path, struct posta_error *error)
{
	if ((strncmp(path, "header.", 7) == 0 && path[7]) || strcmp(path, "data") == 0 ||
	    (strncmp(path, "data.", 5) == 0 && path[5]))
		return POSTA_OK;
	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
		if (strcmp(path, attributes[i]) == 0)
			return POSTA_OK;
	return posta_error_set(
		error, POSTA_EFORMAT,
		"no such field \"%.60s\": fields are type, source, key, topic, id, subject, time, priority, "
		"header.NAME and data.PATH; texts stand in quotes",
		path);
}

/* A body that has no fields is its own text, byte by byte, or nothing. */
static bool without_fields(struct posta_envelope *envelope)
{
	struct posta_bytes body = posta_envelope_body(envelope);
	if (!body.data || !body.len)
		return false;
	struct posta_value whole = posta_envelope_field(envelope, "data");
	return whole.kind == POSTA_VALUE_NONE || (whole.kind == POSTA_VALUE_TEXT && whole.text.data == body.data);
}

enum posta_err posta__path_get(struct posta_envelope *envelope, const char *path, struct posta_value *value,
			       struct posta_error *error)
{
	*value = posta_envelope_field(envelope, path);
	if (value->kind == POSTA_VALUE_NONE && strncmp(path, "data.", 5) == 0 && without_fields(envelope))
		return posta_error_set(error, POSTA_EFORMAT, "the body is not JSON, and %s is asked for", path);
	return POSTA_OK;
}

/* * is any run of bytes, ? is one; the whole text must match. */
static bool glob_match(struct posta_bytes pattern, struct posta_bytes text)
{
	const char *p = pattern.data, *t = text.data;
	size_t i = 0, j = 0, star = SIZE_MAX, mark = 0;
	while (j < text.len) {
		if (i < pattern.len && p[i] == '*') {
			star = i++;
			mark = j;
		} else if (i < pattern.len && (p[i] == '?' || p[i] == t[j])) {
			i++;
			j++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			j = ++mark;
		} else {
			return false;
		}
	}
	while (i < pattern.len && p[i] == '*')
		i++;
	return i == pattern.len;
}

static bool test(struct question *question, uint32_t index);

static struct posta_value evaluate(struct question *question, uint32_t index)
{
	const struct posta__node *node = &question->expression->nodes[index];
	struct posta_value value = { .kind = POSTA_VALUE_NULL };
	if (node->kind == POSTA__NODE_VALUE)
		return node->value;
	if (node->kind != POSTA__NODE_PATH) {
		value.kind = POSTA_VALUE_BOOL;
		value.boolean = test(question, index);
		return value;
	}
	enum posta_err err = posta__path_get(question->envelope, node->path, &value, question->error);
	if (err && !question->failed)
		question->failed = err;
	if (value.kind == POSTA_VALUE_NONE)
		value.kind = POSTA_VALUE_NULL;
	return value;
}

static bool is_number(const struct posta_value *value)
{
	return value->kind == POSTA_VALUE_INT || value->kind == POSTA_VALUE_DOUBLE;
}

static double to_number(const struct posta_value *value)
{
	return value->kind == POSTA_VALUE_INT ? (double)value->integer : value->number;
}

/* Returns: whether they can be compared; *order is below, at or above 0. */
static bool compare(const struct posta_value *a, const struct posta_value *b, int *order)
{
	if (a->kind == POSTA_VALUE_INT && b->kind == POSTA_VALUE_INT) {
		*order = (a->integer > b->integer) - (a->integer < b->integer);
		return true;
	}
	if (is_number(a) && is_number(b)) {
		double x = to_number(a), y = to_number(b);
		*order = (x > y) - (x < y);
		return true;
	}
	if (a->kind != b->kind || (a->kind != POSTA_VALUE_TEXT && a->kind != POSTA_VALUE_JSON))
		return false;
	size_t len = a->text.len < b->text.len ? a->text.len : b->text.len;
	*order = len ? memcmp(a->text.data, b->text.data, len) : 0;
	if (!*order)
		*order = (a->text.len > b->text.len) - (a->text.len < b->text.len);
	return true;
}

static bool equal(const struct posta_value *a, const struct posta_value *b)
{
	int order;
	if (compare(a, b, &order))
		return order == 0;
	if (a->kind != b->kind)
		return false;
	return a->kind == POSTA_VALUE_NULL || (a->kind == POSTA_VALUE_BOOL && a->boolean == b->boolean);
}

static bool in_list(struct question *question, const struct posta__node *node)
{
	struct posta_value left = evaluate(question, node->left);
	for (uint32_t item = node->right; item; item = question->expression->nodes[item].next)
		if (equal(&left, &question->expression->nodes[item].value))
			return true;
	return false;
}

static bool test_pair(struct question *question, const struct posta__node *node)
{
	struct posta_value a = evaluate(question, node->left);
	struct posta_value b = evaluate(question, node->right);
	int order = 0;
	switch (node->kind) {
	case POSTA__NODE_EQ:
		return equal(&a, &b);
	case POSTA__NODE_NE:
		return !equal(&a, &b);
	case POSTA__NODE_MATCH:
		return a.kind == POSTA_VALUE_TEXT && b.kind == POSTA_VALUE_TEXT && glob_match(b.text, a.text);
	case POSTA__NODE_LT:
		return compare(&a, &b, &order) && order < 0;
	case POSTA__NODE_LE:
		return compare(&a, &b, &order) && order <= 0;
	case POSTA__NODE_GT:
		return compare(&a, &b, &order) && order > 0;
	default:
		return compare(&a, &b, &order) && order >= 0;
	}
}

static bool test(struct question *question, uint32_t index)
{
	const struct posta__node *node = &question->expression->nodes[index];
	struct posta_value value;
	switch (node->kind) {
	case POSTA__NODE_VALUE:
	case POSTA__NODE_PATH:
		value = evaluate(question, index);
		return value.kind == POSTA_VALUE_BOOL && value.boolean;
	case POSTA__NODE_EXISTS:
		return posta_envelope_field(question->envelope, node->path).kind != POSTA_VALUE_NONE;
	case POSTA__NODE_NOT:
		return !test(question, node->left);
	case POSTA__NODE_AND:
		return test(question, node->left) && !question->failed && test(question, node->right);
	case POSTA__NODE_OR:
		return test(question, node->left) || (!question->failed && test(question, node->right));
	case POSTA__NODE_IN:
		return in_list(question, node);
	default:
		return test_pair(question, node);
	}
}

enum posta_err posta__expression_test(const struct posta__expression *expression, struct posta_envelope *envelope,
				      bool *result, struct posta_error *error)
{
	struct question question = { expression, envelope, error, POSTA_OK };
	bool answer = test(&question, expression->root);
	if (!question.failed)
		*result = answer;
	return question.failed;
}
