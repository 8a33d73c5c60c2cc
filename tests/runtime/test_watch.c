/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <posta/group.h>
#include <posta/registry.h>

#include <string.h>

enum { WATCH = 10, UNWATCH, LINK, UNLINK, NAME, UNNAME, JOIN, LEAVE, PUBLISH };

struct watcher {
	posta_ref other;
	posta_monitor monitor;
	unsigned downs, exits, notes, stops;
	struct posta_down down;
	struct posta_exit exit;
	enum posta_err result, stop_reason;
	size_t sent;
};

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct watcher *w = state;
	switch (message->type) {
	case WATCH:
		w->monitor = posta_watch(self, w->other);
		break;
	case UNWATCH:
		posta_unwatch(self, w->monitor);
		break;
	case LINK:
		w->result = posta_link(self, w->other);
		break;
	case UNLINK:
		posta_unlink(self, w->other);
		break;
	case NAME:
		w->result = posta_register(self, "the name");
		break;
	case UNNAME:
		w->result = posta_unregister(self, "the name");
		break;
	case JOIN:
		w->result = posta_group_join(self, "all");
		break;
	case LEAVE:
		w->result = posta_group_leave(self, "all");
		break;
	case PUBLISH:
		w->sent = posta_group_publish(self, "all", KIT_NOTE, NULL, 0);
		break;
	case POSTA_MSG_DOWN:
		w->downs++;
		memcpy(&w->down, posta_data(message), sizeof w->down);
		break;
	case POSTA_MSG_EXIT:
		w->exits++;
		memcpy(&w->exit, posta_data(message), sizeof w->exit);
		break;
	case KIT_FAIL:
		return POSTA_EFAILED;
	case KIT_STOP:
		posta_stop(self, posta_self(self), POSTA_OK);
		break;
	default:
		w->notes++;
	}
	return POSTA_OK;
}

static void on_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self;
	struct watcher *w = state;
	w->stops++;
	w->stop_reason = reason;
}

static const struct posta_actor_class klass = { .name = "watcher", .receive = receive, .stop = on_stop };

static posta_ref spawn(struct posta_system *system, struct watcher *watcher, bool trap)
{
	const struct posta_spawn_options options = { .trap_exit = trap };
	return posta_system_spawn(system, &klass, watcher, &options, NULL);
}

struct pair {
	struct posta_system *system;
	struct watcher a, b;
	posta_ref ra, rb;
};

static void pair_make(struct pair *pair, bool trap)
{
	*pair = (struct pair){ .system = kit_system(NULL) };
	pair->ra = spawn(pair->system, &pair->a, trap);
	pair->rb = spawn(pair->system, &pair->b, false);
	pair->a.other = pair->rb;
	pair->b.other = pair->ra;
}

static void tell(struct pair *pair, posta_ref ref, uint32_t type)
{
	kit_send(pair->system, ref, type);
	kit_settle(pair->system);
}

static void watch__other_fails__down_once_with_reason(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.ra, WATCH);
	tell(&pair, pair.rb, KIT_FAIL);
	assert_int_equal(pair.a.downs, 1);
	assert_int_equal(pair.a.down.ref, pair.rb);
	assert_int_equal(pair.a.down.monitor, pair.a.monitor);
	assert_int_equal(pair.a.down.reason, POSTA_EFAILED);
	kit_stop(pair.system);
}

static void watch__dead_already__down_at_once(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.rb, KIT_STOP);
	tell(&pair, pair.ra, WATCH);
	assert_int_equal(pair.a.downs, 1);
	assert_int_equal(pair.a.down.reason, POSTA_EDEAD);
	kit_stop(pair.system);
}

static void unwatch__no_down_comes(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.ra, WATCH);
	kit_send(pair.system, pair.rb, KIT_STOP);
	kit_send(pair.system, pair.ra, UNWATCH);
	kit_settle(pair.system);
	tell(&pair, pair.ra, WATCH);
	tell(&pair, pair.ra, UNWATCH);
	assert_true(pair.a.downs <= 1); /* the second watch of a dead one may have spoken first */
	kit_stop(pair.system);
}

static void watch__twice__two_downs(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.ra, WATCH);
	tell(&pair, pair.ra, WATCH);
	tell(&pair, pair.rb, KIT_STOP);
	assert_int_equal(pair.a.downs, 2);
	assert_int_equal(pair.a.down.reason, POSTA_OK);
	kit_stop(pair.system);
}

static void link__other_fails__ends_too(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.ra, LINK);
	tell(&pair, pair.rb, KIT_FAIL);
	assert_int_equal(pair.a.stops, 1);
	assert_int_equal(pair.a.stop_reason, POSTA_ELINKED);
	kit_stop(pair.system);
}

static void link__other_ends_normally__lives_on(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.ra, LINK);
	tell(&pair, pair.rb, KIT_STOP);
	assert_int_equal(pair.a.stops, 0);
	kit_stop(pair.system);
}

static void link__trapped__is_a_message(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, true);
	tell(&pair, pair.ra, LINK);
	tell(&pair, pair.rb, KIT_FAIL);
	assert_int_equal(pair.a.stops, 0);
	assert_int_equal(pair.a.exits, 1);
	assert_int_equal(pair.a.exit.ref, pair.rb);
	assert_int_equal(pair.a.exit.reason, POSTA_EFAILED);
	kit_stop(pair.system);
}

static void unlink__other_fails__lives_on(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.ra, LINK);
	tell(&pair, pair.ra, UNLINK);
	tell(&pair, pair.rb, KIT_FAIL);
	assert_int_equal(pair.a.stops, 0);
	kit_stop(pair.system);
}

static void link__dead__is_an_exit(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.rb, KIT_STOP);
	tell(&pair, pair.ra, LINK);
	assert_int_equal(pair.a.stops, 1);
	kit_stop(pair.system);
}

/* A link to one that waits for its restart holds: if it is not restarted after all, that is its end. */
static void link__to_one_that_is_down__hears_its_end(void **state)
{
	(void)state;
	struct pair pair = { .system = kit_system(NULL) };
	const struct posta_child_spec spec = {
		.id = "b", .klass = &klass, .argument = &pair.b, .spawn = { .name = "b" }
	};
	const struct posta_supervisor_options options = {
		.children = &spec, .child_count = 1, .backoff = { .initial_ms = 1000 }
	};
	posta_ref supervisor = posta_system_supervise(pair.system, &options, NULL);
	kit_settle(pair.system);
	pair.ra = spawn(pair.system, &pair.a, true);
	pair.a.other = pair.rb = posta_lookup(pair.system, "b");
	tell(&pair, pair.rb, KIT_FAIL);
	tell(&pair, pair.ra, LINK);
	assert_int_equal(pair.a.exits, 0);
	posta_system_stop_actor(pair.system, supervisor, POSTA_ESHUTDOWN);
	kit_settle(pair.system);
	assert_int_equal(pair.a.exits, 1);
	assert_int_equal(pair.a.exit.ref, pair.rb);
	kit_stop(pair.system);
}

static void name__is_found_and_ends_with_its_actor(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.ra, NAME);
	assert_int_equal(pair.a.result, POSTA_OK);
	assert_int_equal(posta_lookup(pair.system, "the name"), pair.ra);
	tell(&pair, pair.rb, NAME);
	assert_int_equal(pair.b.result, POSTA_EEXISTS);
	tell(&pair, pair.rb, UNNAME);
	assert_int_equal(pair.b.result, POSTA_ENOTFOUND);
	tell(&pair, pair.ra, KIT_STOP);
	assert_int_equal(posta_lookup(pair.system, "the name"), POSTA_NOBODY);
	tell(&pair, pair.rb, NAME);
	assert_int_equal(posta_lookup(pair.system, "the name"), pair.rb);
	tell(&pair, pair.rb, UNNAME);
	assert_int_equal(posta_lookup(pair.system, "the name"), POSTA_NOBODY);
	kit_stop(pair.system);
}

static void spawn__name_taken__fails(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct watcher a = { 0 };
	const struct posta_spawn_options named = { .name = "one" };
	struct posta_error error;
	posta_ref first = posta_system_spawn(system, &klass, &a, &named, &error);
	assert_int_equal(posta_system_spawn(system, &klass, &a, &named, &error), POSTA_NOBODY);
	assert_int_equal(error.code, POSTA_EEXISTS);
	assert_int_equal(posta_lookup(system, "one"), first);
	kit_stop(system);
}

static void group__publish_reaches_members_until_they_leave_or_end(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, false);
	tell(&pair, pair.ra, JOIN);
	tell(&pair, pair.ra, JOIN);
	tell(&pair, pair.rb, JOIN);
	assert_int_equal(posta_group_size(pair.system, "all"), 2);
	tell(&pair, pair.ra, PUBLISH);
	assert_int_equal(pair.a.sent, 2);
	assert_int_equal(pair.a.notes, 1);
	assert_int_equal(pair.b.notes, 1);
	tell(&pair, pair.ra, LEAVE);
	tell(&pair, pair.rb, KIT_STOP);
	assert_int_equal(posta_group_size(pair.system, "all"), 0);
	kit_stop(pair.system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watch__other_fails__down_once_with_reason),
		cmocka_unit_test(watch__dead_already__down_at_once),
		cmocka_unit_test(unwatch__no_down_comes),
		cmocka_unit_test(watch__twice__two_downs),
		cmocka_unit_test(link__other_fails__ends_too),
		cmocka_unit_test(link__other_ends_normally__lives_on),
		cmocka_unit_test(link__trapped__is_a_message),
		cmocka_unit_test(unlink__other_fails__lives_on),
		cmocka_unit_test(link__dead__is_an_exit),
		cmocka_unit_test(link__to_one_that_is_down__hears_its_end),
		cmocka_unit_test(name__is_found_and_ends_with_its_actor),
		cmocka_unit_test(spawn__name_taken__fails),
		cmocka_unit_test(group__publish_reaches_members_until_they_leave_or_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
