/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CLI_SESSION_H
#define POSTA_CLI_SESSION_H

/* What pub and sub share: a system, one bridge and one actor, and the main thread that waits for them. */

#include "command.h"

#include <pthread.h>
#include <stdatomic.h>

struct cli_session {
	const char *command;
	struct posta_system *system;
	struct posta_bridge *bridge;
	_Atomic bool bridge_down; /* said on stderr once for each outage */
};

/* Returns: an exit status; CLI_OK: both are there. */
int cli_session_open(struct cli_session *session, const char *command, const char *url,
		     const struct posta_bridge_options *options);
/* Lets the bridge finish for a while, then ends all. */
void cli_session_close(struct cli_session *session);
/* For the actor: says when the broker goes and comes. */
void cli_session_state(struct cli_session *session, const struct posta_bridge_status *status);

#endif
