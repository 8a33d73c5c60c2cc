/* SPDX-License-Identifier: MIT */
#include <posta/posta.h>
#include <stdio.h>
enum { GREET, COUNT };

static enum posta_err greet(struct posta_actor *self, void *state, struct posta_message *message)
{
	unsigned *greeted = state;
	if (message->type == COUNT)
		return posta_reply(self, COUNT, greeted, sizeof *greeted);
	printf("hello, %s: you are number %u\n", (const char *)posta_data(message), ++*greeted);
	return POSTA_OK;
}

int main(void)
{
	static const struct posta_actor_class greeter = { .state_size = sizeof(unsigned), .receive = greet };
	struct posta_system *system;
	unsigned count = 0;
	if (posta_system_start(NULL, &system, NULL))
		return 1;
	posta_ref ref = posta_system_spawn(system, &greeter, NULL, NULL, NULL);
	posta_system_send(system, ref, GREET, "mundo", sizeof "mundo");
	posta_system_ask(system, ref, COUNT, NULL, 0, 1000, NULL, &count, &(size_t){ sizeof count });
	return posta_system_stop(system, 1000, NULL) || count != 1;
}
