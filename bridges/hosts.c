/* SPDX-License-Identifier: MIT */
#include "bridges/hosts.h"

#include <stdlib.h>
#include <string.h>

struct hosts {
	const char *first, *end;
};

/* Commas of a password are its own: what is before the last @ is no host. */
static struct hosts hosts_of(const char *url)
{
	const char *authority = strstr(url, "://");
	struct hosts hosts = { .first = authority ? authority + 3 : url };

	hosts.end = hosts.first + strcspn(hosts.first, "/?#");
	const char *at = memrchr(hosts.first, '@', (size_t)(hosts.end - hosts.first));
	if (at)
		hosts.first = at + 1;
	return hosts;
}

uint32_t posta__url_hosts(const char *url)
{
	struct hosts hosts = hosts_of(url);
	uint32_t count = 1;

	for (const char *at = hosts.first; at < hosts.end; at++) {
		if (*at == ',' && (at == hosts.first || at + 1 == hosts.end || at[1] == ','))
			return 0;
		count += *at == ',';
	}
	return count;
}

char *posta__url_of_host(const char *url, uint32_t n)
{
	struct hosts hosts = hosts_of(url);
	const char *from = hosts.first, *to;
	char *one = malloc(strlen(url) + 1);

	if (!one)
		return NULL;
	uint32_t count = posta__url_hosts(url);
	for (n = count ? n % count : 0; n; n--)
		from = (const char *)memchr(from, ',', (size_t)(hosts.end - from)) + 1;
	to = memchr(from, ',', (size_t)(hosts.end - from));
	to = to ? to : hosts.end;
	size_t before = (size_t)(hosts.first - url), host = (size_t)(to - from);
	memcpy(one, url, before);
	memcpy(one + before, from, host);
	strcpy(one + before + host, hosts.end);
	return one;
}
