/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_EVENT_H
#define POSTA_ACTORS_EVENT_H

/* Between an event and the envelope that carries it. */

#include <posta/event.h>

/*
 * Reads a delivered envelope: a structured CloudEvent, plain JSON, or a binary one with JSON data. The envelope is
 * kept, not changed. Errors: EFORMAT (not JSON), ETOOBIG, ENOMEM.
 */
enum posta_err posta__event_from_envelope(struct posta_envelope *envelope, struct posta_event **event,
					  struct posta_error *error);
/* What goes to a bridge in raw format: the JSON as the body, and the key. Seals the event. Returns: owned. */
enum posta_err posta__event_to_envelope(struct posta_event *event, struct posta_envelope **envelope);

#endif
