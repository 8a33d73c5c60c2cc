/* SPDX-License-Identifier: MIT */
/* JSON to msgpack, straight from the text: a tree in between would cost an allocation a value. */
#include "msgpack.h"
#include "number.h"
#include "scan.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

int posta__msgpack_write(void *context, const char *data, size_t len)
{
	posta__buffer_add(context, data, len);
	return ((struct posta__buffer *)context)->failed ? -1 : 0;
}

struct packer {
	msgpack_packer pack;
	char *scratch; /* room for the longest string */
};

static void pack_string(struct packer *packer, struct posta_bytes string)
{
	size_t len = posta__json_unescape(string, packer->scratch);
	msgpack_pack_str(&packer->pack, len);
	msgpack_pack_str_body(&packer->pack, packer->scratch, len);
}

static void pack_number(struct packer *packer, struct posta_bytes text)
{
	struct posta__number number = posta__number_parse(text);
	if (number.kind == POSTA__INTEGER)
		msgpack_pack_int64(&packer->pack, number.integer);
	else if (number.kind == POSTA__UNSIGNED)
		msgpack_pack_uint64(&packer->pack, number.natural);
	else
		msgpack_pack_double(&packer->pack, number.number);
}

static void pack_scalar(struct packer *packer, struct posta_bytes value)
{
	switch (*(const char *)value.data) {
	case '"':
		pack_string(packer, value);
		break;
	case 't':
		msgpack_pack_true(&packer->pack);
		break;
	case 'f':
		msgpack_pack_false(&packer->pack);
		break;
	case 'n':
		msgpack_pack_nil(&packer->pack);
		break;
	default:
		pack_number(packer, value);
	}
}

/* Recursion ends at POSTA__DEPTH_MAX, which the scan has made sure of. */
static void pack_value(struct packer *packer, struct posta_bytes value)
{
	struct posta__json_walk walk;
	if (!posta__json_walk(&walk, value)) {
		pack_scalar(packer, value);
		return;
	}
	size_t count = 0;
	while (posta__json_next(&walk))
		count++;
	if (walk.object)
		msgpack_pack_map(&packer->pack, count);
	else
		msgpack_pack_array(&packer->pack, count);
	posta__json_walk(&walk, value);
	while (posta__json_next(&walk)) {
		if (walk.object)
			pack_string(packer, walk.name);
		pack_value(packer, walk.value);
	}
}

enum posta_err posta__json_to_msgpack(const void *json, size_t len, void **out, size_t *out_len,
				      struct posta_error *error)
{
	enum posta_err err = posta__json_check(json, len, error);
	if (err)
		return err;
	struct posta__buffer buffer = { 0 };
	struct packer packer = { .scratch = malloc(len) };
	if (packer.scratch) {
		msgpack_packer_init(&packer.pack, &buffer, posta__msgpack_write);
		pack_value(&packer, posta__json_value(json, len));
	}
	free(packer.scratch);
	if (!packer.scratch || buffer.failed) {
		free(buffer.data);
		return posta_error_set(error, POSTA_ENOMEM, "out of memory for msgpack");
	}
	*out = buffer.data;
	*out_len = buffer.len;
	return POSTA_OK;
}
