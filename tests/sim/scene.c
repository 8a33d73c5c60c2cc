/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include <stdarg.h>
#include <stdio.h>

bool scene_start(struct scene *scene, struct posta_sim_options options)
{
	struct posta_error error;
	options.seed = scene->seed;
	options.trace = scene->trace;
	options.trace_context = scene;
	options.steps_max = options.steps_max ? options.steps_max : 200000;
	options.actors_max = options.actors_max ? options.actors_max : 4096;
	if (!posta_sim_start(&options, &scene->sim, &error))
		return true;
	scene_fail(scene, "it does not start: %s", error.text);
	return false;
}

void scene_stop(struct scene *scene)
{
	struct posta_stop_report report;
	if (!scene->sim)
		return;
	if (posta_sim_problem(scene->sim))
		scene_fail(scene, "%s", posta_sim_problem(scene->sim));
	scene->hash = posta_sim_hash(scene->sim);
	scene->steps = posta_sim_steps(scene->sim);
	enum posta_err result = posta_sim_stop(scene->sim, &report);
	scene->sim = NULL;
	scene_check(scene, !result, "%llu actors do not stop", (unsigned long long)report.actors_left);
}

void scene_fail(struct scene *scene, const char *format, ...)
{
	if (scene->problem[0])
		return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(scene->problem, sizeof scene->problem, format, arguments);
	va_end(arguments);
	if (scene->sim)
		posta_sim_note(scene->sim, "FAILED: %s", scene->problem);
}

uint32_t scene_random(struct scene *scene, uint32_t n)
{
	return (uint32_t)(posta_sim_random(scene->sim) % n);
}

bool scene_chance(struct scene *scene, uint32_t per_mille)
{
	return posta_sim_chance(scene->sim, per_mille);
}

void scene_some_steps(struct scene *scene, uint32_t max)
{
	for (uint32_t left = scene_random(scene, max + 1); left && posta_sim_step(scene->sim); left--)
		;
}
