/* SPDX-License-Identifier: MIT */
#include "runtime/system.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define RECORD_MAX 1024

static const char *const level_names[] = { "error", "warning", "info", "debug" };

/* What came from outside, an id or a broker's words, begins no record of its own. */
static void make_one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			*text = ' ';
}

void posta_log(struct posta_system *system, enum posta_log_level level, const char *event, const char *format, ...)
{
	if (!system->options.log || (int)level > system->options.log_level)
		return;
	char text[RECORD_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	make_one_line(text);
	system->options.log(system->options.log_context, (int)level, event, text);
}

static void now_text(char *out, size_t size)
{
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(out + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
}

static const char *level_name(int level)
{
	return level >= POSTA_LOG_ERROR && level <= POSTA_LOG_DEBUG ? level_names[level] : "?";
}

void posta_log_text(void *file, int level, const char *event, const char *text)
{
	char when[40];
	now_text(when, sizeof when);
	fprintf(file ? file : stderr, "%s %s %s %s\n", when, level_name(level), event, text);
}

static size_t escape(char *out, size_t size, const char *text)
{
	size_t n = 0;
	for (; *text && n + 7 < size; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			out[n++] = '\\';
		if (c < 0x20)
			n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
		else
			out[n++] = (char)c;
	}
	out[n] = '\0';
	return n;
}

void posta_log_json(void *file, int level, const char *event, const char *text)
{
	char when[40], escaped[2 * RECORD_MAX];
	now_text(when, sizeof when);
	escape(escaped, sizeof escaped, text);
	fprintf(file ? file : stderr, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"text\":\"%s\"}\n", when,
		level_name(level), event, escaped);
}

enum posta_log_level posta_log_level_from_environment(void)
{
	static const char *const off[] = { "", "0", "false", "off", "no" };
	const char *value = getenv("DEBUG");
	for (size_t i = 0; value && i < sizeof off / sizeof off[0]; i++)
		if (strcasecmp(value, off[i]) == 0)
			return POSTA_LOG_INFO;
	return value ? POSTA_LOG_DEBUG : POSTA_LOG_INFO;
}
