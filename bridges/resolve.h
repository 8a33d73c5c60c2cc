/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_RESOLVE_H
#define POSTA_BRIDGES_RESOLVE_H

/*
 * Names to addresses without holding up the loop: getaddrinfo() on a helper thread that lives as long as the
 * question. Thread: the loop's.
 */

#include <posta/error.h>

#include <ev.h>
#include <netdb.h>

struct posta__resolve;

/*
 * The answer, never from within posta__resolve_start(). addresses: owned by the callee, freeaddrinfo(); NULL with
 * text (a person's words, naming the host) when there is none. The resolve is gone when this returns.
 */
typedef void posta__resolve_fn(void *context, struct addrinfo *addresses, const char *text);

/* Errors: ENOMEM, EIO (threads, descriptors). Returns: owned by itself until the answer or _cancel. */
enum posta_err posta__resolve_start(struct ev_loop *loop, const char *host, int port, posta__resolve_fn *on_done,
				    void *context, struct posta__resolve **resolve, struct posta_error *error);
/* No answer will come; a thread that still waits for the resolver ends by itself later. NULL is allowed. */
void posta__resolve_cancel(struct posta__resolve *resolve);

#endif
