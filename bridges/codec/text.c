/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BUFFER_MIN 256u

static bool continues(const unsigned char *data, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if ((data[i] & 0xC0) != 0x80)
			return false;
	return true;
}

/* Only the second byte tells overlong forms, surrogates and what is beyond U+10FFFF from the rest. */
size_t posta__utf8_sequence(const unsigned char *data, size_t len)
{
	unsigned first = data[0];
	if (first < 0x80)
		return 1;
	size_t count = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
	if (!count || count > len || !continues(data, count))
		return 0;
	if ((first == 0xE0 && data[1] < 0xA0) || (first == 0xED && data[1] > 0x9F) ||
	    (first == 0xF0 && data[1] < 0x90) || (first == 0xF4 && data[1] > 0x8F))
		return 0;
	return count;
}

bool posta__utf8_valid(const void *data, size_t len)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < len;) {
		uint64_t eight;
		if (len - i >= sizeof eight && (memcpy(&eight, bytes + i, sizeof eight), !posta__bytes_high(eight))) {
			i += sizeof eight;
			continue;
		}
		size_t count = posta__utf8_sequence(bytes + i, len - i);
		if (!count)
			return false;
		i += count;
	}
	return true;
}

static bool refused_in_mqtt(const unsigned char *at, size_t count)
{
	if (count == 1)
		return at[0] < 0x20 || at[0] == 0x7F;
	if (count == 2)
		return at[0] == 0xC2 && at[1] < 0xA0;
	if (count == 3) /* U+FDD0 to U+FDEF, U+FFFE, U+FFFF */
		return at[0] == 0xEF &&
		       ((at[1] == 0xB7 && at[2] >= 0x90 && at[2] <= 0xAF) || (at[1] == 0xBF && at[2] >= 0xBE));
	return (at[1] & 0x0F) == 0x0F && at[2] == 0xBF && at[3] >= 0xBE;
}

bool posta__utf8_printable(const void *data, size_t len)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < len;) {
		uint64_t eight;
		if (len - i >= sizeof eight &&
		    (memcpy(&eight, bytes + i, sizeof eight),
		     !(posta__bytes_high(eight) | posta__bytes_below(eight, 0x20) | posta__bytes_equal(eight, 0x7F)))) {
			i += sizeof eight;
			continue;
		}
		size_t count = posta__utf8_sequence(bytes + i, len - i);
		if (!count || refused_in_mqtt(bytes + i, count))
			return false;
		i += count;
	}
	return true;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void posta__base64_encode(const void *data, size_t len, char *out)
{
	const unsigned char *in = data;
	for (size_t i = 0; i < len; i += 3, out += 4) {
		size_t left = len - i;
		uint32_t bits =
			(uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
		out[0] = alphabet[bits >> 18];
		out[1] = alphabet[bits >> 12 & 63];
		out[2] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
		out[3] = left > 2 ? alphabet[bits & 63] : '=';
	}
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool posta__base64_decode(const char *text, size_t len, void *out, size_t *out_len)
{
	unsigned char *to = out;
	if (len % 4)
		return false;
	for (size_t i = 0; i < len; i += 4) {
		size_t pad =
			i + 4 < len ? 0 : (size_t)(text[i + 3] == '=') + (text[i + 3] == '=' && text[i + 2] == '=');
		int a = digit(text[i]);
		int b = digit(text[i + 1]);
		int c = pad > 1 ? 0 : digit(text[i + 2]);
		int d = pad > 0 ? 0 : digit(text[i + 3]);
		if (a < 0 || b < 0 || c < 0 || d < 0 || (pad > 1 && (b & 15)) || (pad == 1 && (c & 3)))
			return false;
		uint32_t bits = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | (uint32_t)d;
		*to++ = (unsigned char)(bits >> 16);
		if (pad < 2)
			*to++ = (unsigned char)(bits >> 8);
		if (pad < 1)
			*to++ = (unsigned char)bits;
	}
	*out_len = (size_t)(to - (unsigned char *)out);
	return true;
}

char *posta__buffer_space(struct posta__buffer *buffer, size_t len)
{
	if (buffer->failed)
		return NULL;
	if (len > buffer->room - buffer->len) {
		size_t room = buffer->room + buffer->room / 2;
		room = room < buffer->len + len ? buffer->len + len : room;
		room = room < BUFFER_MIN ? BUFFER_MIN : room;
		char *data = realloc(buffer->data, room);
		if (!data) {
			buffer->failed = true;
			return NULL;
		}
		buffer->data = data;
		buffer->room = room;
	}
	char *space = buffer->data + buffer->len;
	buffer->len += len;
	return space;
}

void posta__buffer_reserve(struct posta__buffer *buffer, size_t len)
{
	if (posta__buffer_space(buffer, len))
		buffer->len -= len;
}

void posta__buffer_add(struct posta__buffer *buffer, const void *data, size_t len)
{
	char *space = posta__buffer_space(buffer, len);
	if (space && len)
		memcpy(space, data, len);
}

void posta__buffer_text(struct posta__buffer *buffer, const char *text)
{
	posta__buffer_add(buffer, text, strlen(text));
}

static void escape(struct posta__buffer *buffer, unsigned char c)
{
	static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char text[7];
	for (const char *pair = named; *pair; pair += 2)
		if ((unsigned char)pair[0] == c) {
			posta__buffer_add(buffer, (const char[]){ '\\', pair[1] }, 2);
			return;
		}
	snprintf(text, sizeof text, "\\u%04x", c);
	posta__buffer_add(buffer, text, 6);
}

void posta__buffer_json(struct posta__buffer *buffer, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	size_t from = 0;
	posta__buffer_add(buffer, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		uint64_t eight;
		if (len - i >= sizeof eight && (memcpy(&eight, bytes + i, sizeof eight),
						!(posta__bytes_below(eight, 0x20) | posta__bytes_equal(eight, '"') |
						  posta__bytes_equal(eight, '\\')))) {
			i += sizeof eight - 1;
			continue;
		}
		if (bytes[i] >= 0x20 && bytes[i] != '"' && bytes[i] != '\\')
			continue;
		posta__buffer_add(buffer, bytes + from, i - from);
		escape(buffer, bytes[i]);
		from = i + 1;
	}
	if (len > from)
		posta__buffer_add(buffer, bytes + from, len - from);
	posta__buffer_add(buffer, "\"", 1);
}

void posta__buffer_base64(struct posta__buffer *buffer, const void *data, size_t len)
{
	posta__buffer_add(buffer, "\"", 1);
	char *space = posta__buffer_space(buffer, posta__base64_size(len));
	if (space)
		posta__base64_encode(data, len, space);
	posta__buffer_add(buffer, "\"", 1);
}

bool posta__buffer_finish(struct posta__buffer *buffer)
{
	posta__buffer_add(buffer, "", 1);
	if (!buffer->failed) {
		buffer->len--;
		return true;
	}
	free(buffer->data);
	*buffer = (struct posta__buffer){ .failed = true };
	return false;
}

/* The type without parameters and the white space before them. */
static struct posta_bytes bare(struct posta_bytes type)
{
	const char *text = type.data;
	const char *semicolon = type.len ? memchr(text, ';', type.len) : NULL;
	size_t len = semicolon ? (size_t)(semicolon - text) : type.len;
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return (struct posta_bytes){ text, len };
}

bool posta__media_type_is(struct posta_bytes type, const char *name)
{
	struct posta_bytes own = bare(type);
	return own.data && own.len == strlen(name) && strncasecmp(own.data, name, own.len) == 0;
}

static bool ends_with(struct posta_bytes type, const char *suffix)
{
	struct posta_bytes own = bare(type);
	size_t len = strlen(suffix);
	return own.data && own.len >= len && strncasecmp((const char *)own.data + own.len - len, suffix, len) == 0;
}

bool posta__media_type_json(struct posta_bytes type)
{
	return ends_with(type, "/json") || ends_with(type, "+json");
}

bool posta__media_type_msgpack(struct posta_bytes type)
{
	return ends_with(type, "/msgpack") || ends_with(type, "/x-msgpack") || ends_with(type, "/vnd.msgpack") ||
	       ends_with(type, "+msgpack");
}
