/* SPDX-License-Identifier: MIT */
#include "msgpack.h"

#include "number.h"
#include "scan.h"
#include "unpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void write_object(struct posta__buffer *buffer, const msgpack_object *object);

/* The timestamp extension as RFC 3339, where a year has four digits. Source: MessagePack specification, "Timestamp". */
static void write_ext(struct posta__buffer *buffer, const msgpack_object *object)
{
	msgpack_timestamp time;
	char text[25];
	bool is_time = object->via.ext.type == -1 && msgpack_object_to_timestamp(object, &time);
	if (!is_time || time.tv_nsec > 999999999u || time.tv_sec < INT64_C(-62167219200) ||
	    time.tv_sec > INT64_C(253402300799)) {
		posta__buffer_base64(buffer, object->via.ext.ptr, object->via.ext.size);
		return;
	}
	posta_time_format(time.tv_sec * 1000 + time.tv_nsec / 1000000, text);
	posta__buffer_json(buffer, text, sizeof text - 1);
}

static void write_integer(struct posta__buffer *buffer, const msgpack_object *object)
{
	char text[24];
	if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		snprintf(text, sizeof text, "%" PRId64, object->via.i64);
	else
		snprintf(text, sizeof text, "%" PRIu64, object->via.u64);
	posta__buffer_text(buffer, text);
}

static void write_key(struct posta__buffer *buffer, const msgpack_object *key)
{
	if (key->type == MSGPACK_OBJECT_STR || key->type == MSGPACK_OBJECT_BIN || key->type == MSGPACK_OBJECT_EXT) {
		write_object(buffer, key);
		return;
	}
	struct posta__buffer text = { 0 };
	write_object(&text, key);
	buffer->failed |= text.failed;
	if (!text.failed)
		posta__buffer_json(buffer, text.data, text.len);
	free(text.data);
}

static void write_map(struct posta__buffer *buffer, const msgpack_object_map *map)
{
	posta__buffer_text(buffer, "{");
	for (uint32_t i = 0; i < map->size; i++) {
		posta__buffer_text(buffer, i ? "," : "");
		write_key(buffer, &map->ptr[i].key);
		posta__buffer_text(buffer, ":");
		write_object(buffer, &map->ptr[i].val);
	}
	posta__buffer_text(buffer, "}");
}

static void write_array(struct posta__buffer *buffer, const msgpack_object_array *array)
{
	posta__buffer_text(buffer, "[");
	for (uint32_t i = 0; i < array->size; i++) {
		posta__buffer_text(buffer, i ? "," : "");
		write_object(buffer, &array->ptr[i]);
	}
	posta__buffer_text(buffer, "]");
}

/* Recursion ends at POSTA__DEPTH_MAX, which the scan has made sure of. */
static void write_object(struct posta__buffer *buffer, const msgpack_object *object)
{
	switch (object->type) {
	case MSGPACK_OBJECT_NIL:
		posta__buffer_text(buffer, "null");
		break;
	case MSGPACK_OBJECT_BOOLEAN:
		posta__buffer_text(buffer, object->via.boolean ? "true" : "false");
		break;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		write_integer(buffer, object);
		break;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		posta__number_write(buffer, object->via.f64, object->type == MSGPACK_OBJECT_FLOAT32);
		break;
	case MSGPACK_OBJECT_STR:
		posta__buffer_json(buffer, object->via.str.ptr, object->via.str.size);
		break;
	case MSGPACK_OBJECT_BIN:
		posta__buffer_base64(buffer, object->via.bin.ptr, object->via.bin.size);
		break;
	case MSGPACK_OBJECT_EXT:
		write_ext(buffer, object);
		break;
	case MSGPACK_OBJECT_ARRAY:
		write_array(buffer, &object->via.array);
		break;
	case MSGPACK_OBJECT_MAP:
		write_map(buffer, &object->via.map);
		break;
	}
}

enum posta_err posta__msgpack_unpack(const void *data, size_t len, msgpack_unpacked *unpacked,
				     struct posta_error *error)
{
	size_t offset;
	enum posta_err err = posta__msgpack_scan(data, len, &offset);
	if (err)
		return posta_error_set(error, err,
				       err == POSTA_ETOOBIG
					       ? "msgpack is nested deeper than 32 or too large, at byte %zu"
					       : "not msgpack, at byte %zu",
				       offset);
	msgpack_unpacked_init(unpacked);
	offset = 0;
	msgpack_unpack_return result = msgpack_unpack_next(unpacked, data, len, &offset);
	if (result == MSGPACK_UNPACK_SUCCESS)
		return POSTA_OK;
	msgpack_unpacked_destroy(unpacked);
	err = result == MSGPACK_UNPACK_NOMEM_ERROR ? POSTA_ENOMEM : POSTA_EFORMAT;
	return posta_error_set(error, err, "msgpack: %s", posta_strerror(err));
}

enum posta_err posta__msgpack_to_json(const void *data, size_t len, char **out, size_t *out_len,
				      struct posta_error *error)
{
	msgpack_unpacked unpacked;
	struct posta__buffer buffer = { 0 };
	enum posta_err err = posta__msgpack_unpack(data, len, &unpacked, error);
	if (err)
		return err;
	write_object(&buffer, &unpacked.data);
	msgpack_unpacked_destroy(&unpacked);
	if (!posta__buffer_finish(&buffer))
		return posta_error_set(error, POSTA_ENOMEM, "out of memory for JSON");
	*out = buffer.data;
	*out_len = buffer.len;
	return POSTA_OK;
}
