/* SPDX-License-Identifier: MIT */
/* Arguments of a declaration, from the texts of posta_target and posta_source. */
#include "bridges/amqp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static amqp_field_value_t value_of(const char *text)
{
	amqp_field_value_t value = { .kind = AMQP_FIELD_KIND_UTF8, .value.bytes = posta__amqp_text(text) };
	char *rest;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
		value.kind = AMQP_FIELD_KIND_BOOLEAN;
		value.value.boolean = *text == 't';
		return value;
	}
	errno = 0;
	long long number = strtoll(text, &rest, 10);
	if (rest == text || *rest || errno)
		return value;
	value.kind = AMQP_FIELD_KIND_I64;
	value.value.i64 = number;
	return value;
}

amqp_table_t posta__amqp_arguments(const char *const *list, int priority_max, struct posta__amqp_arguments *room)
{
	amqp_table_t table = { .entries = room->entries };

	if (priority_max > 0) {
		amqp_field_value_t value = { .kind = AMQP_FIELD_KIND_I32, .value.i32 = priority_max };
		table.entries[table.num_entries++] = (amqp_table_entry_t){ posta__amqp_text("x-max-priority"), value };
	}
	for (; list && list[0] && list[1] && table.num_entries < (int)POSTA__AMQP_ARGUMENTS_MAX; list += 2)
		table.entries[table.num_entries++] =
			(amqp_table_entry_t){ posta__amqp_text(list[0]), value_of(list[1]) };
	return table;
}

enum posta_err posta__amqp_arguments_check(const char *const *list, bool declared, struct posta_error *error)
{
	size_t n = 0;

	if (list && !declared)
		return posta_error_set(error, POSTA_EINVAL, "amqp: queue_arguments need a queue that is not passive");
	while (list && list[n]) {
		if (!list[n][0] || strlen(list[n]) > UINT8_MAX || !list[n + 1])
			return posta_error_set(error, POSTA_EINVAL,
					       "amqp: queue_arguments are names (up to 255 bytes) and values in turn");
		if ((n += 2) > 2u * (POSTA__AMQP_ARGUMENTS_MAX - 2))
			return posta_error_set(error, POSTA_EINVAL, "amqp: more than %u queue_arguments",
					       POSTA__AMQP_ARGUMENTS_MAX - 2);
	}
	return POSTA_OK;
}
