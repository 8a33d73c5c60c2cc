/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_SIM_SCENE_H
#define POSTA_TESTS_SIM_SCENE_H

/*
 * A scene: what one seed makes of one set of actors, and what must hold of it whatever the seed. What failed first is
 * kept in words; the run goes on to its end, so that memory is freed.
 */

#include <posta/posta.h>
#include <posta/sim.h>

#include <string.h>

struct scene {
	uint64_t seed;
	struct posta_sim *sim; /* NULL: not started, or stopped */
	void *world;           /* the scene's own */
	void (*trace)(void *context, const char *line);
	uint64_t hash;
	uint64_t steps;
	char problem[256];
};

struct scene_kind {
	const char *name;
	void (*run)(struct scene *scene);
};

extern const struct scene_kind scene_mailboxes, scene_supervision, scene_routes, scene_services, scene_bonds;

/* A simulation with these options; seed, trace and what is zero are filled in. Returns: whether it started. */
bool scene_start(struct scene *scene, struct posta_sim_options options);
/* Stops it in order and notes what was left. */
void scene_stop(struct scene *scene);
void scene_fail(struct scene *scene, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define scene_check(scene, condition, ...) ((condition) ? (void)0 : scene_fail((scene), __VA_ARGS__))

/* 0 .. n - 1, by the seed. */
uint32_t scene_random(struct scene *scene, uint32_t n);
bool scene_chance(struct scene *scene, uint32_t per_mille);
/* A few steps, so that what the scene does next meets the actors at any place. */
void scene_some_steps(struct scene *scene, uint32_t max);

#endif
