/* SPDX-License-Identifier: MIT */
/*
 * The compiler: recursive descent, its depth and its number of nodes bounded.
 *
 *   or    = and { "or" and }            and  = not { "and" not }
 *   not   = "not" not | test            test = "exists" path | operand [ operator operand | "in" "[" list "]" ]
 *   operand = "(" or ")" | literal | path
 */
#include "bridges/codec/number.h"
#include "bridges/codec/scan.h"
#include "expression_node.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct posta__expression *out;
	const char *text;
	size_t at;
	size_t texts_used;
	unsigned depth;
	size_t fault_at;
	struct posta_error *error;
	enum posta_err failed;
};

static uint32_t parse_or(struct parser *parser);

static uint32_t fail(struct parser *parser, enum posta_err code, const char *words)
{
	if (!parser->failed) {
		parser->failed = posta_error_set(parser->error, code, "%s", words);
		parser->fault_at = parser->at;
	}
	return 0;
}

static void skip_space(struct parser *parser)
{
	while (isspace((unsigned char)parser->text[parser->at]))
		parser->at++;
}

static bool word_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

/* Takes the keyword or sign if it is next. */
static bool take(struct parser *parser, const char *token)
{
	skip_space(parser);
	size_t len = strlen(token);
	const char *here = parser->text + parser->at;
	if (strncmp(here, token, len) != 0 || (word_byte(token[0]) && word_byte(here[len])))
		return false;
	parser->at += len;
	return true;
}

static uint32_t add(struct parser *parser, struct posta__node node)
{
	if (parser->out->count >= POSTA__EXPRESSION_NODES_MAX)
		return fail(parser, POSTA_ETOOBIG, "the expression has too many parts");
	parser->out->nodes[parser->out->count] = node;
	return parser->out->count++;
}

static uint32_t add_pair(struct parser *parser, enum posta__node_kind kind, uint32_t left, uint32_t right)
{
	if (!left || (!right && kind != POSTA__NODE_NOT))
		return 0;
	return add(parser, (struct posta__node){ .kind = kind, .left = left, .right = right });
}

/* Room for the whole text was made: nothing that is copied from it is longer. */
static char *keep(struct parser *parser, const char *text, size_t len)
{
	char *kept = parser->out->texts + parser->texts_used;
	memcpy(kept, text, len);
	kept[len] = '\0';
	parser->texts_used += len + 1;
	return kept;
}

static uint32_t parse_string(struct parser *parser, char quote)
{
	char *out = parser->out->texts + parser->texts_used;
	size_t len = 0;
	size_t start = parser->at++;
	while (parser->text[parser->at] && parser->text[parser->at] != quote) {
		if (parser->text[parser->at] == '\\' && parser->text[parser->at + 1])
			parser->at++;
		out[len++] = parser->text[parser->at++];
	}
	if (!parser->text[parser->at]) {
		parser->at = start;
		return fail(parser, POSTA_EFORMAT, "this text has no closing quote");
	}
	parser->at++;
	out[len] = '\0';
	parser->texts_used += len + 1;
	struct posta_value value = { .kind = POSTA_VALUE_TEXT, .text = { out, len } };
	return add(parser, (struct posta__node){ .kind = POSTA__NODE_VALUE, .value = value });
}

static uint32_t parse_number(struct parser *parser)
{
	const char *here = parser->text + parser->at;
	size_t len = strspn(here, "+-.0123456789eE");
	struct posta_bytes text = { here + (*here == '+'), len - (*here == '+') };
	if (posta__json_scan(text.data, text.len, NULL) || word_byte(here[len]))
		return fail(parser, POSTA_EFORMAT, "this is no number");
	struct posta__number number = posta__number_parse(text);
	if (!isfinite(number.number))
		return fail(parser, POSTA_EFORMAT, "this number is too large");
	struct posta_value value = {
		.kind = number.kind == POSTA__INTEGER ? POSTA_VALUE_INT : POSTA_VALUE_DOUBLE,
		.integer = number.integer,
		.number = number.number,
	};
	parser->at += len;
	return add(parser, (struct posta__node){ .kind = POSTA__NODE_VALUE, .value = value });
}

static uint32_t parse_path(struct parser *parser, enum posta__node_kind kind)
{
	static const char *const reserved[] = { "and", "or", "not", "in", "exists", "matches" };
	skip_space(parser);
	const char *here = parser->text + parser->at;
	size_t len = 0;
	while (word_byte(here[len]))
		len++;
	if (!len)
		return fail(parser, POSTA_EFORMAT,
			    *here ? "a field, a text or a number is expected here" : "the expression ends too early");
	char *path = keep(parser, here, len);
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (strcmp(path, reserved[i]) == 0)
			return fail(parser, POSTA_EFORMAT, "a field, a text or a number is expected here");
	struct posta_error why = { 0 };
	if (posta__path_check(path, &why))
		return fail(parser, POSTA_EFORMAT, why.text);
	parser->at += len;
	return add(parser, (struct posta__node){ .kind = kind, .path = path });
}

static uint32_t parse_literal(struct parser *parser)
{
	static const struct {
		const char *word;
		struct posta_value value;
	} words[] = {
		{ "true", { .kind = POSTA_VALUE_BOOL, .boolean = true } },
		{ "false", { .kind = POSTA_VALUE_BOOL } },
		{ "null", { .kind = POSTA_VALUE_NULL } },
	};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (take(parser, words[i].word))
			return add(parser, (struct posta__node){ .kind = POSTA__NODE_VALUE, .value = words[i].value });
	skip_space(parser);
	char c = parser->text[parser->at];
	if (c == '"' || c == '\'')
		return parse_string(parser, c);
	if (isdigit((unsigned char)c) ||
	    ((c == '-' || c == '+') && isdigit((unsigned char)parser->text[parser->at + 1])))
		return parse_number(parser);
	return 0;
}

static uint32_t parse_operand(struct parser *parser)
{
	if (take(parser, "(")) {
		uint32_t inner = parse_or(parser);
		if (inner && !take(parser, ")"))
			return fail(parser, POSTA_EFORMAT, "a \")\" is missing here");
		return inner;
	}
	uint32_t literal = parse_literal(parser);
	return literal || parser->failed ? literal : parse_path(parser, POSTA__NODE_PATH);
}

static uint32_t parse_list(struct parser *parser)
{
	uint32_t first = 0, last = 0;
	if (!take(parser, "["))
		return fail(parser, POSTA_EFORMAT, "\"in\" needs a list: in [\"a\", \"b\"]");
	do {
		uint32_t item = parse_literal(parser);
		if (!item)
			return fail(parser, POSTA_EFORMAT, "a list holds texts, numbers, true, false and null");
		if (last)
			parser->out->nodes[last].next = item;
		else
			first = item;
		last = item;
	} while (take(parser, ","));
	return take(parser, "]") ? first : fail(parser, POSTA_EFORMAT, "a \"]\" or \",\" is missing here");
}

static uint32_t parse_test(struct parser *parser)
{
	static const struct {
		const char *token;
		enum posta__node_kind kind;
	} operators[] = {
		{ "==", POSTA__NODE_EQ }, { "!=", POSTA__NODE_NE },         { "<=", POSTA__NODE_LE },
		{ ">=", POSTA__NODE_GE }, { "=~", POSTA__NODE_MATCH },      { "<", POSTA__NODE_LT },
		{ ">", POSTA__NODE_GT },  { "matches", POSTA__NODE_MATCH },
	};
	if (take(parser, "exists"))
		return parse_path(parser, POSTA__NODE_EXISTS);
	uint32_t left = parse_operand(parser);
	if (!left)
		return 0;
	if (take(parser, "in"))
		return add_pair(parser, POSTA__NODE_IN, left, parse_list(parser));
	for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
		if (take(parser, operators[i].token))
			return add_pair(parser, operators[i].kind, left, parse_operand(parser));
	skip_space(parser);
	if (parser->text[parser->at] == '=')
		return fail(parser, POSTA_EFORMAT, "a single \"=\": equality is written \"==\"");
	return left;
}

static uint32_t parse_not(struct parser *parser)
{
	if (++parser->depth > POSTA__EXPRESSION_DEPTH_MAX)
		return fail(parser, POSTA_ETOOBIG, "the expression is nested too deeply");
	uint32_t node =
		take(parser, "not") ? add_pair(parser, POSTA__NODE_NOT, parse_not(parser), 0) : parse_test(parser);
	parser->depth--;
	return node;
}

static uint32_t parse_and(struct parser *parser)
{
	uint32_t node = parse_not(parser);
	while (node && take(parser, "and"))
		node = add_pair(parser, POSTA__NODE_AND, node, parse_not(parser));
	return node;
}

static uint32_t parse_or(struct parser *parser)
{
	uint32_t node = parse_and(parser);
	while (node && take(parser, "or"))
		node = add_pair(parser, POSTA__NODE_OR, node, parse_and(parser));
	return node;
}

static struct posta__expression *allocate(size_t len)
{
	/* A node takes at least one byte of text; each kept text at most its own bytes and a zero. */
	size_t nodes = len + 2 < POSTA__EXPRESSION_NODES_MAX ? len + 2 : POSTA__EXPRESSION_NODES_MAX;
	struct posta__expression *expression = calloc(1, sizeof *expression);
	if (!expression)
		return NULL;
	expression->nodes = calloc(nodes, sizeof *expression->nodes);
	expression->texts = malloc(2 * len + 2);
	expression->count = 1;
	if (expression->nodes && expression->texts)
		return expression;
	posta__expression_free(expression);
	return NULL;
}

struct posta__expression *posta__expression_compile(const char *text, unsigned *column, struct posta_error *error)
{
	size_t len = strnlen(text, POSTA__EXPRESSION_BYTES_MAX + 1);
	*column = 1;
	if (len > POSTA__EXPRESSION_BYTES_MAX) {
		posta_error_set(error, POSTA_ETOOBIG, "the expression is longer than %u bytes",
				POSTA__EXPRESSION_BYTES_MAX);
		return NULL;
	}
	struct parser parser = { .out = allocate(len), .text = text, .error = error };
	if (!parser.out) {
		posta_error_set(error, POSTA_ENOMEM, "out of memory");
		return NULL;
	}
	parser.out->root = parse_or(&parser);
	skip_space(&parser);
	if (!parser.failed && text[parser.at])
		fail(&parser, POSTA_EFORMAT, "\"and\", \"or\" or an operator is expected here");
	if (!parser.failed)
		return parser.out;
	*column = (unsigned)parser.fault_at + 1;
	posta__expression_free(parser.out);
	return NULL;
}

void posta__expression_free(struct posta__expression *expression)
{
	if (!expression)
		return;
	free(expression->nodes);
	free(expression->texts);
	free(expression);
}
