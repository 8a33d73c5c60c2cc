/* SPDX-License-Identifier: MIT */

/*
 * with_brokers COMMAND [ARGUMENT...]
 *
 * Starts one broker of each kind, side by side, names them in POSTA_TEST_KAFKA,
 * POSTA_TEST_AMQP and POSTA_TEST_MQTT (see kit_broker_shared()), runs the
 * command, stops them and ends as the command did (128 + signal if it was
 * killed). A kind which the environment names already is not started.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brokers.h"

static const char *const variables[KIT_KIND_COUNT] = {
	[KIT_KAFKA] = "POSTA_TEST_KAFKA",
	[KIT_RABBITMQ] = "POSTA_TEST_AMQP",
	[KIT_MOSQUITTO] = "POSTA_TEST_MQTT",
};

static struct kit_broker *brokers[KIT_KIND_COUNT];
static volatile sig_atomic_t command;

static void forward(int number)
{
	if (command > 0)
		kill((pid_t)command, number);
}

static void name_it(const char *variable, struct kit_broker *b)
{
	char value[64], name[64];
	char *dir = kit_broker_file(b, "");

	snprintf(value, sizeof(value), "127.0.0.1:%d", kit_broker_port(b));
	snprintf(name, sizeof(name), "%s_DIR", variable);
	setenv(variable, value, 1);
	setenv(name, dir, 1);
	free(dir);
}

static void start_all(void)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		if (!getenv(variables[i]))
			brokers[i] = kit_broker_begin((enum kit_kind)i, NULL);
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		if (!brokers[i])
			continue;
		kit_broker_wait(brokers[i]);
		name_it(variables[i], brokers[i]);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	fprintf(stderr, "brokers ready in %.1f s\n",
		(double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
}

static void become(char **argv)
{
	/* Without its brokers the command would only time out, test by test. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int run(char **argv)
{
	struct sigaction a = { .sa_handler = forward };
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return 126;
	if (pid == 0)
		become(argv);
	command = pid;
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	command = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: %s COMMAND [ARGUMENT...]\n", argv[0]);
		return 2;
	}
	start_all();
	status = run(argv + 1);
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		kit_broker_stop(brokers[i]);
	return status;
}
