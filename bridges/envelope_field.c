/* SPDX-License-Identifier: MIT */
#include "envelope.h"

#include <stdlib.h>

struct posta__view {
	struct posta__view *next;
};

void posta__view_free(struct posta__view *view)
{
	while (view) {
		struct posta__view *next = view->next;
		free(view);
		view = next;
	}
}
