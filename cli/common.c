/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void say(const char *command, const char *format, va_list args)
{
	fprintf(stderr, "posta %s: ", command);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int cli_usage_error(const char *command, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(command, format, args);
	va_end(args);
	fprintf(stderr, "Try: posta %s --help\n", command);
	return CLI_USAGE;
}

int cli_fail(const char *command, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(command, format, args);
	va_end(args);
	return CLI_FAILED;
}

bool cli_number(const char *text, long long min, long long max, long long *value)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (end == text || *end || errno || number < min || number > max)
		return false;
	*value = number;
	return true;
}

bool cli_duration(const char *text, uint64_t *ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "", 1000 } };
	char *end;
	if (!isdigit((unsigned char)*text))
		return false;
	double number = strtod(text, &end);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].unit) != 0 || !(number * units[i].ms < 4e9))
			continue;
		*ms = (uint64_t)(number * units[i].ms);
		return true;
	}
	return false;
}

void cli_block_signals(sigset_t *set, bool hup)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	if (hup)
		sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int cli_wait_signal(const sigset_t *set, int ms)
{
	struct timespec wait = { ms / 1000, ms % 1000 * 1000000L };
	int got = sigtimedwait(set, NULL, &wait);
	return got > 0 ? got : 0;
}
