/* SPDX-License-Identifier: MIT */
/*
 * Customers, each an actor, come to a barber's waiting room of 1,000 seats; who finds it full goes back to the door.
 * Making a customer and a haircut cost 50 iterations each. n: customers.
 */
#include "savina.h"

enum { NEXT = 1, ENTER, RETURNED, FULL, WAIT, START, DONE };
enum { SEATS = 1000, COST = 50 };

static posta_ref room, barber, factory;
static uint64_t served; /* the factory's */

struct room {
	posta_ref seats[SEATS];
	uint32_t first, count;
	bool busy; /* the barber */
};

struct factory {
	uint64_t left, wanted;
	uint32_t seed;
};

static enum posta_err send_customer(struct posta_actor *self, posta_ref to, posta_ref customer)
{
	return savina_send(self, to, ENTER, customer);
}

static enum posta_err customer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	if (message->type == FULL)
		return savina_send(self, factory, RETURNED, 0);
	if (message->type != DONE)
		return POSTA_OK;
	savina_send(self, factory, DONE, 0);
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static const struct posta_actor_class customer_class = { .name = "customer", .receive = customer_receive };

static enum posta_err room_start(struct posta_actor *self, void *state, void *argument)
{
	room = posta_self(self);
	return POSTA_OK;
}

static enum posta_err come_in(struct posta_actor *self, struct room *here, posta_ref customer)
{
	if (!here->busy) {
		here->busy = true;
		return send_customer(self, barber, customer);
	}
	if (here->count == SEATS)
		return savina_send(self, customer, FULL, 0);
	here->seats[(here->first + here->count++) % SEATS] = customer;
	return savina_send(self, customer, WAIT, 0);
}

static enum posta_err room_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct room *here = state;
	if (message->type == ENTER)
		return come_in(self, here, savina_value(message));
	here->busy = here->count > 0;
	if (!here->busy)
		return POSTA_OK;
	posta_ref customer = here->seats[here->first];
	here->first = (here->first + 1) % SEATS;
	here->count--;
	return send_customer(self, barber, customer);
}

static enum posta_err barber_start(struct posta_actor *self, void *state, void *argument)
{
	barber = posta_self(self);
	return POSTA_OK;
}

static enum posta_err barber_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t *seed = state;
	posta_ref customer = savina_value(message);
	savina_send(self, customer, START, 0);
	*seed = savina_work(*seed, COST);
	savina_send(self, customer, DONE, 0);
	return savina_send(self, room, NEXT, *seed);
}

static enum posta_err factory_start(struct posta_actor *self, void *state, void *argument)
{
	struct factory *here = state;
	here->left = here->wanted = savina_index(argument);
	factory = posta_self(self);
	served = 0;
	return savina_send(self, factory, NEXT, 0);
}

static enum posta_err make_customer(struct posta_actor *self, struct factory *here)
{
	here->seed = savina_work(here->seed, COST);
	send_customer(self, room, posta_spawn(self, &customer_class, NULL));
	return --here->left > 0 ? savina_send(self, factory, NEXT, here->seed) : POSTA_OK;
}

static enum posta_err factory_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct factory *here = state;
	if (message->type == NEXT)
		return make_customer(self, here);
	if (message->type == RETURNED)
		return send_customer(self, room, message->sender);
	if (++served == here->wanted)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class room_class = {
	.name = "room", .state_size = sizeof(struct room), .start = room_start, .receive = room_receive
};
static const struct posta_actor_class barber_class = {
	.name = "barber", .state_size = sizeof(uint32_t), .start = barber_start, .receive = barber_receive
};
static const struct posta_actor_class factory_class = {
	.name = "factory", .state_size = sizeof(struct factory), .start = factory_start, .receive = factory_receive
};

static void setup(struct savina_run *run)
{
	savina_add(run, &room_class, NULL);
	savina_add(run, &barber_class, NULL);
	savina_add(run, &factory_class, savina_argument(run->n));
}

static uint64_t customers(uint64_t n)
{
	return n;
}

static bool verify(uint64_t n)
{
	return served == n;
}

const struct savina_workload savina_sleeping_barber = { "sleeping-barber", "customer", customers, setup, verify };
