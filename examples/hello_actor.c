/* SPDX-License-Identifier: MIT */
#include <posta/posta.h>
enum { GREET = 1, COUNT }; /* two types of messages, and below a state: how many it has greeted */

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	unsigned *greeted = state;
	if (message->type == COUNT)
		return posta_reply(self, COUNT, greeted, sizeof *greeted);
	++*greeted;
	return POSTA_OK;
}

int main(void)
{
	static const struct posta_actor_class greeter = { .state_size = sizeof(unsigned), .receive = receive };
	struct posta_system *system;
	unsigned count = 0;
	if (posta_system_start(NULL, &system, NULL))
		return 1;
	posta_ref ref = posta_system_spawn(system, &greeter, NULL, NULL, NULL);
	posta_system_send(system, ref, GREET, "mundo", sizeof "mundo");
	posta_system_ask(system, ref, COUNT, NULL, 0, 1000, NULL, &count, &(size_t){ sizeof count });
	return posta_system_stop(system, 1000, NULL) || count != 1;
}
