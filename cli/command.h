/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CLI_COMMAND_H
#define POSTA_CLI_COMMAND_H

/* One file a command, and a table in main.c. */

#include <posta/bridge.h>
#include <posta/log.h>
#include <posta/system.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

enum cli_status { CLI_OK, CLI_FAILED, CLI_USAGE };

struct cli_command {
	const char *name;
	const char *summary;
	const char *usage;
	/* argv[0] is the command's name. Returns: an exit status. */
	int (*run)(int argc, char **argv);
};

extern const struct cli_command cli_run, cli_check, cli_pub, cli_sub;

/* "posta COMMAND: ..." on stderr. Returns: CLI_USAGE. */
int cli_usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same. Returns: CLI_FAILED. */
int cli_fail(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True for a number in min..max, whole. */
bool cli_number(const char *text, long long min, long long max, long long *value);
/* Monotonic. */
uint64_t cli_now_ms(void);
/* As in a file of routes, "500ms"; a number alone is seconds. */
bool cli_duration(const char *text, uint64_t *ms);

/*
 * SIGINT and SIGTERM (and SIGHUP) are blocked in all threads and waited for by one. Call it before any thread starts.
 */
void cli_block_signals(sigset_t *set, bool hup);
/* Waits at most ms. Returns: the signal, 0 for none. */
int cli_wait_signal(const sigset_t *set, int ms);

/* -- place.c: "topic:reservas", "queue:email", "filter:a/+", "exchange:e/key", or a name. text must outlive them. */
bool cli_target(const char *url, char *text, struct posta_target *target);
bool cli_source(const char *url, char *text, struct posta_source *source);

#endif
