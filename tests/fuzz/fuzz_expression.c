/* SPDX-License-Identifier: MIT */
/* Input: a line that is an expression and a template, then a body. What compiles can be asked for any message. */
#include "check.h"

#include "actors/router/expression.h"
#include "actors/router/template.h"

static struct posta_envelope *envelope_of(const char *body, size_t len)
{
	struct posta_envelope *envelope = posta_envelope_new();

	CHECK(envelope);
	posta_envelope_set_text(envelope, POSTA_ATTR_ID, "1");
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "reserva.creada");
	posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "/fuzz");
	posta_envelope_add_header(envelope, "a", "b", 1);
	CHECK(posta_envelope_set_body(envelope, body, len) == POSTA_OK);
	return envelope;
}

static void ask(const struct posta__expression *expression, struct posta_envelope *envelope)
{
	struct posta_error error = { 0 };
	bool first = false, second = false;
	enum posta_err err = posta__expression_test(expression, envelope, &first, &error);

	CHECK(!err || (err == POSTA_EFORMAT && error.text[0]) || err == POSTA_ENOMEM);
	CHECK(posta__expression_test(expression, envelope, &second, &error) == err && first == second);
}

static void fill(const struct posta__template *tmpl, struct posta_envelope *envelope)
{
	struct posta_error error = { 0 };
	char *buffer = NULL;
	size_t room = 0, len = 0;

	if (posta__template_fill(tmpl, envelope, &buffer, &room, &len, &error) == POSTA_OK)
		CHECK(len <= POSTA_ATTRIBUTE_MAX && (!len || len < room));
	free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t len = end ? (size_t)(end - data) : size;
	char *text = malloc(len + 1);
	struct posta_error error = { 0 };
	unsigned column = 0;

	CHECK(text);
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	struct posta_envelope *envelope = envelope_of(end ? (const char *)end + 1 : "", end ? size - len - 1 : 0);
	struct posta__expression *expression = posta__expression_compile(text, &column, &error);

	CHECK(expression || (error.text[0] && column >= 1 && column <= strlen(text) + 1));
	if (expression)
		ask(expression, envelope);
	struct posta__template *tmpl = posta__template_compile(text, &column, &error);

	if (tmpl)
		fill(tmpl, envelope);
	posta__expression_free(expression);
	posta__template_free(tmpl);
	posta_envelope_unref(envelope);
	free(text);
	return 0;
}
