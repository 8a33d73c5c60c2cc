/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include "text.h"

enum shape { SCALAR, STRING, ARRAY, MAP, BAD };

/* Of the tags 0xC0 to 0xDF: bytes of the length that follows, bytes that follow anyway, and what it is. */
/* clang-format off */
static const struct tag {
	unsigned char length_bytes;
	unsigned char fixed;
	unsigned char shape;
} tags[32] = {
	{ 0, 0, SCALAR }, { 0, 0, BAD },    { 0, 0, SCALAR }, { 0, 0, SCALAR }, /* nil, never used, false, true */
	{ 1, 0, SCALAR }, { 2, 0, SCALAR }, { 4, 0, SCALAR },                   /* bin */
	{ 1, 1, SCALAR }, { 2, 1, SCALAR }, { 4, 1, SCALAR },                   /* ext, with its type */
	{ 0, 4, SCALAR }, { 0, 8, SCALAR },                                     /* float */
	{ 0, 1, SCALAR }, { 0, 2, SCALAR }, { 0, 4, SCALAR }, { 0, 8, SCALAR }, /* uint */
	{ 0, 1, SCALAR }, { 0, 2, SCALAR }, { 0, 4, SCALAR }, { 0, 8, SCALAR }, /* int */
	{ 0, 2, SCALAR }, { 0, 3, SCALAR }, { 0, 5, SCALAR }, { 0, 9, SCALAR }, { 0, 17, SCALAR }, /* fixext */
	{ 1, 0, STRING }, { 2, 0, STRING }, { 4, 0, STRING },
	{ 2, 0, ARRAY },  { 4, 0, ARRAY },
	{ 2, 0, MAP },    { 4, 0, MAP },
};
/* clang-format on */

struct item {
	enum shape shape;
	uint64_t count; /* bytes of a scalar or string, elements of an array or map (two a pair) */
};

struct scanner {
	const unsigned char *at;
	const unsigned char *end;
};

static uint64_t big_endian(const unsigned char *at, size_t bytes)
{
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

static bool read_head(struct scanner *scanner, struct item *item)
{
	if (scanner->at == scanner->end)
		return false;
	unsigned tag = *scanner->at++;
	if (tag < 0x80 || tag >= 0xE0) {
		*item = (struct item){ SCALAR, 0 };
	} else if (tag < 0x90) {
		*item = (struct item){ MAP, (tag & 15) * 2u };
	} else if (tag < 0xA0) {
		*item = (struct item){ ARRAY, tag & 15 };
	} else if (tag < 0xC0) {
		*item = (struct item){ STRING, tag & 31 };
	} else {
		const struct tag *row = &tags[tag - 0xC0];
		if ((size_t)(scanner->end - scanner->at) < row->length_bytes)
			return false;
		uint64_t count = big_endian(scanner->at, row->length_bytes);
		scanner->at += row->length_bytes;
		*item = (struct item){ (enum shape)row->shape, row->shape == MAP ? count * 2 : count + row->fixed };
	}
	return item->shape != BAD && item->count <= (uint64_t)(scanner->end - scanner->at);
}

static enum posta_err scan(struct scanner *scanner)
{
	uint64_t left[POSTA__DEPTH_MAX];
	size_t depth = 0;
	for (size_t objects = 1;; objects++) {
		struct item item;
		if (!read_head(scanner, &item))
			return POSTA_EFORMAT;
		if (objects > POSTA__OBJECTS_MAX)
			return POSTA_ETOOBIG;
		bool nests = item.shape == ARRAY || item.shape == MAP;
		/* An empty one too: msgpack-c needs a place on its stack for it. */
		if (nests && depth == POSTA__DEPTH_MAX)
			return POSTA_ETOOBIG;
		if (nests && item.count) {
			left[depth++] = item.count;
			continue;
		}
		if (item.shape == STRING && !posta__utf8_valid(scanner->at, item.count))
			return POSTA_EFORMAT;
		scanner->at += nests ? 0 : item.count;
		while (depth && --left[depth - 1] == 0)
			depth--;
		if (!depth)
			return scanner->at == scanner->end ? POSTA_OK : POSTA_EFORMAT;
	}
}

enum posta_err posta__msgpack_scan(const void *data, size_t len, size_t *offset)
{
	if (offset)
		*offset = 0;
	if (!data || !len)
		return POSTA_EFORMAT;
	if (len > POSTA__DOCUMENT_MAX)
		return POSTA_ETOOBIG;
	struct scanner scanner = { data, (const unsigned char *)data + len };
	enum posta_err err = scan(&scanner);
	if (offset)
		*offset = (size_t)(scanner.at - (const unsigned char *)data);
	return err;
}
