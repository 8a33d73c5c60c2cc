/* SPDX-License-Identifier: MIT */
#include "amqp_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scene scene_new(void)
{
	struct scene scene = { .core = core_new(&posta__amqp_ops, "amqp://guest:guest@127.0.0.1") };

	scene.peer = peer_new(scene.core->loop);
	snprintf(scene.core->url, sizeof scene.core->url, "amqp://guest:guest@127.0.0.1:%d", scene.peer->port);
	return scene;
}

struct scene connected(void)
{
	struct scene scene = scene_new();

	core_connected(scene.core);
	return scene;
}

void scene_end(struct scene scene)
{
	peer_free(scene.peer);
	core_free(scene.core);
}

struct scene subscribed(void)
{
	struct scene scene = connected();
	struct posta_source source = { .size = sizeof source, .queue = "q", .credit = 100 };

	scene.core->ops->subscribe(scene.core, scene.core->state, 1, &source);
	core_wait(scene.core, scene.core->subscribed_count == 1);
	assert_int_equal(scene.core->subscribed_result, POSTA_OK);
	return scene;
}

void assert_down(struct scene scene, enum posta_err code, const char *words)
{
	core_wait(scene.core, scene.core->downs == 1);
	if (!strstr(scene.core->down_text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, scene.core->down_text);
	assert_int_equal(scene.core->down_code, code);
}
