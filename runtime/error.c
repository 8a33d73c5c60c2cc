/* SPDX-License-Identifier: MIT */
#include <posta/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct entry {
	enum posta_err code;
	bool retriable;
	const char *name;
	const char *text;
};

static const struct entry entries[] = {
#define ENTRY(name, value, retriable, text) { POSTA_##name, retriable, #name, text },
	POSTA_ERRORS(ENTRY)
#undef ENTRY
};

static const struct entry *find(enum posta_err code)
{
	for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
		if (entries[i].code == code)
			return &entries[i];
	return NULL;
}

const char *posta_strerror(enum posta_err code)
{
	const struct entry *entry = find(code);
	return entry ? entry->text : "unknown error";
}

const char *posta_err_name(enum posta_err code)
{
	const struct entry *entry = find(code);
	return entry ? entry->name : "?";
}

bool posta_err_retriable(enum posta_err code)
{
	const struct entry *entry = find(code);
	return entry && entry->retriable;
}

enum posta_err posta_error_set(struct posta_error *error, enum posta_err code, const char *format, ...)
{
	if (!error)
		return code;
	va_list args;
	va_start(args, format);
	vsnprintf(error->text, sizeof error->text, format, args);
	va_end(args);
	error->code = code;
	error->retriable = posta_err_retriable(code);
	return code;
}

/* Bytes of "scheme://", 0 where there is none. */
static int scheme_len(const char *url)
{
	size_t len = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	return len < 64 && strncmp(url + len, "://", 3) == 0 ? (int)len + 3 : 0;
}

/* To the last '@' of all: a password in which "/", "?" or "@" is not escaped, as it should be, is one all the same. */
const char *posta_url_redact(const char *url, char *out, size_t size)
{
	const char *at = url ? strrchr(url, '@') : NULL;
	if (at)
		snprintf(out, size, "%.*s***%s", scheme_len(url), url, at);
	else
		snprintf(out, size, "%s", url ? url : "");
	return out;
}
