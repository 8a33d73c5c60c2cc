/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "bridges/codec/msgpack.h"
#include "bridges/codec/scan.h"

static void envelope(const uint8_t *data, size_t size)
{
	struct posta_envelope *first;
	struct posta_envelope *second;
	void *packed;
	size_t len;
	if (posta_envelope_from_msgpack(data, size, &first, NULL))
		return;
	CHECK(posta_envelope_to_msgpack(first, &packed, &len) == POSTA_OK);
	CHECK(posta_envelope_from_msgpack(packed, len, &second, NULL) == POSTA_OK);
	check_same(first, second, true);
	free(packed);
	posta_envelope_unref(first);
	posta_envelope_unref(second);
}

static void body(const uint8_t *data, size_t size)
{
	struct posta_envelope *envelope = posta_envelope_new();
	CHECK(posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/msgpack") == POSTA_OK);
	CHECK(posta_envelope_set_body(envelope, data, size) == POSTA_OK);
	posta_envelope_field(envelope, "data.a.0");
	posta_envelope_unref(envelope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *json;
	void *packed;
	size_t len;
	envelope(data, size);
	body(data, size);
	if (posta__msgpack_scan(data, size, NULL) != POSTA_OK) {
		CHECK(posta__msgpack_to_json(data, size, &json, &len, NULL) != POSTA_OK);
		return 0;
	}
	CHECK(posta__msgpack_to_json(data, size, &json, &len, NULL) == POSTA_OK);
	CHECK(posta__json_scan(json, len, NULL) == POSTA_OK);
	CHECK(posta__json_to_msgpack(json, len, &packed, &len, NULL) == POSTA_OK);
	CHECK(posta__msgpack_scan(packed, len, NULL) == POSTA_OK);
	free(packed);
	free(json);
	return 0;
}
