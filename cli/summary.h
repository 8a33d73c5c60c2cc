/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CLI_SUMMARY_H
#define POSTA_CLI_SUMMARY_H

#include <posta/router.h>

struct cli_totals {
	uint64_t received, sent, filtered, dead_lettered, in_flight, restarts;
	unsigned bridges, connected;
	unsigned routes_ended; /* by themselves: they have an error */
};

void cli_total(struct posta_router *router, struct cli_totals *totals);
/* On stdout: a table, or one JSON object. */
void cli_summary(struct posta_router *router, bool json, uint64_t elapsed_ms);

#endif
