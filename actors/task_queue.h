/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_TASK_QUEUE_H
#define POSTA_ACTORS_TASK_QUEUE_H

#include "service.h"

#include <posta/task_queue.h>

struct posta_task_queue {
	struct posta__service service;
};

extern const struct posta__service_kind posta__task_queue_kind;

#endif
