/* SPDX-License-Identifier: MIT */
/* A worker that fails is started again by its supervisor, after a back-off, under the same reference. */
#include <posta/posta.h>

#include <stdio.h>

enum { DIVIDE = 1, STARTS };

struct pair {
	int a, b;
};

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	unsigned *starts = argument;
	(void)self;
	*(unsigned *)state = ++*starts;
	return POSTA_OK;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	if (message->type == STARTS)
		return posta_reply(self, STARTS, state, sizeof(unsigned));
	const struct pair *pair = posta_data(message);
	if (pair->b == 0)
		return POSTA_EINVAL; /* the actor has failed: what to do is not its own business */
	int quotient = pair->a / pair->b;
	return posta_reply(self, DIVIDE, &quotient, sizeof quotient);
}

int main(void)
{
	static const struct posta_actor_class klass = {
		.name = "divider", .state_size = sizeof(unsigned), .start = start, .receive = receive
	};
	struct posta_system_options options = {
		.size = sizeof options, .workers = 1, .log = posta_log_text, .log_level = POSTA_LOG_INFO
	};
	struct posta_system *system;
	struct posta_error error;
	unsigned starts = 0, answer = 0;
	posta_ref divider = POSTA_NOBODY;
	if (posta_system_start(&options, &system, &error))
		return 1;
	struct posta_child_spec child = { .id = "divider", .klass = &klass, .argument = &starts };
	struct posta_supervisor_options tree = { .size = sizeof tree,
						 .intensity = 5,
						 .backoff = { .initial_ms = 20, .factor = 2 } };
	posta_ref supervisor = posta_system_supervise(system, &tree, &error);
	posta_system_start_child(system, supervisor, &child, 1000, &divider);
	posta_system_send(system, divider, DIVIDE, &(struct pair){ 1, 0 }, sizeof(struct pair));
	/* The message waits while its receiver is down. */
	posta_system_ask(system, divider, STARTS, NULL, 0, 5000, NULL, &answer, &(size_t){ sizeof answer });
	printf("the divider was started %u times\n", answer);
	posta_system_stop(system, 1000, NULL);
	return answer == 2 ? 0 : 1;
}
