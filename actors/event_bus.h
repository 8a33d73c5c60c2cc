/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_EVENT_BUS_H
#define POSTA_ACTORS_EVENT_BUS_H

#include "service.h"

#include <posta/event_bus.h>

#define POSTA__EVENT_TYPES_MAX 4096u

struct posta_event_bus {
	struct posta__service service; /* its lock guards the types, too */
	bool strict_types;
	char **types; /* registered, beside the constants */
	uint32_t type_count, type_room;
};

extern const struct posta__service_kind posta__event_bus_kind;
void posta__event_bus_fini(struct posta_event_bus *bus);

#endif
