/* SPDX-License-Identifier: MIT */
/*
 * BankTransaction: a teller has money moved between 1,000 accounts. An account does one transfer at a time: it waits
 * for the other's word before it begins the next, and keeps what comes meanwhile. n: transfers; four messages each.
 */
#include "savina.h"

#include <stdlib.h>

enum { TRANSFER = 1, DEPOSIT, DEPOSITED, DONE, CLOSE, BALANCE };
enum { ACCOUNTS = 1000 };

static posta_ref accounts[ACCOUNTS], teller;
static int64_t total; /* the teller's: all balances at the end */
static uint64_t transfers;

struct transfer {
	uint32_t to;
	int32_t amount;
};

struct account {
	int64_t balance;
	struct transfer *kept; /* a ring */
	uint32_t first, count, capacity;
	bool waiting;
};

struct teller {
	uint64_t wanted;
	uint32_t closed;
};

static enum posta_err keep(struct account *account, struct transfer transfer)
{
	if (account->count == account->capacity) {
		uint32_t capacity = account->capacity ? account->capacity * 2 : 64;
		struct transfer *kept = malloc(capacity * sizeof *kept);
		if (!kept)
			return POSTA_ENOMEM;
		for (uint32_t i = 0; i < account->count; i++)
			kept[i] = account->kept[(account->first + i) & (account->capacity - 1)];
		free(account->kept);
		account->kept = kept, account->first = 0, account->capacity = capacity;
	}
	account->kept[(account->first + account->count++) & (account->capacity - 1)] = transfer;
	return POSTA_OK;
}

static enum posta_err begin(struct posta_actor *self, struct account *account, struct transfer transfer)
{
	account->waiting = true;
	account->balance -= transfer.amount;
	return posta_send(self, accounts[transfer.to], DEPOSIT, &transfer, sizeof transfer);
}

static enum posta_err deposited(struct posta_actor *self, struct account *account)
{
	savina_send(self, teller, DONE, 0);
	account->waiting = false;
	if (account->count == 0)
		return POSTA_OK;
	struct transfer next = account->kept[account->first];
	account->first = (account->first + 1) & (account->capacity - 1);
	account->count--;
	return begin(self, account, next);
}

static enum posta_err account_start(struct posta_actor *self, void *state, void *argument)
{
	accounts[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err account_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct account *account = state;
	const struct transfer *transfer = posta_data(message);
	switch (message->type) {
	case TRANSFER:
		return account->waiting ? keep(account, *transfer) : begin(self, account, *transfer);
	case DEPOSIT:
		account->balance += transfer->amount;
		return savina_send(self, message->sender, DEPOSITED, 0);
	case DEPOSITED:
		return deposited(self, account);
	default:
		return posta_send(self, teller, BALANCE, &account->balance, sizeof account->balance);
	}
}

static void account_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	free(((struct account *)state)->kept);
}

static enum posta_err teller_start(struct posta_actor *self, void *state, void *argument)
{
	struct teller *here = state;
	uint32_t seed = 1;
	teller = posta_self(self);
	transfers = 0, total = 0;
	here->wanted = savina_index(argument);
	for (uint64_t i = 0; i < here->wanted; i++) {
		uint32_t from = savina_random(&seed) % (ACCOUNTS - 1);
		uint32_t to = from + 1 + savina_random(&seed) % (ACCOUNTS - 1 - from);
		struct transfer transfer = { to, (int32_t)(savina_random(&seed) % 1000) };
		posta_send(self, accounts[from], TRANSFER, &transfer, sizeof transfer);
	}
	return POSTA_OK;
}

static enum posta_err teller_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct teller *here = state;
	if (message->type == DONE && ++transfers == here->wanted) {
		for (size_t i = 0; i < ACCOUNTS; i++)
			savina_send(self, accounts[i], CLOSE, 0);
	} else if (message->type == BALANCE) {
		total += (int64_t)savina_value(message);
		if (++here->closed == ACCOUNTS)
			savina_done();
	}
	return POSTA_OK;
}

static const struct posta_actor_class account_class = { .name = "account",
							.state_size = sizeof(struct account),
							.start = account_start,
							.receive = account_receive,
							.stop = account_stop };
static const struct posta_actor_class teller_class = {
	.name = "teller", .state_size = sizeof(struct teller), .start = teller_start, .receive = teller_receive
};

static void setup(struct savina_run *run)
{
	for (size_t i = 0; i < ACCOUNTS; i++)
		savina_add(run, &account_class, savina_argument(i));
	savina_add(run, &teller_class, savina_argument(run->n));
}

static uint64_t messages(uint64_t n)
{
	return 4 * n;
}

static bool verify(uint64_t n)
{
	return transfers == n && total == 0;
}

const struct savina_workload savina_bank = { "bank", "message", messages, setup, verify };
