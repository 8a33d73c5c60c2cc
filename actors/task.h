/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_TASK_H
#define POSTA_ACTORS_TASK_H

/* Between a task and the envelope that carries it. */

#include <posta/task_queue.h>

/* Raw format: the JSON as the body, and the priority. Seals the task. Returns: owned. */
enum posta_err posta__task_to_envelope(struct posta_task *task, struct posta_envelope **envelope);
/* One more failed attempt. The service's own, between two calls of the handler. */
void posta__task_count_attempt(struct posta_task *task);

#endif
