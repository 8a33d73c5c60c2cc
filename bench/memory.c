/* SPDX-License-Identifier: MIT */
/*
 * bench_memory [--runs N] [--json FILE]: bytes that an idle actor keeps (resident memory, state not counted, after its
 * first message, so that all that it ever needs is there), and nanoseconds of spawn + stop, warm.
 */
#include "floor.h"
#include "options.h"
#include "rows.h"
#include "savina/savina.h"

#include <unistd.h>

enum { FILL = 1, HELLO };
enum { IDLERS = 500000, PAIRS = 1000000 };

static enum posta_err hello(struct posta_actor *self, void *state, struct posta_message *message)
{
	return POSTA_OK;
}

static const struct posta_actor_class idler_class = { .name = "idler", .receive = hello };

/* In bursts, so that each has had its message, and the block of it is free again, before the next ones come. */
static enum posta_err fill(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint64_t left = savina_value(message);
	for (uint64_t i = 0; i < SAVINA_BURST && left > 0; i++, left--)
		savina_send(self, posta_spawn(self, &idler_class, NULL), HELLO, 0);
	return left > 0 ? savina_send(self, posta_self(self), FILL, left) : POSTA_OK;
}

static const struct posta_actor_class mother_class = { .name = "mother", .receive = fill };

static double resident(void)
{
	long all = 0, here = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (!file || fscanf(file, "%ld %ld", &all, &here) != 2)
		savina_die("cannot read /proc/self/statm");
	fclose(file);
	return (double)here * (double)sysconf(_SC_PAGESIZE);
}

static struct posta_system *start_system(void)
{
	const struct posta_system_options options = { .workers = 1, .pin_cpus = true };
	struct posta_system *system;
	struct posta_error error;
	if (posta_system_start(&options, &system, &error))
		savina_die(error.text);
	return system;
}

static void wait_for_messages(struct posta_system *system, uint64_t count)
{
	struct posta_metrics metrics = { .size = sizeof metrics };
	for (int tries = 0; metrics.messages < count; tries++) {
		if (tries == 6000)
			savina_die("the actors do not come");
		floor_sleep_us(10000);
		posta_system_metrics(system, &metrics);
	}
}

static double idle_bytes(void)
{
	struct posta_system *system = start_system();
	posta_ref mother = posta_system_spawn(system, &mother_class, NULL, NULL, NULL);
	uint64_t some = SAVINA_BURST, all = IDLERS;
	posta_system_send(system, mother, FILL, &some, sizeof some);
	wait_for_messages(system, SAVINA_BURST);
	double before = resident();
	posta_system_send(system, mother, FILL, &all, sizeof all);
	wait_for_messages(system, SAVINA_BURST + IDLERS);
	double bytes = (resident() - before) / IDLERS;
	posta_system_stop(system, 60000, NULL);
	return bytes;
}

static void spawn_stop(unsigned runs)
{
	struct posta_system *system = start_system();
	double ns[RUNS_MAX];
	savina_measure(system, &savina_fork_join_create, PAIRS, NULL);
	for (unsigned run = 0; run < runs; run++)
		ns[run] = savina_measure(system, &savina_fork_join_create, PAIRS, NULL) / PAIRS;
	rows_add("spawn-stop", "posta", 1, "ns, with a message each way", ns, runs);
	posta_system_stop(system, 10000, NULL);
}

int main(int argc, char **argv)
{
	const struct bench_options options = bench_options(argc, argv, 5);
	/* Memory that is free again is not given back to the kernel at once: only the first round is honest. */
	double bytes = idle_bytes();
	rows_begin("memory", options.json);
	rows_add("idle-actor", "posta", 0, "bytes", &bytes, 1);
	spawn_stop(options.runs);
	rows_end();
	return 0;
}
