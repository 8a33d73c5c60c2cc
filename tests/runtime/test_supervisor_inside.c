/* SPDX-License-Identifier: MIT */
/* What only a look inside shows: timers that fired when nobody wanted them any more, no memory for one, the records. */
#include "supervision.h"

#include "runtime/cold.h"
#include "runtime/supervisor.h"

static struct posta_actor *actor_of(struct tree *tree)
{
	return posta__slot(posta__system_worker(tree->system, 0), tree->supervisor);
}

static struct posta__supervisor *inside(struct tree *tree)
{
	return actor_of(tree)->state;
}

/* As if that timer had fired already, and the news of it came now. */
static void fire(struct tree *tree, enum posta__due what, posta_ref ref, uint32_t epoch)
{
	posta__supervisor_hooks.timer(actor_of(tree), what, ref, epoch);
	kit_settle(tree->system);
}

static uint64_t timers(struct tree *tree)
{
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(tree->system, &metrics);
	return metrics.timers;
}

static void timer__of_an_earlier_wait__restarts_nothing(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100, .max_ms = 100 };
	tree_start(&tree);
	const struct posta__child *child = inside(&tree)->children.first;
	fail_member(&tree, 0);
	uint32_t first = child->epoch;
	fire(&tree, POSTA__DUE_RESTART, child->ref, first - 1);
	starts_are(&tree, 1, 1, 1);
	posta_system_advance(tree.system, 100);
	starts_are(&tree, 2, 1, 1);
	fail_member(&tree, 0);
	uint32_t second = child->epoch;
	fire(&tree, POSTA__DUE_RESTART, child->ref, first);
	starts_are(&tree, 2, 1, 1);
	fire(&tree, POSTA__DUE_RESTART, child->ref, second);
	starts_are(&tree, 3, 1, 1);
	fire(&tree, POSTA__DUE_RESTART, child->ref, second);
	fire(&tree, POSTA__DUE_RESTART, POSTA_NOBODY, second);
	starts_are(&tree, 3, 1, 1);
	tree_end(&tree);
}

static void timer__of_a_stop_that_is_over__kills_nobody(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ALL);
	struct posta__child *child = inside(&tree)->children.first;
	fail_member(&tree, 1);
	starts_are(&tree, 2, 2, 2);
	assert_true(child->epoch > 0);
	assert_int_equal(timers(&tree), 0);
	child->phase = POSTA__CHILD_STOPPING; /* another stop, which has no time */
	fire(&tree, POSTA__DUE_SHUTDOWN, child->ref, child->epoch);
	assert_false(child->killed);
	child->phase = POSTA__CHILD_UP;
	starts_are(&tree, 2, 2, 2);
	tree_end(&tree);
}

static void timer__of_an_earlier_wait_of_the_group__starts_nothing(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_REST_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 1000, .max_ms = 1000 };
	tree_start(&tree);
	fail_member(&tree, 2);
	uint32_t first = inside(&tree)->group_epoch;
	assert_int_equal(timers(&tree), 1);
	fail_member(&tree, 0);
	uint32_t second = inside(&tree)->group_epoch;
	assert_int_equal(timers(&tree), 1); /* the one is gone, the other is there */
	fire(&tree, POSTA__DUE_GROUP, POSTA_NOBODY, first);
	starts_are(&tree, 1, 1, 1);
	fire(&tree, POSTA__DUE_GROUP, POSTA_NOBODY, second);
	starts_are(&tree, 2, 2, 2);
	fire(&tree, POSTA__DUE_GROUP, POSTA_NOBODY, second);
	starts_are(&tree, 2, 2, 2);
	tree_end(&tree);
}

/* -- No memory for a wait: at once is better than never -- */

struct hog {
	struct kit_heap *heap;
	struct posta_message *kept;
	unsigned starts;
};

static enum posta_err hog_start(struct posta_actor *self, void *state, void *argument)
{
	(void)self, (void)state;
	((struct hog *)argument)->starts++;
	return POSTA_OK;
}

/* All there is, blocks of its worker included. */
static enum posta_err hog_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct hog *hog = state;
	(void)message;
	hog->heap->empty = true;
	for (struct posta_message *more; (more = posta_message_new(self, 1, 0)); hog->kept = more)
		more->next_ = hog->kept;
	return POSTA_EFAILED;
}

static void hog_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct hog *hog = state;
	(void)reason;
	while (!hog->heap->empty && hog->kept) {
		struct posta_message *next = hog->kept->next_;
		posta_message_free(self, hog->kept);
		hog->kept = next;
	}
}

static void no_memory_for_the_wait(enum posta_strategy strategy)
{
	static const struct posta_actor_class klass = {
		.name = "hog", .receive = hog_receive, .start = hog_start, .stop = hog_stop
	};
	struct posta_system *system = kit_system(NULL);
	struct hog hog = { .heap = kit_heap(system) };
	const struct posta_child_spec spec = {
		.id = "hog", .klass = &klass, .argument = &hog, .spawn = { .name = "hog" }
	};
	const struct posta_supervisor_options options = {
		.strategy = strategy,
		.intensity = POSTA_INTENSITY_UNLIMITED,
		.children = &spec,
		.child_count = 1,
		.backoff = { .initial_ms = 1000 },
	};
	posta_system_supervise(system, &options, NULL);
	kit_settle(system);
	kit_send(system, posta_lookup(system, "hog"), 1);
	kit_settle(system);
	assert_int_equal(hog.starts, 2);
	hog.heap->empty = false;
	kit_stop(system);
}

static void backoff__no_memory_for_the_wait__restarts_at_once(void **state)
{
	(void)state;
	no_memory_for_the_wait(POSTA_ONE_FOR_ONE);
	no_memory_for_the_wait(POSTA_ONE_FOR_ALL);
}

/* Blocks there are, but no room for a timer. */
static void backoff__no_memory_for_a_timer__restarts_at_once(void **state)
{
	(void)state;
	static const enum posta_strategy strategies[] = { POSTA_ONE_FOR_ONE, POSTA_ONE_FOR_ALL };
	for (size_t i = 0; i < 2; i++) {
		struct tree tree;
		tree_prepare(&tree, strategies[i]);
		tree.options.intensity = POSTA_INTENSITY_UNLIMITED;
		tree.options.backoff = (struct posta_backoff){ .initial_ms = 1000 };
		tree.options.child_count = 1;
		tree_start(&tree);
		kit_send(tree.system, tree.members[0].self, KIT_FAIL);
		kit_heap(tree.system)->empty = true;
		kit_settle(tree.system);
		assert_int_equal(tree.members[0].starts, 2);
		kit_heap(tree.system)->empty = false;
		tree_end(&tree);
	}
}

/* -- The records: added, removed and found by chance, beside a list that is looked through -- */

enum { RECORDS = 200 };

struct records {
	struct posta_actor *self;
	struct posta__children children;
	struct posta__child *child[RECORDS]; /* NULL: not there */
	struct posta_actor slots[RECORDS];
	char ids[RECORDS][8];
	unsigned order[RECORDS], count; /* as they were added */
};

static void compare(struct records *records)
{
	const struct posta__child *at = records->children.first, *before = NULL;
	assert_int_equal(records->children.count, records->count);
	for (unsigned i = 0; i < records->count; i++, before = at, at = at->next) {
		assert_ptr_equal(at, records->child[records->order[i]]);
		assert_ptr_equal(at->prev, before);
		assert_true(!before || before->serial < at->serial);
	}
	assert_null(at);
	assert_ptr_equal(records->children.last, before);
	for (unsigned i = 0; i < RECORDS; i++) {
		struct posta__child *child = records->child[i];
		struct posta__child *placed = child && child->slot ? child : NULL;
		assert_ptr_equal(posta__child_by_id(&records->children, records->ids[i]), child);
		assert_ptr_equal(posta__child_by_slot(&records->children, &records->slots[i]), placed);
		assert_ptr_equal(posta__child_by_ref(&records->children, posta__self(&records->slots[i])), placed);
	}
}

static void add_record(struct records *records, unsigned i)
{
	const struct posta_child_spec spec = { .id = records->ids[i], .klass = &member_class };
	records->child[i] = posta__child_add(records->self, &records->children, &spec);
	assert_non_null(records->child[i]);
	records->order[records->count++] = i;
}

static void remove_record(struct records *records, unsigned i)
{
	struct posta__child *next = records->child[i]->next, *cursor = records->children.cursor;
	unsigned at = 0;
	if (cursor == records->child[i])
		cursor = next;
	posta__child_remove(records->self, &records->children, records->child[i]);
	assert_ptr_equal(records->children.cursor, cursor);
	records->child[i] = NULL;
	while (records->order[at] != i)
		at++;
	memmove(&records->order[at], &records->order[at + 1], (--records->count - at) * sizeof records->order[0]);
}

static void meddle(struct records *records, uint64_t random)
{
	unsigned i = (unsigned)(random >> 8) % RECORDS;
	struct posta__child *child = records->child[i];
	if (!child)
		add_record(records, i);
	else if (random % 8 < 2)
		remove_record(records, i);
	else if (random % 8 == 2)
		records->children.cursor = child;
	else if (child->slot)
		posta__child_clear_slot(&records->children, child);
	else
		posta__child_set_slot(&records->children, child, &records->slots[i]);
}

static void records__by_chance__are_found(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	struct records *records = calloc(1, sizeof *records);
	records->self = actor_of(&tree);
	for (unsigned i = 0; i < RECORDS; i++) {
		snprintf(records->ids[i], sizeof records->ids[i], "c%u", i);
		records->slots[i].index = 64 + 7 * i;
		atomic_store(&records->slots[i].self, posta__ref_make(9, 1, 64 + 7 * i));
	}
	assert_null(posta__child_by_id(&records->children, "none"));
	assert_null(posta__child_by_slot(&records->children, &records->slots[0]));
	assert_null(posta__child_by_ref(&records->children, 1));
	long blocks = kit_heap(tree.system)->blocks;
	uint64_t random = 7;
	for (int step = 0; step < 3000; step++) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		meddle(records, random);
		compare(records);
	}
	posta__children_free(records->self, &records->children);
	assert_int_equal(kit_heap(tree.system)->blocks, blocks);
	assert_int_equal(records->children.count, 0);
	free(records);
	tree_end(&tree);
}

static void records__no_memory__are_as_before(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	struct kit_heap *heap = kit_heap(tree.system);
	struct posta__children children = { .count = 0 };
	const struct posta_child_spec spec = { .id = "x", .klass = &member_class, .spawn = { .name = "y" } };
	long blocks = heap->blocks;
	for (long fails = 0; fails < 4; fails++) { /* the table, the record, the id, the name */
		heap->left = fails;
		heap->counted = true;
		assert_null(posta__child_add(actor_of(&tree), &children, &spec));
		heap->counted = false;
		assert_int_equal(children.count, 0);
		assert_null(children.first);
		posta__children_free(actor_of(&tree), &children);
		assert_int_equal(heap->blocks, blocks);
	}
	assert_non_null(posta__child_add(actor_of(&tree), &children, &spec));
	posta__children_free(actor_of(&tree), &children);
	assert_int_equal(heap->blocks, blocks);
	tree_end(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer__of_an_earlier_wait__restarts_nothing),
		cmocka_unit_test(timer__of_a_stop_that_is_over__kills_nobody),
		cmocka_unit_test(timer__of_an_earlier_wait_of_the_group__starts_nothing),
		cmocka_unit_test(backoff__no_memory_for_the_wait__restarts_at_once),
		cmocka_unit_test(backoff__no_memory_for_a_timer__restarts_at_once),
		cmocka_unit_test(records__by_chance__are_found),
		cmocka_unit_test(records__no_memory__are_as_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
