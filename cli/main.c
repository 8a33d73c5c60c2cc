/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <string.h>

static const struct cli_command *const commands[] = { &cli_run, &cli_check, &cli_pub, &cli_sub };
#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(FILE *out)
{
	fputs("Usage: posta COMMAND [OPTION]... [ARGUMENT]...\n"
	      "Moves messages between Kafka, RabbitMQ, MQTT and embedded brokers.\n\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n  -h, --help     this text; posta COMMAND --help says more\n"
	      "  -V, --version  the version\n\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
	      out);
}

static const struct cli_command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	if (name && (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0))
		return printf("%s\n", posta_version()) < 0;
	if (name && strcmp(name, "help") == 0 && argc > 2)
		name = argv[2];
	if (name && (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)) {
		print_help(stdout);
		return CLI_OK;
	}
	const struct cli_command *command = name ? find(name) : NULL;
	if (!command) {
		if (name)
			fprintf(stderr, "posta: no such command: %s\n", name);
		print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || wants_help(argc - 1, argv + 1)) {
		printf("Usage: posta %s\n", command->usage);
		return CLI_OK;
	}
	return command->run(argc - 1, argv + 1);
}
