/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include "text.h"

#include <assert.h>
#include <string.h>

struct scanner {
	const unsigned char *at;
	const unsigned char *end;
};

static void white_space(struct scanner *scanner)
{
	while (scanner->at < scanner->end &&
	       (*scanner->at == ' ' || *scanner->at == '\n' || *scanner->at == '\t' || *scanner->at == '\r'))
		scanner->at++;
}

static bool next_is(struct scanner *scanner, unsigned char c)
{
	if (scanner->at == scanner->end || *scanner->at != c)
		return false;
	scanner->at++;
	return true;
}

static bool word(struct scanner *scanner, const char *text)
{
	for (; *text; text++)
		if (!next_is(scanner, (unsigned char)*text))
			return false;
	return true;
}

static bool is_digit(const struct scanner *scanner)
{
	return scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9';
}

static bool some_digits(struct scanner *scanner)
{
	if (!is_digit(scanner))
		return false;
	while (is_digit(scanner))
		scanner->at++;
	return true;
}

static bool json_number(struct scanner *scanner)
{
	next_is(scanner, '-');
	if (!next_is(scanner, '0') && !some_digits(scanner))
		return false;
	if (next_is(scanner, '.') && !some_digits(scanner))
		return false;
	if (!next_is(scanner, 'e') && !next_is(scanner, 'E'))
		return true;
	if (!next_is(scanner, '+'))
		next_is(scanner, '-');
	return some_digits(scanner);
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* After the backslash. */
static bool json_escape(struct scanner *scanner)
{
	if (scanner->at == scanner->end)
		return false;
	unsigned char c = *scanner->at++;
	if (c != 'u')
		return c && strchr("\"\\/bfnrt", c);
	for (int i = 0; i < 4; i++, scanner->at++)
		if (scanner->at == scanner->end || hex_digit(*scanner->at) < 0)
			return false;
	return true;
}

/* Over what needs no look: ASCII without controls, quotes and escapes. */
static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end)
{
	for (uint64_t v; end - at >= 8; at += 8) {
		memcpy(&v, at, 8);
		if (posta__bytes_equal(v, '"') | posta__bytes_equal(v, '\\') | posta__bytes_below(v, 0x20) |
		    posta__bytes_high(v))
			break;
	}
	return at;
}

static bool json_string(struct scanner *scanner)
{
	if (!next_is(scanner, '"'))
		return false;
	while ((scanner->at = skip_plain(scanner->at, scanner->end)) < scanner->end) {
		unsigned char c = *scanner->at;
		if (c == '"') {
			scanner->at++;
			return true;
		}
		if (c == '\\') {
			scanner->at++;
			if (!json_escape(scanner))
				return false;
		} else if (c < 0x20) {
			return false;
		} else if (c < 0x80) {
			scanner->at++;
		} else {
			size_t count = posta__utf8_sequence(scanner->at, (size_t)(scanner->end - scanner->at));
			if (!count)
				return false;
			scanner->at += count;
		}
	}
	return false;
}

static bool json_scalar(struct scanner *scanner)
{
	if (scanner->at == scanner->end)
		return false;
	switch (*scanner->at) {
	case '"':
		return json_string(scanner);
	case 't':
		return word(scanner, "true");
	case 'f':
		return word(scanner, "false");
	case 'n':
		return word(scanner, "null");
	default:
		return json_number(scanner);
	}
}

static bool json_name(struct scanner *scanner)
{
	white_space(scanner);
	if (!json_string(scanner))
		return false;
	white_space(scanner);
	return next_is(scanner, ':');
}

/*
 * The nesting is a bit stack (1: object), so there is no recursion that hostile input could drive. Each round reads one
 * value; then the brackets that end behind it.
 */
static enum posta_err json_document(struct scanner *scanner)
{
	uint64_t objects = 0;
	unsigned depth = 0;
	for (;;) {
		white_space(scanner);
		bool object = scanner->at < scanner->end && *scanner->at == '{';
		if (object || (scanner->at < scanner->end && *scanner->at == '[')) {
			if (depth == POSTA__DEPTH_MAX)
				return POSTA_ETOOBIG;
			scanner->at++;
			white_space(scanner);
			if (!next_is(scanner, object ? '}' : ']')) {
				depth++;
				objects = objects << 1 | object;
				if (object && !json_name(scanner))
					return POSTA_EFORMAT;
				continue;
			}
		} else if (!json_scalar(scanner)) {
			return POSTA_EFORMAT;
		}
		for (;;) {
			white_space(scanner);
			if (!depth)
				return scanner->at == scanner->end ? POSTA_OK : POSTA_EFORMAT;
			if (next_is(scanner, ','))
				break;
			if (!next_is(scanner, objects & 1 ? '}' : ']'))
				return POSTA_EFORMAT;
			depth--;
			objects >>= 1;
		}
		if ((objects & 1) && !json_name(scanner))
			return POSTA_EFORMAT;
	}
}

static_assert(POSTA__DEPTH_MAX < 64, "the bit stack holds it");

enum posta_err posta__json_scan(const void *data, size_t len, size_t *offset)
{
	if (offset)
		*offset = 0;
	if (!data || !len)
		return POSTA_EFORMAT;
	if (len > POSTA__DOCUMENT_MAX)
		return POSTA_ETOOBIG;
	struct scanner scanner = { data, (const unsigned char *)data + len };
	enum posta_err err = json_document(&scanner);
	if (offset)
		*offset = (size_t)(scanner.at - (const unsigned char *)data);
	return err;
}

enum posta_err posta__json_check(const void *data, size_t len, struct posta_error *error)
{
	size_t offset;
	enum posta_err err = posta__json_scan(data, len, &offset);
	if (!err)
		return POSTA_OK;
	return posta_error_set(error, err,
			       err == POSTA_ETOOBIG ? "JSON is nested deeper than 32 or larger than 64 MiB, at byte %zu"
						    : "not JSON, at byte %zu",
			       offset);
}

/* What follows trusts the text: it passed the scan. */

bool posta__json_is_text(struct posta_bytes raw)
{
	return raw.len >= 2 && *(const char *)raw.data == '"';
}

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
		at++;
	return at;
}

static const char *skip_string(const char *at, const char *end)
{
	at++;
	for (;;) {
		uint64_t v;
		while (end - at >= 8 &&
		       (memcpy(&v, at, 8), !(posta__bytes_equal(v, '"') | posta__bytes_equal(v, '\\'))))
			at += 8;
		for (int i = 0; i < 8; i++, at++) {
			if (at >= end)
				return end;
			if (*at == '"')
				return at + 1;
			at += *at == '\\';
		}
	}
}

static const char *skip_nested(const char *at, const char *end)
{
	size_t depth = 0;
	while (at < end) {
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
			depth--;
		at++;
		if (!depth)
			break;
	}
	return at;
}

static const char *skip_value(const char *at, const char *end)
{
	if (at < end && *at == '"')
		return skip_string(at, end);
	if (at < end && (*at == '{' || *at == '['))
		return skip_nested(at, end);
	while (at < end && !strchr(",]} \n\t\r", *at))
		at++;
	return at;
}

struct posta_bytes posta__json_value(const void *data, size_t len)
{
	const char *end = (const char *)data + len;
	const char *at = skip_space(data, end);
	return (struct posta_bytes){ at, (size_t)(skip_value(at, end) - at) };
}

bool posta__json_walk(struct posta__json_walk *walk, struct posta_bytes value)
{
	const char *text = value.data;
	if (!value.len || (text[0] != '{' && text[0] != '['))
		return false;
	*walk = (struct posta__json_walk){ .at = text + 1, .end = text + value.len, .object = text[0] == '{' };
	return true;
}

bool posta__json_next(struct posta__json_walk *walk)
{
	const char *at = skip_space(walk->at, walk->end);
	if (at < walk->end && *at == ',')
		at = skip_space(at + 1, walk->end);
	if (at >= walk->end || *at == '}' || *at == ']')
		return false;
	if (walk->object) {
		const char *name = at;
		at = skip_string(at, walk->end);
		walk->name = (struct posta_bytes){ name, (size_t)(at - name) };
		at = skip_space(at, walk->end);
		at = skip_space(at < walk->end ? at + 1 : at, walk->end);
	}
	walk->at = skip_value(at, walk->end);
	walk->value = (struct posta_bytes){ at, (size_t)(walk->at - at) };
	return true;
}

struct posta_bytes posta__json_member(struct posta_bytes object, const char *name, size_t name_len)
{
	struct posta__json_walk walk;
	struct posta_bytes found = { NULL, 0 };
	if (!posta__json_walk(&walk, object) || !walk.object)
		return found;
	while (posta__json_next(&walk))
		if (posta__json_equal(walk.name, name, name_len))
			found = walk.value;
	return found;
}

static unsigned hex4(const char *text)
{
	unsigned value = 0;
	for (int i = 0; i < 4; i++)
		value = value << 4 | (unsigned)hex_digit((unsigned char)text[i]);
	return value;
}

static size_t put_utf8(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t count = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
	for (size_t i = count - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3F));
	out[0] = (char)(lead[count] | c);
	return count;
}

/* Reads \uXXXX, and the second half of a pair where there is one; at points behind the 'u'. */
static uint32_t code_point(const char **at, const char *end)
{
	uint32_t c = hex4(*at);
	*at += 4;
	if (c < 0xD800 || c > 0xDFFF)
		return c;
	if (c < 0xDC00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
		uint32_t low = hex4(*at + 2);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			*at += 6;
			return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
		}
	}
	return 0xFFFD;
}

static char unescaped(char c)
{
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return c;
	}
}

size_t posta__json_unescape(struct posta_bytes string, char *out)
{
	const char *at = (const char *)string.data + 1;
	const char *end = at + string.len - 2;
	char *to = out;
	while (at < end) {
		const char *slash = memchr(at, '\\', (size_t)(end - at));
		size_t plain = (size_t)((slash ? slash : end) - at);
		memcpy(to, at, plain);
		to += plain;
		at += plain;
		if (!slash)
			break;
		if (at[1] == 'u') {
			at += 2;
			to += put_utf8(code_point(&at, end), to);
		} else {
			*to++ = unescaped(at[1]);
			at += 2;
		}
	}
	return (size_t)(to - out);
}

/* Names with escapes are rare; short ones are compared in a small buffer, longer ones can't be names of ours. */
bool posta__json_equal(struct posta_bytes string, const char *text, size_t len)
{
	const char *raw = string.data;
	char buffer[1024];
	if (string.len < 2)
		return false;
	if (!memchr(raw + 1, '\\', string.len - 2))
		return string.len - 2 == len && memcmp(raw + 1, text, len) == 0;
	if (string.len > sizeof buffer)
		return false;
	return posta__json_unescape(string, buffer) == len && memcmp(buffer, text, len) == 0;
}
