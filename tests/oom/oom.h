/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_OOM_H
#define POSTA_TESTS_OOM_H

/*
 * Every allocation of a scenario fails once: the first in the first run, the second in the second .. until a run needs
 * no more of them. What allocates is what the linker wraps (meson.build): malloc and its kin, mmap, eventfd, threads,
 * loops. Each run ends with its system stopped and nothing left allocated.
 */

#include "../runtime/kit.h"

/* Runs scenario with the n-th allocation failing, n = 1, 2 .. */
void oom_every(void (*scenario)(void));
/* Whether it worked. An error must be the one that a lack of memory (or of threads, descriptors) is. */
bool oom_worked(enum posta_err result);
/* A host-driven system on a virtual clock, whose memory is counted; NULL. */
struct posta_system *oom_system(void);
/* The same on the real clock: for calls that block with a deadline. */
struct posta_system *oom_system_in_time(void);
/* Stops it: all actors end in time, and all memory has come back. NULL is allowed. */
void oom_stop(struct posta_system *system);
/* An actor that does on start what the argument says, and gets what comes of it. */
struct oom_actor {
	void (*act)(struct posta_actor *self, struct oom_actor *actor);
	posta_ref self;
	posta_ref other;
	unsigned handled;
	bool fail_once;
	void *context;
};
extern const struct posta_actor_class oom_actor_class;

#endif
