/* SPDX-License-Identifier: MIT */
/* Input: what stands before, in and behind a password in a URL. It is never seen, and each host of several is found. */
#include "check.h"

#include "bridges/hosts.h"

#define SECRET "hush"

static void redact(const char *url)
{
	char out[4096], cut[16];

	posta_url_redact(url, out, sizeof out);
	CHECK(!strstr(out, SECRET));
	posta_url_redact(url, cut, sizeof cut);
	CHECK(!strncmp(cut, out, sizeof cut - 1));
}

static void hosts(const char *url)
{
	uint32_t count = posta__url_hosts(url);

	for (uint32_t n = 0; n < count && n < 8; n++) {
		char *one = posta__url_of_host(url, n);
		CHECK(one && strlen(one) <= strlen(url));
		CHECK(posta__url_hosts(one) <= 1);
		free(one);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char url[2048];
	int half = (int)size / 2;

	if (size > 1024 || memchr(data, 0, size) || memmem(data, size, SECRET, sizeof SECRET - 1))
		return 0;
	snprintf(url, sizeof url, "amqp://u:%.*s" SECRET "%.*s@h1,h2:1/v", half, (const char *)data, (int)size - half,
		 (const char *)data + half);
	redact(url);
	hosts(url);
	snprintf(url, sizeof url, "mqtt://%.*s", (int)size, (const char *)data);
	hosts(url);
	return 0;
}
