/* SPDX-License-Identifier: MIT */
/*
 * The form on disk and between our own services: one map with the CloudEvents names as keys, times as milliseconds,
 * headers as an array of pairs, the body as bytes. A key that is not known is passed over, so that an older reader
 * understands a newer writer.
 */
#include "codec/attribute.h"
#include "codec/msgpack.h"
#include "codec/unpack.h"
#include "envelope.h"

#include <stdlib.h>
#include <string.h>

static void pack_text(msgpack_packer *packer, const void *data, size_t len)
{
	if (posta__utf8_valid(data, len)) {
		msgpack_pack_str(packer, len);
		msgpack_pack_str_body(packer, data, len);
	} else {
		msgpack_pack_bin(packer, len);
		msgpack_pack_bin_body(packer, data, len);
	}
}

static void pack_name(msgpack_packer *packer, const char *name)
{
	pack_text(packer, name, strlen(name));
}

static size_t count_members(const struct posta_envelope *envelope)
{
	size_t count = (envelope->time_ms != POSTA_TIME_NONE) + (size_t)(envelope->expiry_ms != POSTA_TIME_NONE) +
		       (envelope->priority >= 0) + (envelope->header_count > 0) + (envelope->body.data != NULL);
	for (int i = 0; i < POSTA_ATTR_COUNT; i++)
		count += envelope->values[i] != NULL;
	return count;
}

static void pack_integer(msgpack_packer *packer, unsigned kind, int64_t value)
{
	pack_name(packer, posta__kind_names[kind]);
	msgpack_pack_int64(packer, value);
}

static void pack_headers(msgpack_packer *packer, const struct posta_envelope *envelope)
{
	pack_name(packer, "headers");
	msgpack_pack_array(packer, envelope->header_count);
	for (size_t i = 0; i < envelope->header_count; i++) {
		msgpack_pack_array(packer, 2);
		pack_text(packer, envelope->headers[i].name, envelope->headers[i].name_len);
		pack_text(packer, envelope->headers[i].value, envelope->headers[i].value_len);
	}
}

static void pack_envelope(msgpack_packer *packer, const struct posta_envelope *envelope)
{
	msgpack_pack_map(packer, count_members(envelope));
	for (int i = 0; i < POSTA_ATTR_COUNT; i++) {
		if (!envelope->values[i])
			continue;
		pack_name(packer, posta__kind_names[i]);
		pack_text(packer, envelope->values[i], envelope->lengths[i]);
	}
	if (envelope->time_ms != POSTA_TIME_NONE)
		pack_integer(packer, POSTA__KIND_TIME, envelope->time_ms);
	if (envelope->expiry_ms != POSTA_TIME_NONE)
		pack_integer(packer, POSTA__KIND_EXPIRY, envelope->expiry_ms);
	if (envelope->priority >= 0)
		pack_integer(packer, POSTA__KIND_PRIORITY, envelope->priority);
	if (envelope->header_count)
		pack_headers(packer, envelope);
	if (!envelope->body.data)
		return;
	pack_name(packer, "data");
	msgpack_pack_bin(packer, envelope->body.len);
	msgpack_pack_bin_body(packer, envelope->body.data, envelope->body.len);
}

enum posta_err posta_envelope_to_msgpack(const struct posta_envelope *envelope, void **data, size_t *len)
{
	struct posta__buffer buffer = { 0 };
	msgpack_packer packer;
	if (envelope->body.len > UINT32_MAX)
		return POSTA_ETOOBIG;
	msgpack_packer_init(&packer, &buffer, posta__msgpack_write);
	pack_envelope(&packer, envelope);
	if (!posta__buffer_finish(&buffer))
		return POSTA_ENOMEM;
	*data = buffer.data;
	*len = buffer.len;
	return POSTA_OK;
}

static bool bytes_of(const msgpack_object *object, struct posta_bytes *bytes)
{
	if (object->type == MSGPACK_OBJECT_STR)
		*bytes = (struct posta_bytes){ object->via.str.ptr, object->via.str.size };
	else if (object->type == MSGPACK_OBJECT_BIN)
		*bytes = (struct posta_bytes){ object->via.bin.ptr, object->via.bin.size };
	else
		return false;
	/* A length of 0 comes without a pointer. */
	bytes->data = bytes->data ? bytes->data : "";
	return true;
}

static bool is_name(const msgpack_object *key, const char *name)
{
	return key->type == MSGPACK_OBJECT_STR && key->via.str.size == strlen(name) &&
	       memcmp(key->via.str.ptr, name, key->via.str.size) == 0;
}

static bool integer_of(const msgpack_object *object, int64_t *value)
{
	if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER || object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		*value = object->via.i64;
	return object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ||
	       (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && *value >= 0);
}

static enum posta_err take_headers(struct posta_envelope *envelope, const msgpack_object *list)
{
	enum posta_err err = list->type == MSGPACK_OBJECT_ARRAY ? POSTA_OK : POSTA_EFORMAT;
	for (uint32_t i = 0; !err && i < list->via.array.size; i++) {
		const msgpack_object *pair = &list->via.array.ptr[i];
		struct posta_bytes name;
		struct posta_bytes value;
		if (pair->type != MSGPACK_OBJECT_ARRAY || pair->via.array.size != 2 ||
		    !bytes_of(&pair->via.array.ptr[0], &name) || !bytes_of(&pair->via.array.ptr[1], &value))
			return POSTA_EFORMAT;
		err = posta__envelope_add_header(envelope, name.data, name.len, value.data, value.len);
	}
	return err;
}

static enum posta_err take_number(struct posta_envelope *envelope, unsigned kind, const msgpack_object *value)
{
	int64_t integer;
	if (!integer_of(value, &integer))
		return POSTA_EFORMAT;
	if (kind == POSTA__KIND_TIME)
		posta_envelope_set_time(envelope, integer);
	else if (kind == POSTA__KIND_EXPIRY)
		posta_envelope_set_expiry(envelope, integer);
	else if (integer > 9)
		return POSTA_EFORMAT;
	else
		posta_envelope_set_priority(envelope, (int)integer);
	return POSTA_OK;
}

static enum posta_err take_member(struct posta_envelope *envelope, const msgpack_object *key,
				  const msgpack_object *value)
{
	struct posta_bytes bytes;
	if (key->type != MSGPACK_OBJECT_STR)
		return POSTA_EFORMAT;
	if (is_name(key, "headers"))
		return take_headers(envelope, value);
	if (is_name(key, "data"))
		return bytes_of(value, &bytes) ? posta_envelope_set_body(envelope, bytes.data, bytes.len)
					       : POSTA_EFORMAT;
	enum posta__kind kind = posta__kind_of(key->via.str.ptr, key->via.str.size);
	if (kind == POSTA__KIND_TIME || kind == POSTA__KIND_EXPIRY || kind == POSTA__KIND_PRIORITY)
		return take_number(envelope, kind, value);
	if (kind == POSTA__KIND_FREE || kind == POSTA__KIND_SPECVERSION)
		return POSTA_OK;
	return bytes_of(value, &bytes) ? posta_envelope_set(envelope, (enum posta_attribute)kind, bytes.data, bytes.len)
				       : POSTA_EFORMAT;
}

static enum posta_err take_map(struct posta_envelope *envelope, const msgpack_object *object)
{
	enum posta_err err = object->type == MSGPACK_OBJECT_MAP ? POSTA_OK : POSTA_EFORMAT;
	for (uint32_t i = 0; !err && i < object->via.map.size; i++)
		err = take_member(envelope, &object->via.map.ptr[i].key, &object->via.map.ptr[i].val);
	return err;
}

enum posta_err posta_envelope_from_msgpack(const void *data, size_t len, struct posta_envelope **envelope,
					   struct posta_error *error)
{
	msgpack_unpacked unpacked;
	enum posta_err err = posta__msgpack_unpack(data, len, &unpacked, error);
	if (err)
		return err;
	struct posta_envelope *made = posta_envelope_new();
	err = made ? take_map(made, &unpacked.data) : POSTA_ENOMEM;
	msgpack_unpacked_destroy(&unpacked);
	if (err) {
		posta_envelope_unref(made);
		return posta_error_set(error, err, "msgpack is no envelope: %s", posta_strerror(err));
	}
	*envelope = made;
	return POSTA_OK;
}
