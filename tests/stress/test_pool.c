/* SPDX-License-Identifier: MIT */
/* Blocks that are freed on another thread than they were taken on, of all size classes: none is used by two at once. */
#include "stress.h"

#define SENDERS 2
#define PIECE_MAX 6000

static const size_t sizes[] = { 8, 32, 33, 90, 200, 400, 900, 2000, 4000, PIECE_MAX };

struct world {
	struct posta_system *system;
	posta_ref sink[SENDERS];
	_Atomic(uint64_t) sent, handled, broken;
	_Atomic(bool) over;
};

struct source {
	struct world *world;
	posta_ref to;
	uint32_t random;
	struct posta_message *kept[32]; /* freed later, in another order */
};

static void piece_fill(unsigned char *piece, size_t size, unsigned char byte)
{
	memset(piece, byte, size);
}

static bool piece_is_whole(const struct posta_message *message)
{
	const unsigned char *piece = posta_data(message);
	size_t size = posta_size(message);
	for (size_t i = 1; i < size; i++)
		if (piece[i] != piece[0])
			return false;
	return size > 0 && (size_t)message->type == size;
}

static enum posta_err sink_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct source *sink = state;
	if (!piece_is_whole(message))
		atomic_fetch_add(&sink->world->broken, 1);
	uint32_t place = stress_random(&sink->random) % 32;
	struct posta_message *old = sink->kept[place];
	sink->kept[place] = posta_keep(self, message);
	if (old && !piece_is_whole(old))
		atomic_fetch_add(&sink->world->broken, 1);
	posta_message_free(self, old);
	atomic_fetch_add_explicit(&sink->world->handled, 1, memory_order_release);
	return POSTA_OK;
}

static void sink_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)reason;
	struct source *sink = state;
	for (int i = 0; i < 32; i++)
		posta_message_free(self, sink->kept[i]);
}

static const struct posta_actor_class sink_class = { .name = "sink", .receive = sink_receive, .stop = sink_stop };

static bool room(struct world *world)
{
	return atomic_load(&world->sent) - atomic_load(&world->handled) < 2000;
}

static enum posta_err source_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct source *source = state;
	unsigned char piece[PIECE_MAX];
	if (atomic_load(&source->world->over))
		return POSTA_OK;
	for (int i = 0; i < 32 && room(source->world); i++) {
		size_t size = sizes[stress_random(&source->random) % (sizeof sizes / sizeof *sizes)];
		piece_fill(piece, size, (unsigned char)source->random);
		if (posta_send(self, source->to, (uint32_t)size, piece, size) == POSTA_OK)
			atomic_fetch_add(&source->world->sent, 1);
	}
	return posta_send(self, posta_self(self), 1, NULL, 0);
}

static const struct posta_actor_class source_class = { .name = "source", .receive = source_receive };

static void *stranger(void *argument)
{
	struct source *source = argument;
	unsigned char piece[PIECE_MAX];
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until) {
		size_t size = sizes[stress_random(&source->random) % (sizeof sizes / sizeof *sizes)];
		piece_fill(piece, size, (unsigned char)source->random);
		if (room(source->world) &&
		    posta_system_send(source->world->system, source->to, (uint32_t)size, piece, size) == POSTA_OK)
			atomic_fetch_add(&source->world->sent, 1);
	}
	return NULL;
}

/* Two sources on two workers feed the sinks of the other worker; a stranger feeds both. */
static void free__on_another_worker__goes_home_whole(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct source sinks[SENDERS] = { 0 }, sources[SENDERS] = { 0 }, strangers[SENDERS] = { 0 };
	for (int i = 0; i < SENDERS; i++) {
		sinks[i] = (struct source){ .world = &world, .random = 11 };
		world.sink[i] = stress_spawn(world.system, &sink_class, &sinks[i], 1 + i);
	}
	for (int i = 0; i < SENDERS; i++) {
		sources[i] = (struct source){ .world = &world, .to = world.sink[1 - i], .random = 21 + (uint32_t)i };
		strangers[i] = (struct source){ .world = &world, .to = world.sink[i], .random = 31 + (uint32_t)i };
		posta_system_send(world.system, stress_spawn(world.system, &source_class, &sources[i], 1 + i), 1, NULL,
				  0);
	}
	stress_strangers(SENDERS, stranger, strangers, sizeof *strangers);
	atomic_store(&world.over, true);
	uint64_t sent;
	do {
		sent = atomic_load(&world.sent);
		stress_wait(&world.handled, sent);
	} while (sent != atomic_load(&world.sent));
	stress_stop(world.system);
	assert_int_equal(world.broken, 0);
	assert_true(world.handled > 100);
}

/* A slice is released once, on whatever thread its last holder was. */
static void slice_release(void *data, void *context)
{
	(void)data;
	atomic_fetch_add((_Atomic(uint64_t) *)context, 1);
}

struct slices {
	struct world *world;
	posta_ref to;
	_Atomic(uint64_t) *released;
};

static void *slicer(void *argument)
{
	struct slices *slices = argument;
	static unsigned char bytes[100];
	uint64_t until = stress_now_ms() + STRESS_MS / 2;
	while (stress_now_ms() < until) {
		struct posta_slice slice = { bytes, sizeof bytes, slice_release, (void *)slices->released };
		if (!room(slices->world))
			continue;
		assert_int_equal(posta_system_send_slice(slices->world->system, slices->to, sizeof bytes, &slice),
				 POSTA_OK);
		atomic_fetch_add(&slices->world->sent, 1);
	}
	return NULL;
}

static void slice__from_strangers__is_released_once(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	_Atomic(uint64_t) released = 0;
	struct source sink = { .world = &world, .random = 4 };
	struct slices slices[2];
	posta_ref to = stress_spawn(world.system, &sink_class, &sink, 2);
	for (int i = 0; i < 2; i++)
		slices[i] = (struct slices){ .world = &world, .to = to, .released = &released };
	stress_strangers(2, slicer, slices, sizeof *slices);
	stress_wait(&world.handled, atomic_load(&world.sent));
	stress_stop(world.system);
	assert_int_equal(world.broken, 0);
	assert_int_equal(released, world.sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free__on_another_worker__goes_home_whole),
		cmocka_unit_test(slice__from_strangers__is_released_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
