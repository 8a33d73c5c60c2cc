/* SPDX-License-Identifier: MIT */
#include "findings.h"

void cli_finding(void *context, const struct posta_diagnostic *diagnostic)
{
	struct cli_findings *findings = context;
	findings->errors += !diagnostic->warning;
	fprintf(findings->out, "%s:%d:%d: %s: %s\n", diagnostic->file, diagnostic->line, diagnostic->column,
		diagnostic->warning ? "warning" : "error", diagnostic->text);
	if (diagnostic->hint)
		fprintf(findings->out, "  hint: %s\n", diagnostic->hint);
}
