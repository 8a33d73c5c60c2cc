/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ASK_H
#define POSTA_ASK_H

/*
 * Questions: a message that wants one reply before a deadline. A reply that comes too late is recognised by its
 * number, counted, and never mistaken for another one.
 */

#include <posta/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * status OK: reply is borrowed for the call. ETIMEDOUT, EDEAD (the asked one ended or never was): reply is NULL.
 * Returns what a handler returns. Thread: the asking actor's own.
 */
typedef enum posta_err posta_reply_fn(struct posta_actor *self, void *state, enum posta_err status,
				      struct posta_message *reply, void *context);

/* Errors: as posta_send; on an error on_reply is not called. timeout_ms 0: 5,000. */
enum posta_err posta_ask(struct posta_actor *self, posta_ref to, uint32_t type, const void *data, size_t size,
			 uint64_t timeout_ms, posta_reply_fn *on_reply, void *context);

/*
 * Blocks a thread that is none of posta's until the reply is there. *reply_size: in, bytes that fit into reply; out,
 * bytes of the whole reply (what does not fit is cut). *reply_type may be NULL. Errors: as above, EWRONGTHREAD on a
 * worker.
 */
enum posta_err posta_system_ask(struct posta_system *system, posta_ref to, uint32_t type, const void *data, size_t size,
				uint64_t timeout_ms, uint32_t *reply_type, void *reply, size_t *reply_size);

#ifdef __cplusplus
}
#endif
#endif
