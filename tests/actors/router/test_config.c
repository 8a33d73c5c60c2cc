/* SPDX-License-Identifier: MIT */
#include "actors/router/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char findings[8192];

static void note(void *context, const struct posta_diagnostic *diagnostic)
{
	size_t used = strlen(findings);
	snprintf(findings + used, sizeof findings - used, "%s:%d:%d: %s: %s%s%s\n", diagnostic->file, diagnostic->line,
		 diagnostic->column, diagnostic->warning ? "warning" : "error", diagnostic->text,
		 diagnostic->hint ? " | " : "", diagnostic->hint ? diagnostic->hint : "");
}

static struct posta_router_config *parse(const char *text)
{
	struct posta_error error = { POSTA_OK, false, "" };
	findings[0] = '\0';
	return posta_router_config_parse(text, strlen(text), "f", note, NULL, &error);
}

static void assert_finding(const char *text, const char *finding)
{
	struct posta_router_config *config = parse(text);
	if (!strstr(findings, finding))
		fail_msg("wanted: %s\ngot: %s", finding, findings);
	if (strstr(finding, ": error: "))
		assert_null(config);
	posta_router_config_free(config);
}

#define BROKERS "brokers: { bus: 'kafka://h:9092', work: 'amqp://u:secret@h', field: 'mqtt://h', mem: 'memory:' }\n"
#define FROM "    from: { broker: bus, topic: a }\n"
#define TO "    to: { broker: work, queue: q }\n"

static void parse__whole_file__is_read(void **state)
{
	struct posta_router_config *config = parse(
		BROKERS
		"routes:\n"
		"  - name: r\n"
		"    from: { broker: bus, topics: [a, b], group: g, start: latest, credit: 10 }\n"
		"    steps:\n"
		"      - filter: type == \"x\"\n"
		"      - set: { priority: high, header.h: \"{source}\" }\n"
		"      - drop: [subject]\n"
		"      - rename: { header.a: header.b }\n"
		"    to:\n"
		"      - { broker: work, exchange: e, routing_key: k }\n"
		"      - { broker: field, topic: t/u, qos: 2, retain: true, key: \"{topic}\", format: structured }\n"
		"    retry: { attempts: 7, initial: 500ms, factor: 3, max: 1m, jitter: none }\n"
		"    dead_letter: { broker: mem, topic: dead }\n");
	if (!config)
		fail_msg("%s", findings);
	const struct posta__route_config *route = &config->routes[0];
	assert_string_equal(findings, "");
	assert_string_equal(route->from.source.topic, "a,b");
	assert_string_equal(route->from.source.group, "g");
	assert_true(route->from.source.from_latest);
	assert_int_equal(route->from.source.credit, 10);
	assert_int_equal(route->step_count, 4);
	assert_int_equal(route->to_count, 2);
	assert_string_equal(route->to[0].target.exchange, "e");
	assert_int_equal(route->to[1].target.qos, 2);
	assert_true(route->to[1].target.retain);
	assert_non_null(route->to[1].key);
	assert_int_equal(route->to[1].target.format, POSTA_FORMAT_STRUCTURED);
	assert_int_equal(route->attempts, 7);
	assert_int_equal(route->backoff.initial_ms, 500);
	assert_int_equal(route->backoff.max_ms, 60000);
	assert_true(route->has_dead_letter);
	posta_router_config_free(config);
}

static void parse__bindings__are_read_in_order(void **state)
{
	struct posta_router_config *config =
		parse(BROKERS "routes:\n  - name: r\n    from:\n      broker: work\n      queue: q\n      bindings:\n"
			      "        - { exchange: one, routing_key: a.* }\n        - { exchange: two }\n"
			      "    to: { broker: bus, topic: a }\n");
	if (!config)
		fail_msg("%s", findings);
	const char *const *bindings = config->routes[0].from.source.bindings;
	assert_string_equal(bindings[0], "one");
	assert_string_equal(bindings[1], "a.*");
	assert_string_equal(bindings[2], "two");
	assert_string_equal(bindings[3], "");
	assert_null(bindings[4]);
	posta_router_config_free(config);
}

static void parse__bindings_with_faults__are_pointed_at(void **state)
{
	static const char *const faults[][2] = {
		{ "[]", "error: a list of 1 to 64 bindings is expected here" },
		{ "[{ routing_key: k }]", "f:4:40: error: a binding needs an exchange" },
		{ "[{ exchange: '' }]", "error: nothing can be bound to the default exchange" },
		{ "[{ exchange: e, key: k }]", "unknown key \"key\" in a binding" },
		{ "[e]", "error: a binding must be a mapping" },
	};
	char text[512];
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		snprintf(text, sizeof text,
			 BROKERS "routes:\n  - name: r\n    from: { broker: work, bindings: %s }\n" TO, faults[i][0]);
		assert_finding(text, faults[i][1]);
	}
	assert_finding(BROKERS "routes:\n  - name: r\n"
			       "    from: { broker: bus, topic: a, bindings: [{ exchange: e }] }\n" TO,
		       "error: \"bindings\" in from is not possible with Kafka");
}

static void parse__unknown_key__names_the_nearest(void **state)
{
	assert_finding(BROKERS "routes:\n  - name: r\n    form: { broker: bus, topic: a }\n" TO,
		       "f:4:5: error: unknown key \"form\" in a route | did you mean \"from\"?");
	assert_finding(BROKERS "routes:\n  - name: r\n    from: { broker: bsu, topic: a }\n" TO,
		       "f:4:21: error: there is no broker \"bsu\" | did you mean \"bus\"?");
	assert_finding(BROKERS "rutes: []\n",
		       "f:2:1: error: unknown key \"rutes\" in the file | did you mean \"routes\"?");
}

static void parse__later_key__says_so(void **state)
{
	static const char *const tops[] = { "store: x", "control: x", "http: x", "tests: []" };
	char text[512], finding[128];
	for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
		snprintf(text, sizeof text, BROKERS "%s\nroutes:\n  - name: r\n" FROM TO, tops[i]);
		snprintf(finding, sizeof finding, "f:2:1: error: \"%.*s\" is not available in this version",
			 (int)strcspn(tops[i], ":"), tops[i]);
		assert_finding(text, finding);
	}
	assert_finding(BROKERS "routes:\n  - name: r\n" FROM "    steps: [ { dedup: {} } ]\n" TO,
		       "f:5:16: error: \"dedup\" is not available in this version");
	assert_finding(BROKERS "routes:\n  - name: r\n" FROM TO "    dead_letter: store\n",
		       "f:6:18: error: \"store\" is not available in this version");
	assert_finding(BROKERS "routes:\n  - name: r\n" FROM "    to: { switch: [] }\n",
		       "f:5:11: error: \"switch\" is not available in this version");
}

static void parse__several_errors__are_told_in_one_pass(void **state)
{
	struct posta_router_config *config =
		parse(BROKERS "routes:\n  - nam: r\n    from: { broker: bus, queue: a }\n    to: { broker: field }\n");
	assert_null(config);
	assert_non_null(strstr(findings, "f:3:5: error: unknown key \"nam\""));
	assert_non_null(strstr(findings, "f:4:26: error: \"queue\" in from is not possible with Kafka"));
	assert_non_null(strstr(findings, "f:5:11: error: to needs a topic with MQTT"));
}

static void parse__environment__is_filled_in(void **state)
{
	setenv("POSTA_TEST_TOPIC", "from-env", 1);
	unsetenv("POSTA_TEST_NONE");
	struct posta_router_config *config =
		parse(BROKERS "routes:\n  - name: ${POSTA_TEST_NONE:-given}\n"
			      "    from: { broker: bus, topic: \"${POSTA_TEST_TOPIC}\" }\n" TO);
	assert_non_null(config);
	assert_string_equal(config->routes[0].name, "given");
	assert_string_equal(config->routes[0].from.source.topic, "from-env");
	posta_router_config_free(config);
	assert_finding(BROKERS "routes:\n  - name: r${POSTA_TEST_NONE}\n" FROM TO,
		       "f:3:12: error: the variable POSTA_TEST_NONE is not set and has no default");
	assert_finding("brokers: { a: '${POSTA_TEST_NONE}' }\nroutes: []\n", "error: the variable POSTA_TEST_NONE");
	assert_null(strstr(strstr(findings, "POSTA_TEST_NONE") + 1, "POSTA_TEST_NONE")); /* once */
}

static void parse__names__are_checked(void **state)
{
	char text[256];
	assert_finding(BROKERS "routes:\n  - name: r\n    from: { broker: bus, topics: [a, 'b c'] }\n" TO,
		       "f:4:39: error: Kafka topic \"b c\" has ' ' at 2");
	assert_finding(BROKERS "routes:\n  - name: r\n    from: { broker: bus, topics: [a, ''] }\n" TO,
		       "f:4:39: error: Kafka topic is empty");
	assert_finding(BROKERS "routes:\n  - name: r\n    from: { broker: bus, pattern: '' }\n" TO,
		       "f:4:36: error: \"pattern\" is empty");
	snprintf(text, sizeof text, "brokers: { %064d: 'memory:' }\n", 7);
	assert_finding(text, "f:1:12: error: the name of a broker has 1 to 63 bytes");
}

static void parse__expression__points_at_the_column(void **state)
{
	assert_finding(BROKERS "routes:\n  - name: r\n" FROM "    steps:\n      - filter: type = \"a\"\n" TO,
		       "f:6:22: error: a single \"=\"");
}

static void parse__no_yaml__names_the_place(void **state)
{
	assert_finding("brokers: [\n", "error: ");
	assert_finding("", "f:1:1: error: the file is empty");
	assert_finding("- a\n", "error: the file must be a mapping");
	assert_finding("brokers: { a: &x memory:, b: *x }\nroutes: []\n", "error: ");
}

static void parse__credentials__are_never_told(void **state)
{
	posta_router_config_free(parse("brokers: { a: 'ampq://u:secret@h' }\nroutes:\n  - name: r\n"
				       "    from: { broker: a, queue: x }\n    to: { broker: a, queue: y }\n"));
	assert_non_null(strstr(findings, "unknown scheme"));
	assert_null(strstr(findings, "secret"));
	assert_finding("brokers: { a: { url: 'amqp://h', user: u, password: secret } }\nroutes:\n  - name: r\n"
		       "    from: { broker: a, queue: x }\n    to: { broker: a, queue: y }\n",
		       "f:1:53: warning: the password of broker \"a\" stands in the file");
	assert_null(strstr(findings, "secret"));
}

static void parse__password_file__is_read(void **state)
{
	char path[] = "/tmp/posta-password-XXXXXX", text[256];
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");
	fputs("hush\nthat was all\n", file);
	fclose(file);
	snprintf(text, sizeof text,
		 "brokers: { a: { url: 'amqp://h', user: u, password_file: %s } }\nroutes:\n  - name: r\n"
		 "    from: { broker: a, queue: x }\n    to: { broker: a, queue: y }\n",
		 path);
	struct posta_router_config *config = parse(text);
	remove(path);
	assert_non_null(config);
	assert_string_equal(config->brokers[0].options.password, "hush");
	posta_router_config_free(config);
	assert_finding(text, "error: no password could be read from");
}

static void check__loop__is_a_warning(void **state)
{
	assert_finding(BROKERS
		       "routes:\n"
		       "  - name: one\n    from: { broker: field, filter: a/+ }\n    to: { broker: mem, topic: x }\n"
		       "  - name: two\n    from: { broker: mem, topic: x }\n    to: { broker: field, topic: a/b }\n",
		       "f:3:11: warning: route \"one\" leads back to its own source");
	assert_finding(BROKERS "routes:\n  - name: r\n"
			       "    from: { broker: work, bindings: [{ exchange: e, routing_key: 'a.#' }] }\n"
			       "    to: { broker: work, exchange: e, routing_key: a.b }\n",
		       "f:3:11: warning: route \"r\" leads back to its own source");
	assert_finding(BROKERS "routes:\n  - name: r\n" FROM TO, "f:1:");
	assert_null(strstr(findings, "leads back"));
}

/* 1,024 routes, each into the next, and 16 targets each: the check must not try all ways through them. */
static void check__long_chain__takes_no_time(void **state)
{
	static char text[4 << 20];
	size_t used = (size_t)sprintf(text, BROKERS "routes:\n");
	for (unsigned i = 0; i < POSTA__ROUTES_MAX; i++) {
		used += (size_t)sprintf(text + used,
					"  - name: r%u\n    from: { broker: bus, topic: t%u }\n    to:\n", i, i);
		for (unsigned j = 0; j < POSTA__TARGETS_MAX; j++)
			used += (size_t)sprintf(text + used, "      - { broker: bus, topic: %s%u }\n", j ? "x" : "t",
						j ? j : (i + 1) % POSTA__ROUTES_MAX);
	}
	struct posta_router_config *config = parse(text);
	assert_non_null(config);
	assert_non_null(strstr(findings, "route \"r0\" leads back to its own source"));
	posta_router_config_free(config);
}

static void check__equal_names__are_an_error(void **state)
{
	assert_finding(BROKERS "routes:\n  - name: r\n" FROM TO "  - name: r\n" FROM TO,
		       "f:6:11: error: another route is called \"r\", in line 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse__whole_file__is_read),
		cmocka_unit_test(parse__bindings__are_read_in_order),
		cmocka_unit_test(parse__bindings_with_faults__are_pointed_at),
		cmocka_unit_test(parse__unknown_key__names_the_nearest),
		cmocka_unit_test(parse__later_key__says_so),
		cmocka_unit_test(parse__several_errors__are_told_in_one_pass),
		cmocka_unit_test(parse__environment__is_filled_in),
		cmocka_unit_test(parse__names__are_checked),
		cmocka_unit_test(parse__expression__points_at_the_column),
		cmocka_unit_test(parse__no_yaml__names_the_place),
		cmocka_unit_test(parse__credentials__are_never_told),
		cmocka_unit_test(parse__password_file__is_read),
		cmocka_unit_test(check__loop__is_a_warning),
		cmocka_unit_test(check__long_chain__takes_no_time),
		cmocka_unit_test(check__equal_names__are_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
