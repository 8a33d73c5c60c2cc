/* SPDX-License-Identifier: MIT */
#include "random_envelope.h"

#include "bridges/names.h"

enum { K = POSTA__NAME_KAFKA, A = POSTA__NAME_AMQP, M = POSTA__NAME_MQTT };

static void converts(int from, const char *name, int to, const char *expected)
{
	char out[300];
	char back[300];
	struct posta_error error = { .text = "" };
	if (posta__name_convert((enum posta__name_kind)from, (enum posta__name_kind)to, name, out, sizeof out, &error))
		fail_msg("%s: %s", name, error.text);
	assert_string_equal(out, expected);
	assert_int_equal(posta__name_convert((enum posta__name_kind)to, (enum posta__name_kind)from, out, back,
					     sizeof back, NULL),
			 POSTA_OK);
	assert_string_equal(back, name);
}

static void convert__plain_names__change_the_separator(void **state)
{
	converts(M, "servicios/health/api", A, "servicios.health.api");
	converts(M, "servicios/health/api", K, "servicios.health.api");
	converts(A, "reserva.creada", K, "reserva.creada");
	converts(K, "reserva-v1_x.creada", M, "reserva-v1_x/creada");
	converts(M, "a//b/", A, "a..b.");
}

static void convert__what_the_other_side_cannot_hold__is_escaped(void **state)
{
	converts(M, "v1.2/x", A, "v1%2E2.x");
	converts(M, "v1.2/ñ", K, "v1_x2E2._xC3_xB1");
	converts(A, "a/b.c+#", M, "a%2Fb/c%2B%23");
	converts(A, "*.#", M, "*/%23");
	converts(M, "50%/a", A, "50%.a");
	converts(M, "a%2Eb/a", A, "a%252Eb.a");
	converts(M, "a%252Eb", A, "a%25252Eb");
	converts(K, "a_x2Fb", M, "a%2Fb");
	converts(M, "a_x2Fb", K, "a_x5Fx2Fb");
	converts(K, "mqtt_topic_x41", M, "mqtt_topic_x41");
}

static void convert__random_names__come_back(void **state)
{
	static const char *const pieces[] = { "a", "/", ".", "%", "2", "5", "F",  "E",  "_",   "x",   "ñ",
					      "*", "#", "+", "$", "-", " ", "25", "5F", "%2F", "_x2F" };
	uint64_t seed = 99;
	size_t done = 0;
	for (int i = 0; i < 60000; i++) {
		char name[64] = "";
		char out[700];
		char back[700];
		int from = (int)below(&seed, 3);
		int to = (int)below(&seed, 3);
		for (size_t n = 1 + below(&seed, 12); n > 0; n--)
			strcat(name, pieces[below(&seed, sizeof pieces / sizeof pieces[0])]);
		if (posta__name_convert((enum posta__name_kind)from, (enum posta__name_kind)to, name, out, sizeof out,
					NULL))
			continue;
		assert_int_equal(posta__name_check((enum posta__name_kind)to, out, NULL), POSTA_OK);
		assert_int_equal(posta__name_convert((enum posta__name_kind)to, (enum posta__name_kind)from, out, back,
						     sizeof back, NULL),
				 POSTA_OK);
		assert_string_equal(back, name);
		done++;
	}
	assert_true(done > 10000);
}

static void convert__no_room__is_refused(void **state)
{
	char out[8];
	char big[300];
	struct posta_error error;
	assert_int_equal(posta__name_convert(POSTA__NAME_MQTT, POSTA__NAME_AMQP, "12345678", out, sizeof out, &error),
			 POSTA_ETOOBIG);
	memset(big, 'x', 260);
	big[260] = 0;
	char room[400];
	assert_int_equal(posta__name_convert(POSTA__NAME_MQTT, POSTA__NAME_KAFKA, big, room, sizeof room, &error),
			 POSTA_ETOOBIG);
	assert_non_null(strstr(error.text, "249"));
	assert_int_equal(posta__name_convert(POSTA__NAME_MQTT, POSTA__NAME_KAFKA, "/", room, sizeof room, &error),
			 POSTA_EUNSUPPORTED);
}

static void check__each_kind__says_what_is_wrong(void **state)
{
	static const struct {
		int kind;
		const char *name;
		const char *says; /* NULL: fine */
	} rows[] = {
		{ K, "reservas", NULL }, { K, "a b", "at 2" },   { K, "..", "must not be" }, { K, "", "empty" },
		{ K, "ñ", "only A-Z" },  { A, "a b/*.#", NULL }, { A, "", "empty" },         { A, "\xFF", "UTF-8" },
		{ M, "a/b c", NULL },    { M, "a/+", "at 3" },   { M, "a#", "wildcards" },   { M, "a\tb", "control" },
		{ M, "$SYS/x", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct posta_error error = { .text = "" };
		enum posta_err err = posta__name_check((enum posta__name_kind)rows[i].kind, rows[i].name, &error);
		assert_int_equal(err, rows[i].says ? POSTA_EINVAL : POSTA_OK);
		if (rows[i].says && !strstr(error.text, rows[i].says))
			fail_msg("%s: %s", rows[i].name, error.text);
	}
}

static void filter_check__misplaced_wildcards__are_refused(void **state)
{
	static const char *const good[] = { "#", "+", "a/#", "+/a/+", "/", "$share/g/a/#", "$share/g/+", "$SYS/#" };
	static const char *const bad[] = { "",         "a#",        "a/#/b",     "a+",         "+a/b",       "#/",
					   "$share/g", "$share//a", "$share/g/", "$share/+/a", "$share/g/a#" };
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(posta__filter_check(POSTA__NAME_MQTT, good[i], NULL), POSTA_OK);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(posta__filter_check(POSTA__NAME_MQTT, bad[i], NULL), POSTA_EINVAL);
	assert_int_equal(posta__filter_check(POSTA__NAME_AMQP, "a.#.*", NULL), POSTA_OK);
	assert_int_equal(posta__filter_check(POSTA__NAME_KAFKA, "a#", NULL), POSTA_EINVAL);
}

static void filter_convert__wildcards__change_their_sign(void **state)
{
	char out[64];
	struct posta_error error;
	assert_int_equal(
		posta__filter_convert(POSTA__NAME_MQTT, POSTA__NAME_AMQP, "servicios/+/v1.2/#", out, sizeof out, NULL),
		POSTA_OK);
	assert_string_equal(out, "servicios.*.v1%2E2.#");
	assert_int_equal(posta__filter_convert(POSTA__NAME_AMQP, POSTA__NAME_MQTT, out, out + 32, 32, NULL), POSTA_OK);
	assert_string_equal(out + 32, "servicios/+/v1.2/#");
	assert_int_equal(posta__filter_convert(POSTA__NAME_AMQP, POSTA__NAME_MQTT, "a.#.b", out, sizeof out, &error),
			 POSTA_EUNSUPPORTED);
	assert_non_null(strstr(error.text, "last level"));
	assert_int_equal(posta__filter_convert(POSTA__NAME_MQTT, POSTA__NAME_AMQP, "a/*", out, sizeof out, &error),
			 POSTA_EUNSUPPORTED);
	assert_int_equal(posta__filter_convert(POSTA__NAME_MQTT, POSTA__NAME_AMQP, "%23", out, sizeof out, &error),
			 POSTA_EUNSUPPORTED);
	assert_int_equal(
		posta__filter_convert(POSTA__NAME_AMQP, POSTA__NAME_MQTT, "$share.g.a", out, sizeof out, &error),
		POSTA_EUNSUPPORTED);
	assert_int_equal(posta__filter_convert(POSTA__NAME_MQTT, POSTA__NAME_KAFKA, "a/+", out, sizeof out, &error),
			 POSTA_EUNSUPPORTED);
	assert_int_equal(
		posta__filter_convert(POSTA__NAME_MQTT, POSTA__NAME_AMQP, "$share/g/a", out, sizeof out, &error),
		POSTA_EUNSUPPORTED);
	assert_int_equal(posta__filter_convert(POSTA__NAME_MQTT, POSTA__NAME_AMQP, "a#", out, sizeof out, &error),
			 POSTA_EINVAL);
}

struct match {
	const char *filter;
	const char *topic;
	bool matches;
};

static void mqtt_match__by_the_book(void **state)
{
	static const struct match rows[] = {
		{ "sport/tennis/player1/#", "sport/tennis/player1", true },
		{ "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
		{ "sport/#", "sport", true },
		{ "#", "a/b", true },
		{ "sport/tennis/+", "sport/tennis/player1", true },
		{ "sport/tennis/+", "sport/tennis/player1/ranking", false },
		{ "sport/+", "sport", false },
		{ "sport/+", "sport/", true },
		{ "+/+", "/finance", true },
		{ "/+", "/finance", true },
		{ "+", "/finance", false },
		{ "#", "$SYS/x", false },
		{ "+/x", "$SYS/x", false },
		{ "$SYS/#", "$SYS/x", true },
		{ "$SYS/+", "$SYS/x", true },
		{ "a/+", "a/$x", true },
		{ "$share/g/a/+", "a/b", true },
		{ "$share/g/#", "$SYS/x", false },
		{ "a", "a/b", false },
		{ "a/b", "a", false },
		{ "a/+/c", "a/b/d", false },
		{ "a/+/#", "a", false },
		{ "a/+/#", "a/b", true },
		{ "A", "a", false },
		{ "a/", "a", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (posta__mqtt_match(rows[i].filter, rows[i].topic) != rows[i].matches)
			fail_msg("%s %s", rows[i].filter, rows[i].topic);
}

static void amqp_match__by_the_book(void **state)
{
	static const struct match rows[] = {
		{ "*.stock.#", "usd.stock", true },
		{ "*.stock.#", "eur.stock.db", true },
		{ "*.stock.#", "stock.nasdaq", false },
		{ "#", "", true },
		{ "*", "", false },
		{ "", "", true },
		{ "", "a", false },
		{ "#", "a.b", true },
		{ "#.b", "b", true },
		{ "#.b", "a.b.b", true },
		{ "a.#.b", "a.b", true },
		{ "a.#.b", "a.x.y.b", true },
		{ "a.#.b", "a.x.y", false },
		{ "#.#", "", true },
		{ "#.*", "a", true },
		{ "#.*", "", false },
		{ "*.#.*", "a", false },
		{ "a.*", "a", false },
		{ "a.*", "a.", true },
		{ "a.*.c", "a..c", true },
		{ "#.a.#.b.#", "x.a.y.b.z", true },
		{ "#.a.#.b.#", "x.b.y.a.z", false },
		{ "a*", "ab", false },
		{ "a", "a", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (posta__amqp_match(rows[i].filter, rows[i].topic) != rows[i].matches)
			fail_msg("%s %s", rows[i].filter, rows[i].topic);
}

/* The obvious recursion, to compare with. */
static bool slow_match(const char *const *want, size_t wants, const char *const *have, size_t haves)
{
	if (!wants)
		return !haves;
	if (strcmp(*want, "#") == 0)
		return slow_match(want + 1, wants - 1, have, haves) ||
		       (haves && slow_match(want, wants, have + 1, haves - 1));
	return haves && (strcmp(*want, "*") == 0 || strcmp(*want, *have) == 0) &&
	       slow_match(want + 1, wants - 1, have + 1, haves - 1);
}

static size_t random_words(uint64_t *seed, const char *const *from, size_t count, const char **words, char *text)
{
	size_t n = 1 + below(seed, 6);
	text[0] = 0;
	for (size_t i = 0; i < n; i++) {
		words[i] = from[below(seed, count)];
		strcat(strcat(text, i ? "." : ""), words[i]);
	}
	return n;
}

static void amqp_match__random__as_the_definition(void **state)
{
	static const char *const wanted[] = { "#", "*", "a", "b", "#" };
	static const char *const given[] = { "a", "b", "c" };
	uint64_t seed = 5;
	for (int i = 0; i < 50000; i++) {
		const char *want[8];
		const char *have[8];
		char pattern[64];
		char key[64];
		size_t wants = random_words(&seed, wanted, 5, want, pattern);
		size_t haves = random_words(&seed, given, 3, have, key);
		assert_int_equal(posta__amqp_match(pattern, key), slow_match(want, wants, have, haves));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(convert__plain_names__change_the_separator),
		cmocka_unit_test(convert__what_the_other_side_cannot_hold__is_escaped),
		cmocka_unit_test(convert__random_names__come_back),
		cmocka_unit_test(convert__no_room__is_refused),
		cmocka_unit_test(check__each_kind__says_what_is_wrong),
		cmocka_unit_test(filter_check__misplaced_wildcards__are_refused),
		cmocka_unit_test(filter_convert__wildcards__change_their_sign),
		cmocka_unit_test(mqtt_match__by_the_book),
		cmocka_unit_test(amqp_match__by_the_book),
		cmocka_unit_test(amqp_match__random__as_the_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
