/* SPDX-License-Identifier: MIT */
/*
 * test_conformance [-only PART] NAME...: each bridge named passes the suite, or is not in this build. They are tested
 * side by side, each in a process of its own: most of the time one waits for its broker.
 */
#include "bridges/features.h"
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77 /* its broker is not installed */

static const struct kit_bridge *const bridges[] = {
	&kit_bridge_memory,
#if POSTA_HAVE_MQTT
	&kit_bridge_mqtt,   &kit_bridge_mqtt3,
#endif
#if POSTA_HAVE_AMQP
	&kit_bridge_amqp,
#endif
#if POSTA_HAVE_KAFKA
	&kit_bridge_kafka,
#endif
};

static const struct kit_bridge *find(const char *name)
{
	for (size_t i = 0; i < sizeof bridges / sizeof bridges[0]; i++)
		if (strcmp(bridges[i]->name, name) == 0)
			return bridges[i];
	return NULL;
}

/* Returns: how many failed. */
static int run_one(const char *name, const char *only)
{
	const struct kit_bridge *bridge = find(name);

	if (bridge)
		return kit_conformance(bridge, only);
	printf("%s: no such bridge in this build\n", name);
	return 1;
}

static void run_beside(const char *name, const char *only)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0)
		exit(run_one(name, only) > 0);
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	bool skipped = false, failed = false;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0); /* lines stay whole */
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-only") == 0 && i + 1 < argc)
			only = argv[++i];
		else
			run_beside(argv[i], only);
	while (wait(&status) > 0) {
		bool is_skip = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
		skipped = skipped || is_skip;
		failed = failed || (status && !is_skip);
	}
	return failed ? 1 : skipped ? SKIPPED : 0;
}
