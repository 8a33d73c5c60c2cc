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

/* The authority of a URL ends at the first of "/?#"; its user part at the last '@' before that. */
static const char *user_end(const char *authority)
{
	const char *end = authority + strcspn(authority, "/?#");
	for (const char *at = end; at > authority; at--)
		if (at[-1] == '@')
			return at - 1;
	return NULL;
}

const char *posta_url_redact(const char *url, char *out, size_t size)
{
	const char *scheme = url ? strstr(url, "://") : NULL;
	const char *at = scheme ? user_end(scheme + 3) : NULL;
	if (at)
		snprintf(out, size, "%.*s://***%s", (int)(scheme - url), url, at);
	else
		snprintf(out, size, "%s", url ? url : "");
	return out;
}
