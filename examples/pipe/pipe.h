/* SPDX-License-Identifier: MIT */
#ifndef PIPE_H
#define PIPE_H

/* A bridge from outside the library, as docs/guides/add-a-bridge.md builds it: topics within this process, "pipe:". */

#include <posta/bridge_ops.h>

extern const struct posta_bridge_ops pipe_ops; /* for posta_bridge_register() */

/* The broker goes away, and comes back: connections break, new ones are refused meanwhile. Any thread. */
void pipe_set_away(bool away);

#endif
