/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CLI_FINDINGS_H
#define POSTA_CLI_FINDINGS_H

#include <posta/router.h>

#include <stdio.h>

struct cli_findings {
	FILE *out;
	unsigned errors;
};

/* A posta_diagnostic_fn: prints them as compilers do. */
void cli_finding(void *findings, const struct posta_diagnostic *diagnostic);

#endif
