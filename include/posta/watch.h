/* SPDX-License-Identifier: MIT */
#ifndef POSTA_WATCH_H
#define POSTA_WATCH_H

/*
 * Monitors and links. A monitor tells its watcher once when the watched actor ends. A link ties two lives: when one
 * ends abnormally the other does too, unless it traps exits. Source: Erlang/OTP reference manual, "Processes".
 */

#include <posta/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t posta_monitor; /* 0: none */

struct posta_down { /* payload of POSTA_MSG_DOWN */
	posta_ref ref;
	posta_monitor monitor;
	enum posta_err reason; /* OK: it ended by itself, normally; EDEAD: it was dead before */
};

struct posta_exit { /* payload of POSTA_MSG_EXIT */
	posta_ref ref;
	enum posta_err reason;
};

/* Exactly one POSTA_MSG_DOWN comes, at once if it is dead already. Returns: 0 when out of memory. */
posta_monitor posta_watch(struct posta_actor *self, posta_ref ref);
/* After it returns no POSTA_MSG_DOWN of it comes, also if one was on its way. */
void posta_unwatch(struct posta_actor *self, posta_monitor monitor);
/* Errors: ENOMEM. Linking to a dead actor is an exit signal with EDEAD. Idempotent. */
enum posta_err posta_link(struct posta_actor *self, posta_ref ref);
/* Undoes it. Idempotent. */
void posta_unlink(struct posta_actor *self, posta_ref ref);

#ifdef __cplusplus
}
#endif
#endif
