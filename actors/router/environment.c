/* SPDX-License-Identifier: MIT */
#include "environment.h"

#include "bridges/codec/number.h"
#include "bridges/codec/scan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILLED_MAX 65536u

static size_t name_length(const char *text)
{
	size_t len = 0;
	while (isalnum((unsigned char)text[len]) || text[len] == '_')
		len++;
	return len;
}

/* at: behind "${". *taken: up to and with "}". *value is not zero-terminated. */
static enum posta_err look_up(const char *at, size_t *taken, const char **value, size_t *len, struct posta_error *error)
{
	char name[128];
	size_t n = name_length(at);
	const char *end = strchr(at, '}');
	if (!end || !n || n >= sizeof name || (at[n] != '}' && strncmp(at + n, ":-", 2) != 0))
		return posta_error_set(error, POSTA_EFORMAT, "variables are written ${NAME} or ${NAME:-default}");
	memcpy(name, at, n);
	name[n] = '\0';
	*taken = (size_t)(end - at) + 1;
	*value = getenv(name);
	if (*value && (**value || at[n] == '}')) {
		*len = strlen(*value);
		return POSTA_OK;
	}
	if (at[n] == '}')
		return posta_error_set(error, POSTA_ENOTFOUND, "the variable %s is not set and has no default", name);
	*value = at + n + 2;
	*len = (size_t)(end - *value);
	return POSTA_OK;
}

static enum posta_err fill(const char *text, FILE *out, unsigned *column, struct posta_error *error)
{
	size_t written = 0;
	for (size_t i = 0; text[i]; i++) {
		const char *value = text + i;
		size_t len = 1, taken = 0;
		*column = (unsigned)i + 1;
		if (text[i] == '$' && text[i + 1] == '{') {
			enum posta_err err = look_up(text + i + 2, &taken, &value, &len, error);
			if (err)
				return err;
			i += taken + 1;
		} else if (text[i] == '$' && text[i + 1] == '$') {
			i++;
		}
		written += len;
		if (written > FILLED_MAX)
			return posta_error_set(error, POSTA_ETOOBIG, "the text is longer than %u bytes", FILLED_MAX);
		fwrite(value, 1, len, out);
	}
	return POSTA_OK;
}

enum posta_err posta__environment_fill(const char *text, char **filled, unsigned *column, struct posta_error *error)
{
	char *memory = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&memory, &size);
	if (!out)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory");
	enum posta_err err = fill(text, out, column, error);
	if (fclose(out) && !err)
		err = posta_error_set(error, POSTA_ENOMEM, "out of memory");
	if (err)
		free(memory);
	else
		*filled = memory;
	return err;
}

bool posta__duration_parse(const char *text, uint64_t *ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	size_t len = strspn(text, "0123456789.");
	if (posta__json_scan(text, len, NULL))
		return false;
	double number = posta__number_parse((struct posta_bytes){ text, len }).number;
	double factor = strcmp(text, "0") == 0 ? 1 : 0;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(text + len, units[i].unit) == 0)
			factor = units[i].ms;
	if (factor == 0 || !(number * factor <= 4294967295.0))
		return false;
	*ms = (uint64_t)(number * factor + 0.5);
	return true;
}
