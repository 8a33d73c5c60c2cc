/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_TELEMETRY_H
#define POSTA_ACTORS_TELEMETRY_H

#include "service.h"

#include <posta/telemetry.h>

#define POSTA__METRICS_MAX 100u
#define POSTA__HEALTH_TOPIC "servicios/health/"

struct posta_telemetry {
	struct posta__service service;
};

extern const struct posta__service_kind posta__telemetry_kind;

/* The body of a health metric. Returns: owned, free(); NULL when out of memory or service is no UTF-8. */
char *posta__health_json(const char *service, enum posta_health health);

#endif
