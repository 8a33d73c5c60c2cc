/* SPDX-License-Identifier: MIT */
#include "command.h"

#include "actors/router/environment.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
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
	char seconds[32];
	snprintf(seconds, sizeof seconds, "%ss", text);
	return posta__duration_parse(text, ms) || posta__duration_parse(seconds, ms);
}

uint64_t cli_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
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
