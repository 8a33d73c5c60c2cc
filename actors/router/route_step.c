/* SPDX-License-Identifier: MIT */
#include "route.h"

#include <stdlib.h>
#include <string.h>

static struct posta_bytes get_field(struct posta_envelope *envelope, const struct posta__field *field)
{
	if (field->kind == POSTA__FIELD_HEADER)
		return posta_envelope_header(envelope, field->header);
	return posta_envelope_get(envelope, field->attribute);
}

static enum posta_err set_field(struct posta_envelope *envelope, const struct posta__field *field, const void *value,
				size_t len)
{
	if (field->kind == POSTA__FIELD_ATTRIBUTE)
		return posta_envelope_set(envelope, field->attribute, value, len);
	return value ? posta_envelope_put_header(envelope, field->header, value, len)
		     : posta_envelope_remove_header(envelope, field->header);
}

static enum posta_err set_priority(struct posta_envelope *envelope, const char *text, struct posta_error *error)
{
	static const char *const names[] = { "low", "normal", "high" };
	for (int i = 0; i < 3; i++) {
		if (strcmp(text, names[i]) == 0) {
			posta_envelope_set_priority(envelope, 1 + 4 * i);
			return POSTA_OK;
		}
	}
	if (strlen(text) != 1 || *text < '0' || *text > '9')
		return posta_error_set(error, POSTA_EFORMAT, "\"%.32s\" is no priority", text);
	posta_envelope_set_priority(envelope, *text - '0');
	return POSTA_OK;
}

static enum posta_err set(struct posta__route *route, struct posta_envelope *envelope,
			  const struct posta__change *change, struct posta_error *error)
{
	size_t len;
	enum posta_err err =
		posta__template_fill(change->value, envelope, &route->scratch, &route->scratch_room, &len, error);
	if (err)
		return err;
	if (change->field.kind == POSTA__FIELD_PRIORITY)
		return set_priority(envelope, route->scratch, error);
	return set_field(envelope, &change->field, route->scratch, len);
}

static enum posta_err drop(struct posta_envelope *envelope, const struct posta__change *change)
{
	if (change->field.kind != POSTA__FIELD_PRIORITY)
		return set_field(envelope, &change->field, NULL, 0);
	posta_envelope_set_priority(envelope, POSTA_PRIORITY_NONE);
	return POSTA_OK;
}

/* The value is copied first: it lives in the envelope that changes. */
static enum posta_err rename_field(struct posta__route *route, struct posta_envelope *envelope,
				   const struct posta__change *change)
{
	struct posta_bytes value = get_field(envelope, &change->field);
	if (!value.data)
		return POSTA_OK;
	if (value.len + 1 > route->scratch_room) {
		char *grown = realloc(route->scratch, value.len + 1);
		if (!grown)
			return POSTA_ENOMEM;
		route->scratch = grown;
		route->scratch_room = value.len + 1;
	}
	size_t len = value.len;
	memcpy(route->scratch, value.data, len);
	enum posta_err err = set_field(envelope, &change->field, NULL, 0);
	return err ? err : set_field(envelope, &change->to, route->scratch, len);
}

static enum posta_err change_all(struct posta__route *route, struct posta_envelope *envelope,
				 const struct posta__step *step, struct posta_error *error)
{
	enum posta_err err = POSTA_OK;
	for (const struct posta__change *change = step->changes; change && !err; change = change->next) {
		if (step->kind == POSTA__STEP_SET)
			err = set(route, envelope, change, error);
		else if (step->kind == POSTA__STEP_DROP)
			err = drop(envelope, change);
		else
			err = rename_field(route, envelope, change);
		if (err && error->code != err)
			posta_error_set(error, err, "%s: %s", change->field.path, posta_strerror(err));
	}
	return err;
}

enum posta__verdict posta__route_steps(struct posta__route *route, struct posta_envelope **envelope,
				       struct posta_error *error)
{
	error->code = POSTA_OK;
	for (size_t i = 0; i < route->config->step_count; i++) {
		const struct posta__step *step = &route->config->steps[i];
		bool passes = true;
		enum posta_err err;
		if (step->kind == POSTA__STEP_FILTER) {
			err = posta__expression_test(step->filter, *envelope, &passes, error);
		} else {
			err = posta_envelope_edit(envelope);
			if (err)
				posta_error_set(error, err, "%s", posta_strerror(err));
			else
				err = change_all(route, *envelope, step, error);
		}
		if (err)
			return POSTA__BROKEN;
		if (!passes)
			return POSTA__FILTERED;
	}
	return POSTA__PASS;
}
