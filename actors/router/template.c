/* SPDX-License-Identifier: MIT */
#include "template.h"

#include "bridges/codec/number.h"
#include "expression.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct part {
	const char *text; /* literal, or a path */
	size_t len;
	bool field;
};

struct posta__template {
	size_t count;
	struct part *parts;
	char *texts;
};

struct compiler {
	struct posta__template *out;
	size_t used;
	size_t start; /* of the literal that is being gathered */
};

static void end_part(struct compiler *compiler, bool field)
{
	size_t len = compiler->used - compiler->start;
	if (!len && !field)
		return;
	compiler->out->texts[compiler->used++] = '\0';
	compiler->out->parts[compiler->out->count++] =
		(struct part){ compiler->out->texts + compiler->start, len, field };
	compiler->start = compiler->used;
}

/* at: behind the brace. Returns: bytes up to and with the closing one; 0 with error. */
static size_t take_field(struct compiler *compiler, const char *at, struct posta_error *error)
{
	size_t len = strcspn(at, "{}");
	if (at[len] != '}') {
		posta_error_set(error, POSTA_EFORMAT, "this \"{\" has no \"}\"; a brace itself is written \"{{\"");
		return 0;
	}
	end_part(compiler, false);
	memcpy(compiler->out->texts + compiler->used, at, len);
	compiler->used += len;
	compiler->out->texts[compiler->used] = '\0';
	if (posta__path_check(compiler->out->texts + compiler->start, error))
		return 0;
	end_part(compiler, true);
	return len + 1;
}

static bool compile(struct compiler *compiler, const char *text, unsigned *column, struct posta_error *error)
{
	for (size_t i = 0; text[i]; i++) {
		char c = text[i];
		if (c == '{' && text[i + 1] != '{') {
			*column = (unsigned)i + 1;
			size_t taken = take_field(compiler, text + i + 1, error);
			if (!taken)
				return false;
			i += taken;
			continue;
		}
		if (c == '}' && text[i + 1] != '}') {
			*column = (unsigned)i + 1;
			posta_error_set(error, POSTA_EFORMAT,
					"this \"}\" has no \"{\"; a brace itself is written \"}}\"");
			return false;
		}
		compiler->out->texts[compiler->used++] = c;
		i += c == '{' || c == '}';
	}
	end_part(compiler, false);
	return true;
}

struct posta__template *posta__template_compile(const char *text, unsigned *column, struct posta_error *error)
{
	size_t len = strlen(text);
	*column = 1;
	struct posta__template *tmpl = calloc(1, sizeof *tmpl);
	struct compiler compiler = { .out = tmpl };
	if (tmpl) {
		/* A field takes two bytes or more, and may have a literal before it; each part has a zero. */
		tmpl->parts = calloc(len + 1, sizeof *tmpl->parts);
		tmpl->texts = malloc(2 * len + 2);
	}
	if (!tmpl || !tmpl->parts || !tmpl->texts)
		posta_error_set(error, POSTA_ENOMEM, "out of memory");
	else if (compile(&compiler, text, column, error))
		return tmpl;
	posta__template_free(tmpl);
	return NULL;
}

void posta__template_free(struct posta__template *tmpl)
{
	if (!tmpl)
		return;
	free(tmpl->parts);
	free(tmpl->texts);
	free(tmpl);
}

static enum posta_err append(char **buffer, size_t *room, size_t *len, const void *data, size_t n)
{
	if (n > POSTA_ATTRIBUTE_MAX || *len + n > POSTA_ATTRIBUTE_MAX)
		return POSTA_ETOOBIG;
	if (*len + n + 1 > *room) {
		size_t wanted = 2 * (*len + n + 1);
		char *grown = realloc(*buffer, wanted);
		if (!grown)
			return POSTA_ENOMEM;
		*buffer = grown;
		*room = wanted;
	}
	if (n)
		memcpy(*buffer + *len, data, n);
	*len += n;
	(*buffer)[*len] = '\0';
	return POSTA_OK;
}

static struct posta_bytes value_text(const struct posta_value *value, char scratch[POSTA__NUMBER_TEXT_MAX])
{
	switch (value->kind) {
	case POSTA_VALUE_TEXT:
	case POSTA_VALUE_JSON:
		return value->text;
	case POSTA_VALUE_INT:
		sprintf(scratch, "%" PRId64, value->integer);
		return (struct posta_bytes){ scratch, strlen(scratch) };
	case POSTA_VALUE_DOUBLE:
		posta__number_text(value->number, false, scratch);
		return (struct posta_bytes){ scratch, strlen(scratch) };
	case POSTA_VALUE_BOOL:
		return (struct posta_bytes){ value->boolean ? "true" : "false", value->boolean ? 4 : 5 };
	default:
		return (struct posta_bytes){ "", 0 };
	}
}

enum posta_err posta__template_fill(const struct posta__template *tmpl, struct posta_envelope *envelope, char **buffer,
				    size_t *room, size_t *len, struct posta_error *error)
{
	char scratch[POSTA__NUMBER_TEXT_MAX];
	*len = 0;
	enum posta_err err = append(buffer, room, len, "", 0);
	for (size_t i = 0; i < tmpl->count && !err; i++) {
		struct posta_bytes text = { tmpl->parts[i].text, tmpl->parts[i].len };
		struct posta_value value;
		if (tmpl->parts[i].field) {
			err = posta__path_get(envelope, tmpl->parts[i].text, &value, error);
			if (err)
				return err;
			text = value_text(&value, scratch);
		}
		err = append(buffer, room, len, text.data, text.len);
	}
	return err ? posta_error_set(error, err, "a text made of fields: %s", posta_strerror(err)) : POSTA_OK;
}
