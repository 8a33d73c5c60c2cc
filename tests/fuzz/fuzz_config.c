/* SPDX-License-Identifier: MIT */
/* Input: a file of routes. It is taken, or refused with a finding that has a place. */
#include "check.h"

#include <posta/router.h>

/* libfyaml 0.7.12 loses 2 KiB on a text with dozens of quotes in a row. Leaks of our own are still found. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml";
}

struct findings {
	unsigned errors;
};

static void on_finding(void *context, const struct posta_diagnostic *diagnostic)
{
	struct findings *findings = context;

	CHECK(diagnostic->line >= 1 && diagnostic->column >= 1);
	CHECK(diagnostic->text && diagnostic->text[0]);
	findings->errors += !diagnostic->warning;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct findings findings = { 0 };
	struct posta_error error = { 0 };
	struct posta_router_config *config =
		posta_router_config_parse((const char *)data, size, "f", on_finding, &findings, &error);

	CHECK(config ? findings.errors == 0 : error.code != POSTA_OK && error.text[0]);
	if (config)
		CHECK(posta_router_config_routes(config) > 0);
	posta_router_config_free(config);
	return 0;
}
