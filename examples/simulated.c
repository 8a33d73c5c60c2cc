/* SPDX-License-Identifier: MIT */
/*
 * A test by simulation: a teller sends deposits over a link that loses, repeats and reorders them to an account on
 * another host, which crashes now and then and keeps only what is in its store. Whatever the seed, no deposit may be
 * lost or counted twice. `simulated` plays 500 seeds; `simulated SEED` plays one and prints its trace.
 * docs/guides/simulation.md goes through it.
 */
#include <posta/posta.h>
#include <posta/sim.h>

#include <stdio.h>
#include <stdlib.h>

#define DEPOSITS 20u
#define AGAIN_MS 50

enum { DEPOSIT = 1, TAKEN, AGAIN };
enum { BANK, BRANCH };

/* -- The actors: what is tested. They know nothing of the simulation but the link. -- */

struct store {         /* of the account: think of a file */
	unsigned last; /* deposit */
	uint64_t balance;
};

static enum posta_err account_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	return posta_register(self, "account");
}

/* Only the next one counts; what was counted before is confirmed again, since its confirmation was lost. */
static enum posta_err account_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct store *store = state;
	unsigned number = *(unsigned *)posta_data(message);
	if (number == store->last + 1) {
		store->last = number;
		store->balance += number;
	}
	return posta_sim_send(self, BRANCH, "teller", TAKEN, &store->last, sizeof store->last);
}

struct teller {
	unsigned taken; /* the last one that was confirmed */
};

static enum posta_err teller_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	posta_send_every(self, AGAIN_MS, posta_self(self), AGAIN, NULL, 0);
	return posta_register(self, "teller");
}

static enum posta_err teller_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct teller *teller = state;
	if (message->type == TAKEN && *(unsigned *)posta_data(message) > teller->taken)
		teller->taken = *(unsigned *)posta_data(message);
	unsigned next = teller->taken + 1;
	return next > DEPOSITS ? POSTA_OK : posta_sim_send(self, BANK, "account", DEPOSIT, &next, sizeof next);
}

static const struct posta_actor_class account = { .name = "account",
						  .start = account_start,
						  .receive = account_receive };
static const struct posta_actor_class teller = { .name = "teller", .start = teller_start, .receive = teller_receive };

/* -- The test -- */

static void print_line(void *context, const char *line)
{
	(void)context;
	puts(line);
}

static bool all_taken(void *context)
{
	return ((struct teller *)context)->taken == DEPOSITS;
}

static bool start(uint64_t seed, bool verbose, struct posta_sim **sim)
{
	const struct posta_sim_link link = {
		.drop_per_mille = 200, .duplicate_per_mille = 100, .reorder_per_mille = 100, .delay_ms_max = 80
	};
	struct posta_sim_options options = { .seed = seed, .nodes = 2, .trace = verbose ? print_line : NULL };
	struct posta_error error;
	if (posta_sim_start(&options, sim, &error)) {
		fprintf(stderr, "%s\n", error.text);
		return false;
	}
	posta_sim_link(*sim, BANK, BRANCH, &link);
	posta_sim_link(*sim, BRANCH, BANK, &link);
	return true;
}

/* Returns: whether all is as it should be. */
static bool play(uint64_t seed, bool verbose)
{
	struct posta_sim *sim;
	struct store store = { 0 };
	struct teller state = { 0 };
	if (!start(seed, verbose, &sim))
		return false;
	posta_system_spawn(posta_sim_system(sim, BANK), &account, &store, NULL, NULL);
	posta_system_spawn(posta_sim_system(sim, BRANCH), &teller, &state, NULL, NULL);
	for (int crashes = 0; crashes < 5; crashes++) {
		posta_sim_advance(sim, posta_sim_random(sim) % 1000);
		posta_sim_crash(sim, BANK);
		posta_sim_restart(sim, BANK, NULL);
		posta_system_spawn(posta_sim_system(sim, BANK), &account, &store, NULL, NULL);
	}
	posta_sim_calm(sim);
	bool done = posta_sim_run_until(sim, all_taken, &state, 60000);
	uint64_t hash = posta_sim_hash(sim);
	posta_sim_stop(sim, NULL);
	if (done && store.balance == DEPOSITS * (DEPOSITS + 1) / 2)
		return true;
	printf("seed %llu: the balance is %llu after %u deposits, trace %016llx\n", (unsigned long long)seed,
	       (unsigned long long)store.balance, state.taken, (unsigned long long)hash);
	return false;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return !play(strtoull(argv[1], NULL, 10), true);
	unsigned failures = 0;
	for (uint64_t seed = 1; seed <= 500; seed++)
		failures += !play(seed, false);
	printf("500 seeds, %u failures\n", failures);
	return failures > 0;
}
