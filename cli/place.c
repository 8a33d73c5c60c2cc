/* SPDX-License-Identifier: MIT */
/* Where to publish and where to read: a kind and a name; a name alone is the broker's natural kind. */
#include "command.h"

#include <string.h>

static bool is_scheme(const char *url, const char *scheme)
{
	return strncmp(url, scheme, strlen(scheme)) == 0;
}

/* Cuts "kind:" off. Returns: the kind. */
static const char *split(const char *url, char *text, char **name, bool source)
{
	static const char *const kinds[] = { "topic", "queue", "filter", "exchange" };
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t len = strlen(kinds[i]);
		if (strncmp(text, kinds[i], len) == 0 && text[len] == ':') {
			*name = text + len + 1;
			return kinds[i];
		}
	}
	*name = text;
	if (is_scheme(url, "amqp"))
		return "queue";
	return source && is_scheme(url, "mqtt") ? "filter" : "topic";
}

static char *cut_key(char *name)
{
	char *slash = strchr(name, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return slash + 1;
}

bool cli_target(const char *url, char *text, struct posta_target *target)
{
	char *name;
	const char *kind = split(url, text, &name, false);
	*target = (struct posta_target){ .size = sizeof *target, .qos = is_scheme(url, "mqtt") ? -1 : 0 };
	if (!*name || strcmp(kind, "filter") == 0)
		return false;
	if (strcmp(kind, "topic") == 0) {
		target->topic = name;
	} else if (strcmp(kind, "queue") == 0) {
		target->queue = name;
	} else {
		target->routing_key = cut_key(name);
		target->routing_key = target->routing_key ? target->routing_key : "";
		target->exchange = name;
	}
	return true;
}

bool cli_source(const char *url, char *text, struct posta_source *source)
{
	char *name;
	const char *kind = split(url, text, &name, true);
	*source = (struct posta_source){ .size = sizeof *source, .qos = is_scheme(url, "mqtt") ? -1 : 0 };
	if (!*name)
		return false;
	if (strcmp(kind, "topic") == 0) {
		source->topic = name;
	} else if (strcmp(kind, "queue") == 0) {
		source->queue = name;
	} else if (strcmp(kind, "filter") == 0) {
		source->filter = name;
	} else {
		source->routing_key = cut_key(name);
		source->exchange = name;
	}
	return true;
}
