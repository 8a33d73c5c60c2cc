/* SPDX-License-Identifier: MIT */
/* Input: a byte that chooses the two kinds, then "name" or "filter NUL topic". */
#include "check.h"

#include "bridges/names.h"

static void name(enum posta__name_kind from, enum posta__name_kind to, const char *text)
{
	char out[4096];
	char back[4096];
	if (posta__name_convert(from, to, text, out, sizeof out, NULL))
		return;
	CHECK(posta__name_check(to, out, NULL) == POSTA_OK);
	CHECK(posta__name_convert(to, from, out, back, sizeof back, NULL) == POSTA_OK);
	CHECK(strcmp(text, back) == 0);
}

/* A topic under a filter is under it as the other broker writes both. */
static void filter(enum posta__name_kind from, enum posta__name_kind to, const char *text, const char *topic)
{
	char out[4096];
	char other[4096];
	struct posta_error error;
	posta__mqtt_match(text, topic);
	posta__amqp_match(text, topic);
	if (posta__filter_check(from, text, &error) || posta__filter_convert(from, to, text, out, sizeof out, &error))
		return;
	CHECK(posta__filter_check(to, out, NULL) == POSTA_OK);
	if (*topic == '$' || posta__name_convert(from, to, topic, other, sizeof other, NULL))
		return;
	if (from == POSTA__NAME_MQTT && to == POSTA__NAME_AMQP)
		CHECK(posta__mqtt_match(text, topic) == posta__amqp_match(out, other));
	if (from == POSTA__NAME_AMQP && to == POSTA__NAME_MQTT)
		CHECK(posta__amqp_match(text, topic) == posta__mqtt_match(out, other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1024];
	if (size < 1 || size > sizeof text - 2)
		return 0;
	memcpy(text, data + 1, size - 1);
	memset(text + size - 1, 0, 2);
	enum posta__name_kind from = (enum posta__name_kind)(data[0] % 3);
	enum posta__name_kind to = (enum posta__name_kind)(data[0] / 3 % 3);
	name(from, to, text);
	filter(from, to, text, text + strlen(text) + 1);
	return 0;
}
