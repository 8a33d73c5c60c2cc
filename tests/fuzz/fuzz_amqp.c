/* SPDX-License-Identifier: MIT */
/* Input: bytes as a broker would send them. Each frame goes where the bridge would take it. */
#include "check.h"

#include "bridges/amqp_codec.h"

#define NOW_MS INT64_C(1700000000000)

static const struct posta__amqp_limits limits = { .frame_max = 65536, .channel_max = 16 };

/* What an envelope became on the wire says the same when it is read. */
static void again(const struct posta_envelope *envelope, amqp_pool_t *pool)
{
	static uint8_t out[65536], kept[65536];
	struct posta__amqp_scratch scratch = { kept, sizeof kept, 0 };
	struct posta__wire_body body = { 0 };
	struct posta_envelope *other = NULL;
	const char *why;
	size_t len = 0;

	if (posta__amqp_properties_encode(envelope, POSTA_FORMAT_BINARY, NOW_MS, &scratch, out, sizeof out, &len, &body,
					  &why))
		return;
	posta__wire_body_fini(&body);
	enum posta_err code = posta__amqp_properties_decode((amqp_bytes_t){ len, out }, amqp_cstring_bytes("k"), NOW_MS,
							    pool, &other, &why);

	CHECK(code == POSTA_OK);
	check_same(envelope, other, true);
	posta_envelope_unref(other);
}

static void take(const struct posta__amqp_frame *frame, amqp_pool_t *pool)
{
	amqp_method_number_t method;
	struct posta__amqp_content_header header;
	struct posta_envelope *envelope = NULL;
	void *decoded;
	const char *why;

	if (frame->type == AMQP_FRAME_METHOD && posta__amqp_method_ok(frame, &method))
		amqp_decode_method(method, pool,
				   (amqp_bytes_t){ frame->size - 4, (void *)(uintptr_t)(frame->payload + 4) },
				   &decoded);
	if (frame->type != AMQP_FRAME_HEADER || !posta__amqp_header_read(frame, &header))
		return;
	if (posta__amqp_properties_decode(header.properties, amqp_cstring_bytes("k"), NOW_MS, pool, &envelope, &why))
		return;
	again(envelope, pool);
	posta_envelope_unref(envelope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct posta__amqp_frame frame;
	const char *why;
	amqp_pool_t pool;

	init_amqp_pool(&pool, 4096);
	while (posta__amqp_frame_cut(data, size, &limits, &frame, &why) == POSTA__AMQP_CUT_FRAME) {
		CHECK(frame.size + POSTA__AMQP_FRAME_OVERHEAD <= size);
		take(&frame, &pool);
		recycle_amqp_pool(&pool);
		data += frame.size + POSTA__AMQP_FRAME_OVERHEAD;
		size -= frame.size + POSTA__AMQP_FRAME_OVERHEAD;
	}
	empty_amqp_pool(&pool);
	return 0;
}
