/* SPDX-License-Identifier: MIT */
/* Certificates that must not be accepted: no broker is ever connected, and the error says why. */
#include "chaos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool refused(const struct chaos *chaos)
{
	for (int i = 0; i < KIT_KIND_COUNT; i++) {
		struct posta_bridge_status status = { .size = sizeof status };

		posta_bridge_status(chaos->bridges[i], &status);
		if (!status.last_error[0] && !status.connects)
			return false;
	}
	return true;
}

static void open_secure(struct chaos *chaos, enum kit_kind kind, const char *ca_file)
{
	static const char *const forms[] = { "kafkas://127.0.0.1:%d", "amqps://guest:guest@127.0.0.1:%d",
					     "mqtts://127.0.0.1:%d" };
	char *ca = kit_broker_file(chaos->brokers[kind], ca_file);
	char url[128];
	struct posta_error error;
	struct posta_bridge_options options = { .size = sizeof options,
						.tls = { .ca = ca },
						.backoff = { 100, 1000, 2, POSTA_JITTER_FULL, 0 } };

	snprintf(url, sizeof url, forms[kind], kit_broker_door(chaos->brokers[kind], KIT_TLS));
	chaos->bridges[kind] = posta_bridge_open(chaos->system, url, &options, &error);
	if (!chaos->bridges[kind])
		chaos_trouble(chaos, "%s", error.text);
	free(ca);
}

/* The words: one of each kind's library. */
static void check(struct chaos *chaos, int kind, const char *const words[2])
{
	struct posta_bridge_status status = { .size = sizeof status };
	char safe[POSTA_ERROR_TEXT_MAX];
	size_t n = 0;

	posta_bridge_status(chaos->bridges[kind], &status);
	for (const char *at = status.last_error; *at && n < sizeof safe - 1; at++)
		safe[n++] = *at == '"' || *at == '\\' || (unsigned char)*at < 0x20 ? '\'' : *at;
	safe[n] = '\0';
	chaos_tell(chaos, ",\"%s\":\"%.250s\"", chaos_kind_names[kind], safe);
	if (status.connects)
		chaos_trouble(chaos, "%s was connected", chaos_kind_names[kind]);
	if (!strcasestr(status.last_error, words[0]) && !strcasestr(status.last_error, words[1]))
		chaos_trouble(chaos, "%s: the error does not say why: %.200s", chaos_kind_names[kind],
			      status.last_error);
}

static void refuse(struct chaos *chaos, enum kit_certificate certificate, const char *ca_file,
		   const char *const words[2])
{
	struct kit_broker_options options = { .tls = true, .certificate = certificate };
	struct posta_system_options system_options = { .size = sizeof system_options, .workers = 1 };

	for (int i = 0; i < KIT_KIND_COUNT; i++)
		chaos->brokers[i] = kit_broker_begin((enum kit_kind)i, &options);
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		kit_broker_wait(chaos->brokers[i]);
	chaos->started_ms = chaos_now_ms();
	if (posta_system_start(&system_options, &chaos->system, NULL))
		abort();
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		open_secure(chaos, (enum kit_kind)i, ca_file);
	if (!chaos->trouble[0] && chaos_wait(chaos, refused, 30000, "all three are refused"))
		for (int i = 0; i < KIT_KIND_COUNT; i++)
			check(chaos, i, words);
}

void chaos_tls_expired(struct chaos *chaos)
{
	static const char *const words[2] = { "expired", "expired" };

	refuse(chaos, KIT_CERT_EXPIRED, "tls/ca.pem", words);
}

void chaos_tls_wrong_host(struct chaos *chaos)
{
	static const char *const words[2] = { "mismatch", "host" };

	refuse(chaos, KIT_CERT_ELSEWHERE, "tls/ca.pem", words);
}

void chaos_tls_wrong_ca(struct chaos *chaos)
{
	static const char *const words[2] = { "issuer", "self" };

	refuse(chaos, KIT_CERT_GOOD, "tls/elsewhere.pem", words);
}
