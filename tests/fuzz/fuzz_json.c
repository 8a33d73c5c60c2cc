/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "bridges/codec/msgpack.h"
#include "bridges/codec/scan.h"

#include <json-c/json.h>

/* What our scan takes, another implementation takes too. */
static void compare(const uint8_t *data, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(POSTA__DEPTH_MAX + 2);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	struct json_object *object = json_tokener_parse_ex(tokener, (const char *)data, (int)size);
	enum json_tokener_error error = json_tokener_get_error(tokener);
	/* A number at the end could go on. */
	if (error == json_tokener_continue)
		object = json_tokener_parse_ex(tokener, "", 1), error = json_tokener_get_error(tokener);
	CHECK(error == json_tokener_success);
	json_object_put(object);
	json_tokener_free(tokener);
}

static void envelope(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "data.a.0", "data", "type", "time", "data.a.b", "x", "data.", "header.a" };
	struct posta_envelope *first;
	struct posta_envelope *second;
	char *json;
	size_t len;
	if (posta_envelope_from_json(data, size, &first, NULL))
		return;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		struct posta_value value = posta_envelope_field(first, paths[i]);
		if (value.kind == POSTA_VALUE_JSON)
			CHECK(posta__json_scan(value.text.data, value.text.len, NULL) == POSTA_OK);
	}
	CHECK(posta_envelope_to_json(first, &json, &len) == POSTA_OK);
	if (posta_envelope_from_json(json, len, &second, NULL) == POSTA_OK) {
		struct posta_bytes body = posta_envelope_body(first);
		/* White space around a JSON body is not kept. */
		if (body.len && posta__json_scan(body.data, body.len, NULL) == POSTA_OK)
			CHECK(posta_envelope_set_body(first, posta__json_value(body.data, body.len).data,
						      posta__json_value(body.data, body.len).len) == POSTA_OK);
		body = posta_envelope_body(second);
		if (body.len && posta__json_scan(body.data, body.len, NULL) == POSTA_OK)
			CHECK(posta_envelope_set_body(second, posta__json_value(body.data, body.len).data,
						      posta__json_value(body.data, body.len).len) == POSTA_OK);
		check_same(first, second, true);
		posta_envelope_unref(second);
	} else {
		/* Only because the body went one level deeper. */
		CHECK(posta__json_scan(json, len, NULL) == POSTA_ETOOBIG);
	}
	free(json);
	posta_envelope_unref(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *json;
	void *packed;
	size_t len;
	size_t offset = 0;
	envelope(data, size);
	if (posta__json_scan(data, size, &offset) != POSTA_OK) {
		CHECK(offset <= size);
		return 0;
	}
	compare(data, size);
	CHECK(posta__json_to_msgpack(data, size, &packed, &len, NULL) == POSTA_OK);
	CHECK(posta__msgpack_scan(packed, len, NULL) == POSTA_OK);
	CHECK(posta__msgpack_to_json(packed, len, &json, &len, NULL) == POSTA_OK);
	CHECK(posta__json_scan(json, len, NULL) == POSTA_OK);
	free(packed);
	free(json);
	return 0;
}
