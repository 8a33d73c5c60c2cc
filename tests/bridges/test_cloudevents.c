/* SPDX-License-Identifier: MIT */
#include "random_envelope.h"

#include "bridges/codec/cloudevents.h"
#include "bridges/codec/text.h"

#define ROUNDS 3000
#define WIRE_MAX 400

/* What would be on the wire. */
struct wire {
	enum posta__protocol protocol;
	struct {
		char *name;
		char *value;
		size_t len;
	} headers[WIRE_MAX];
	size_t count;
};

static enum posta_err collect(void *context, const char *name, const struct posta_bytes *values, size_t count)
{
	struct wire *wire = context;
	if (wire->protocol != POSTA__AMQP)
		assert_int_equal(count, 1);
	for (size_t i = 0; wire->protocol == POSTA__AMQP && i < wire->count; i++)
		assert_string_not_equal(wire->headers[i].name, name);
	for (size_t i = 0; i < count; i++) {
		assert_true(wire->count < WIRE_MAX);
		if (wire->protocol == POSTA__MQTT5) {
			assert_true(posta__utf8_printable(name, strlen(name)));
			assert_true(posta__utf8_printable(values[i].data, values[i].len));
			assert_int_equal(((const char *)values[i].data)[values[i].len], 0);
		}
		wire->headers[wire->count].name = strdup(name);
		wire->headers[wire->count].value = malloc(values[i].len + 1);
		memcpy(wire->headers[wire->count].value, values[i].data, values[i].len);
		wire->headers[wire->count++].len = values[i].len;
	}
	return POSTA_OK;
}

static const char *wire_value(const struct wire *wire, const char *name)
{
	static char text[256];
	for (size_t i = 0; i < wire->count; i++)
		if (strcmp(wire->headers[i].name, name) == 0) {
			snprintf(text, sizeof text, "%.*s", (int)wire->headers[i].len, wire->headers[i].value);
			return text;
		}
	return NULL;
}

static void wire_free(struct wire *wire)
{
	for (size_t i = 0; i < wire->count; i++) {
		free(wire->headers[i].name);
		free(wire->headers[i].value);
	}
	wire->count = 0;
}

/* A protocol's own fields, as its bridge carries them over. */
static void carry_native(const struct posta_envelope *from, struct posta_envelope *to, enum posta__protocol protocol)
{
	for (int i = 0; i < POSTA_ATTR_COUNT; i++) {
		struct posta_bytes value = posta__wire_native(from, protocol, (enum posta_attribute)i);
		if (i != POSTA_ATTR_CONTENT_TYPE && value.data)
			posta_envelope_set(to, (enum posta_attribute)i, value.data, value.len);
	}
	int64_t time_ms = posta_envelope_time(from);
	if (time_ms != POSTA_TIME_NONE && protocol == POSTA__KAFKA)
		posta_envelope_set_time(to, time_ms);
	if (time_ms != POSTA_TIME_NONE && protocol == POSTA__AMQP)
		posta_envelope_set_time(to, time_ms / 1000 * 1000);
	if (protocol == POSTA__AMQP)
		posta_envelope_set_priority(to, posta_envelope_priority(from));
	int64_t ttl = posta__wire_ttl_ms(from, 1000);
	if (ttl >= 0 && (protocol == POSTA__AMQP || protocol == POSTA__MQTT5))
		posta_envelope_set_expiry(to, 5000 + ttl);
}

static struct posta_envelope *through(const struct posta_envelope *from, struct wire *wire, enum posta_format format)
{
	struct posta__wire_body body;
	struct posta_envelope *to = posta_envelope_new();
	assert_int_equal(posta__wire_encode(from, wire->protocol, format, collect, wire, &body), POSTA_OK);
	struct posta_bytes topic = posta_envelope_get(from, POSTA_ATTR_TOPIC);
	posta_envelope_set(to, POSTA_ATTR_TOPIC, topic.data, topic.len);
	carry_native(from, to, wire->protocol);
	if (wire->protocol != POSTA__KAFKA && wire->protocol != POSTA__MQTT3)
		posta_envelope_set(to, POSTA_ATTR_CONTENT_TYPE, body.content_type.data, body.content_type.len);
	assert_int_equal(posta_envelope_set_body(to, body.data, body.len), POSTA_OK);
	for (size_t i = 0; i < wire->count; i++)
		assert_int_equal(posta__wire_header_in(to, wire->protocol, wire->headers[i].name,
						       strlen(wire->headers[i].name), wire->headers[i].value,
						       wire->headers[i].len),
				 POSTA_OK);
	assert_int_equal(posta__wire_finish(&to, wire->protocol), POSTA_OK);
	posta__wire_body_fini(&body);
	return to;
}

static void round_trips(enum posta__protocol protocol, enum posta_format format)
{
	uint64_t seed = 20261124 + (uint64_t)protocol;
	for (int i = 0; i < ROUNDS; i++) {
		struct wire wire = { .protocol = protocol };
		struct posta_envelope *from = random_envelope(&seed);
		struct posta_envelope *to = through(from, &wire, format);
		assert_same_envelope(from, to, protocol == POSTA__AMQP);
		posta_envelope_unref(from);
		posta_envelope_unref(to);
		wire_free(&wire);
	}
}

static void round_trip__kafka_binary__is_lossless(void **state)
{
	round_trips(POSTA__KAFKA, POSTA_FORMAT_BINARY);
}

static void round_trip__amqp_binary__is_lossless(void **state)
{
	round_trips(POSTA__AMQP, POSTA_FORMAT_BINARY);
}

static void round_trip__mqtt5_binary__is_lossless(void **state)
{
	round_trips(POSTA__MQTT5, POSTA_FORMAT_BINARY);
}

static void round_trip__mqtt3__is_lossless(void **state)
{
	round_trips(POSTA__MQTT3, POSTA_FORMAT_BINARY);
}

static void round_trip__structured__is_lossless(void **state)
{
	round_trips(POSTA__KAFKA, POSTA_FORMAT_STRUCTURED);
	round_trips(POSTA__AMQP, POSTA_FORMAT_STRUCTURED);
	round_trips(POSTA__MQTT5, POSTA_FORMAT_STRUCTURED);
}

static void round_trip__json__is_lossless(void **state)
{
	uint64_t seed = 7;
	for (int i = 0; i < ROUNDS; i++) {
		char *json;
		size_t len;
		struct posta_envelope *to = NULL;
		struct posta_envelope *from = random_envelope(&seed);
		assert_int_equal(posta_envelope_to_json(from, &json, &len), POSTA_OK);
		assert_int_equal(strlen(json), len);
		assert_int_equal(posta_envelope_from_json(json, len, &to, NULL), POSTA_OK);
		free(json);
		assert_same_envelope(from, to, false);
		posta_envelope_unref(from);
		posta_envelope_unref(to);
	}
}

static struct posta_envelope *reservation(void)
{
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_text(envelope, POSTA_ATTR_ID, "1");
	posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "micro-estudiantes");
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "reserva.creada");
	posta_envelope_set_text(envelope, POSTA_ATTR_KEY, "k");
	posta_envelope_set_text(envelope, POSTA_ATTR_CORRELATION_ID, "c");
	posta_envelope_set_text(envelope, POSTA_ATTR_REPLY_TO, "respuestas");
	posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json");
	posta_envelope_set_text(envelope, POSTA_ATTR_TRACEPARENT,
				"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
	posta_envelope_set_time(envelope, INT64_C(1795514400000));
	posta_envelope_set_expiry(envelope, INT64_C(1795514400500));
	posta_envelope_set_priority(envelope, 9);
	posta_envelope_add_header(envelope, "origen", "web", 3);
	posta_envelope_set_body(envelope, "{\"reservaId\":\"123\"}", 19);
	return envelope;
}

struct expected {
	const char *name;
	const char *value; /* NULL: must not be there */
};

static void encodes(enum posta__protocol protocol, const struct expected *rows, const char *content_type)
{
	struct wire wire = { .protocol = protocol };
	struct posta__wire_body body;
	struct posta_envelope *envelope = reservation();
	assert_int_equal(posta__wire_encode(envelope, protocol, POSTA_FORMAT_BINARY, collect, &wire, &body), POSTA_OK);
	for (; rows->name; rows++) {
		const char *value = wire_value(&wire, rows->name);
		if (!rows->value)
			assert_null(value);
		else
			assert_string_equal(value, rows->value);
	}
	assert_ptr_equal(body.data, posta_envelope_body(envelope).data);
	if (content_type)
		assert_string_equal(body.content_type.data, content_type);
	else
		assert_null(body.content_type.data);
	posta__wire_body_fini(&body);
	wire_free(&wire);
	posta_envelope_unref(envelope);
}

static void encode__kafka__follows_the_table(void **state)
{
	static const struct expected rows[] = { { "ce_specversion", "1.0" },
						{ "ce_id", "1" },
						{ "ce_source", "micro-estudiantes" },
						{ "ce_type", "reserva.creada" },
						{ "content-type", "application/json" },
						{ "ce_time", "2026-11-24T10:00:00.000Z" },
						{ "ce_partitionkey", "k" },
						{ "ce_correlationid", "c" },
						{ "ce_replyto", "respuestas" },
						{ "ce_priority", "9" },
						{ "ce_expirytime", "2026-11-24T10:00:00.500Z" },
						{ "traceparent",
						  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
						{ "origen", "web" },
						{ "ce_subject", NULL },
						{ NULL, NULL } };
	encodes(POSTA__KAFKA, rows, NULL);
}

static void encode__amqp__follows_the_table(void **state)
{
	static const struct expected rows[] = { { "cloudEvents_specversion", "1.0" },
						{ "cloudEvents_id", "1" },
						{ "cloudEvents_source", "micro-estudiantes" },
						{ "cloudEvents_type", "reserva.creada" },
						{ "cloudEvents_time", "2026-11-24T10:00:00.000Z" },
						{ "cloudEvents_partitionkey", "k" },
						{ "cloudEvents_expirytime", "2026-11-24T10:00:00.500Z" },
						{ "cloudEvents_priority", NULL },
						{ "cloudEvents_correlationid", NULL },
						{ "cloudEvents_replyto", NULL },
						{ "cloudEvents_datacontenttype", NULL },
						{ "origen", "web" },
						{ NULL, NULL } };
	encodes(POSTA__AMQP, rows, "application/json");
	struct posta_envelope *envelope = reservation();
	assert_string_equal(posta__wire_native(envelope, POSTA__AMQP, POSTA_ATTR_ID).data, "1");
	assert_string_equal(posta__wire_native(envelope, POSTA__AMQP, POSTA_ATTR_TYPE).data, "reserva.creada");
	assert_string_equal(posta__wire_native(envelope, POSTA__AMQP, POSTA_ATTR_CORRELATION_ID).data, "c");
	assert_null(posta__wire_native(envelope, POSTA__AMQP, POSTA_ATTR_KEY).data);
	posta_envelope_unref(envelope);
}

static void encode__mqtt5__follows_the_table(void **state)
{
	static const struct expected rows[] = { { "specversion", "1.0" },
						{ "id", "1" },
						{ "source", "micro-estudiantes" },
						{ "type", "reserva.creada" },
						{ "time", "2026-11-24T10:00:00.000Z" },
						{ "partitionkey", "k" },
						{ "priority", "9" },
						{ "correlationid", NULL },
						{ "replyto", NULL },
						{ "datacontenttype", NULL },
						{ "origen", "web" },
						{ NULL, NULL } };
	encodes(POSTA__MQTT5, rows, "application/json");
	struct posta_envelope *envelope = reservation();
	assert_string_equal(posta__wire_native(envelope, POSTA__MQTT5, POSTA_ATTR_REPLY_TO).data, "respuestas");
	posta_envelope_set_text(envelope, POSTA_ATTR_REPLY_TO, "a/#");
	assert_null(posta__wire_native(envelope, POSTA__MQTT5, POSTA_ATTR_REPLY_TO).data);
	posta_envelope_unref(envelope);
}

static void encode__structured__is_one_json_event(void **state)
{
	struct wire wire = { .protocol = POSTA__MQTT3 };
	struct posta__wire_body body;
	struct posta_envelope *envelope = reservation();
	assert_int_equal(posta__wire_encode(envelope, POSTA__MQTT3, POSTA_FORMAT_BINARY, collect, &wire, &body),
			 POSTA_OK);
	assert_string_equal(
		body.data,
		"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"micro-estudiantes\",\"type\":\"reserva.creada\","
		"\"datacontenttype\":\"application/json\",\"partitionkey\":\"k\",\"correlationid\":\"c\","
		"\"replyto\":\"respuestas\",\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
		"01\","
		"\"time\":\"2026-11-24T10:00:00.000Z\",\"expirytime\":\"2026-11-24T10:00:00.500Z\",\"priority\":9,"
		"\"origen\":\"web\",\"data\":{\"reservaId\":\"123\"}}");
	assert_int_equal(wire.count, 0);
	posta__wire_body_fini(&body);
	posta_envelope_unref(envelope);
}

static void encode__amqp_long_property__goes_as_a_header(void **state)
{
	struct wire wire = { .protocol = POSTA__AMQP };
	struct posta__wire_body body;
	char value[257];
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = 0;
	struct posta_envelope *envelope = reservation();
	posta_envelope_set_text(envelope, POSTA_ATTR_CORRELATION_ID, value);
	assert_null(posta__wire_native(envelope, POSTA__AMQP, POSTA_ATTR_CORRELATION_ID).data);
	posta_envelope_set_text(envelope, POSTA_ATTR_REPLY_TO, value + 1);
	assert_int_equal(posta__wire_native(envelope, POSTA__AMQP, POSTA_ATTR_REPLY_TO).len, 255);
	assert_int_equal(posta__wire_encode(envelope, POSTA__AMQP, POSTA_FORMAT_BINARY, collect, &wire, &body),
			 POSTA_OK);
	assert_non_null(wire_value(&wire, "cloudEvents_correlationid"));
	assert_null(wire_value(&wire, "cloudEvents_replyto"));
	posta__wire_body_fini(&body);
	wire_free(&wire);
	posta_envelope_unref(envelope);
}

/* Members of a JSON object must not repeat, and extension attributes are lower-case letters and digits. */
static void encode__structured_odd_headers__are_one_extension(void **state)
{
	static const char *const odd[] = { "origen", "a_b", "type", "data", "idbase64", "postaheaders" };
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		char *json;
		struct posta_envelope *envelope = reservation();
		posta_envelope_add_header(envelope, odd[i], "x", 1);
		assert_int_equal(posta_envelope_to_json(envelope, &json, NULL), POSTA_OK);
		assert_non_null(strstr(json, ",\"postaheaders\":\"[[\\\"origen\\\",\\\"web\\\"],[\\\""));
		assert_null(strstr(json, ",\"origen\":"));
		free(json);
		posta_envelope_unref(envelope);
	}
}

static void encode__structured_white_space__is_kept_unless_json(void **state)
{
	char *json;
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_body(envelope, "0\n", 2);
	assert_int_equal(posta_envelope_to_json(envelope, &json, NULL), POSTA_OK);
	assert_string_equal(json, "{\"specversion\":\"1.0\",\"data_base64\":\"MAo=\"}");
	free(json);
	posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json");
	assert_int_equal(posta_envelope_to_json(envelope, &json, NULL), POSTA_OK);
	assert_string_equal(json, "{\"specversion\":\"1.0\",\"datacontenttype\":\"application/json\",\"data\":0}");
	free(json);
	posta_envelope_unref(envelope);
}

static void encode__raw__is_the_body_alone(void **state)
{
	struct wire wire = { .protocol = POSTA__KAFKA };
	struct posta__wire_body body;
	struct posta_envelope *envelope = reservation();
	assert_int_equal(posta__wire_encode(envelope, POSTA__KAFKA, POSTA_FORMAT_RAW, collect, &wire, &body), POSTA_OK);
	assert_int_equal(wire.count, 0);
	assert_int_equal(body.len, 19);
	assert_null(body.content_type.data);
	posta__wire_body_fini(&body);
	posta_envelope_unref(envelope);
}

static enum posta_err refuse(void *context, const char *name, const struct posta_bytes *values, size_t count)
{
	return --*(int *)context > 0 ? POSTA_OK : POSTA_ETOOBIG;
}

static void encode__put_fails__stops_with_its_error(void **state)
{
	struct posta_envelope *envelope = reservation();
	struct posta__wire_body body;
	int calls = 3;
	assert_int_equal(posta__wire_encode(envelope, POSTA__KAFKA, POSTA_FORMAT_BINARY, refuse, &calls, &body),
			 POSTA_ETOOBIG);
	assert_int_equal(calls, 0);
	assert_null(body.data);
	calls = 1;
	assert_int_equal(posta__wire_encode(envelope, POSTA__KAFKA, POSTA_FORMAT_STRUCTURED, refuse, &calls, &body),
			 POSTA_ETOOBIG);
	assert_null(body.owned);
	posta_envelope_unref(envelope);
}

static void encode__amqp_name_too_long__is_refused(void **state)
{
	struct wire wire = { .protocol = POSTA__AMQP };
	struct posta__wire_body body;
	char name[300];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_add_header(envelope, name, "v", 1);
	assert_int_equal(posta__wire_encode(envelope, POSTA__AMQP, POSTA_FORMAT_BINARY, collect, &wire, &body),
			 POSTA_ETOOBIG);
	posta_envelope_unref(envelope);
}

static void header_in(struct posta_envelope *envelope, enum posta__protocol protocol, const char *name,
		      const char *value)
{
	assert_int_equal(posta__wire_header_in(envelope, protocol, name, strlen(name), value, strlen(value)), POSTA_OK);
}

static void decode__foreign_prefixes__are_ours(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	header_in(envelope, POSTA__AMQP, "cloudEvents:id", "7");
	header_in(envelope, POSTA__KAFKA, "ce-type", "t");
	header_in(envelope, POSTA__AMQP, "cloudEvents_time", "2026-11-24T10:00:00Z");
	header_in(envelope, POSTA__KAFKA, "ce_specversion", "1.0");
	header_in(envelope, POSTA__KAFKA, "ce_myext", "x");
	header_in(envelope, POSTA__KAFKA, "id", "free");
	header_in(envelope, POSTA__KAFKA, "ce_priority", "high");
	header_in(envelope, POSTA__KAFKA, "ce_time", "yesterday");
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_ID), "7");
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_TYPE), "t");
	assert_int_equal(posta_envelope_time(envelope), INT64_C(1795514400000));
	assert_string_equal(posta_envelope_header(envelope, "ce_myext").data, "x");
	assert_string_equal(posta_envelope_header(envelope, "id").data, "free");
	assert_string_equal(posta_envelope_header(envelope, "ce_priority").data, "high");
	assert_string_equal(posta_envelope_header(envelope, "ce_time").data, "yesterday");
	assert_int_equal(posta_envelope_header_count(envelope), 4);
	posta_envelope_unref(envelope);
}

static void decode__native_key__comes_before_its_echo(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_text(envelope, POSTA_ATTR_KEY, "record");
	header_in(envelope, POSTA__KAFKA, "ce_partitionkey", "header");
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_KEY), "record");
	posta_envelope_unref(envelope);
}

static struct posta_envelope *finished(enum posta__protocol protocol, const char *content_type, const char *body)
{
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, content_type);
	posta_envelope_set_body(envelope, body, strlen(body));
	assert_int_equal(posta__wire_finish(&envelope, protocol), POSTA_OK);
	return envelope;
}

static void assert_body(struct posta_envelope *envelope, const char *text)
{
	assert_int_equal(posta_envelope_body(envelope).len, strlen(text));
	assert_memory_equal(posta_envelope_body(envelope).data, text, strlen(text));
	posta_envelope_unref(envelope);
}

static void finish__plain_json__stays_opaque(void **state)
{
	static const char plain[] = "{\"id\":\"1\",\"type\":\"reserva.creada\",\"data\":{}}";
	struct posta_envelope *envelope = finished(POSTA__KAFKA, "application/json", plain);
	assert_null(posta_envelope_get(envelope, POSTA_ATTR_ID).data);
	assert_body(envelope, plain);
	assert_body(finished(POSTA__MQTT3, NULL, plain), plain);
	assert_body(finished(POSTA__KAFKA, "application/cloudevents+json", plain), plain);
	assert_body(finished(POSTA__KAFKA, "application/cloudevents+json", "{\"specversion\":\"1.0\","),
		    "{\"specversion\":\"1.0\",");
	assert_body(finished(POSTA__KAFKA, "application/cloudevents-batch+json", "[{\"specversion\":\"1.0\"}]"),
		    "[{\"specversion\":\"1.0\"}]");
}

static void finish__foreign_event__is_unpacked(void **state)
{
	struct posta_envelope *envelope = finished(POSTA__AMQP, "Application/CloudEvents+JSON; charset=UTF-8",
						   " {\"specversion\":\"1.0\",\"id\":\"a\\u00f1\\\"\",\"type\":\"t\","
						   "\"source\":\"/s\",\"time\":\"2026-11-24T10:00:00Z\",\n"
						   "\"timestamp\":\"x\",\"n\":5,\"ok\":true,\"no\":null,"
						   "\"datacontenttype\":\"text/xml\",\"data\":\"<a b=\\\"c\\\"/>\"}\n");
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_ID), "añ\"");
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_CONTENT_TYPE), "text/xml");
	assert_string_equal(posta_envelope_header(envelope, "timestamp").data, "x");
	assert_string_equal(posta_envelope_header(envelope, "n").data, "5");
	assert_string_equal(posta_envelope_header(envelope, "ok").data, "true");
	assert_null(posta_envelope_header(envelope, "no").data);
	assert_body(envelope, "<a b=\"c\"/>");
	envelope = finished(POSTA__MQTT5, "application/cloudevents+json",
			    "{\"specversion\":\"1.0\",\"data_base64\":\"AQI=\"}");
	assert_body(envelope, "\1\2");
	envelope =
		finished(POSTA__MQTT5, "application/cloudevents+json", "{\"specversion\":\"1.0\",\"data\": [1, 2] }");
	assert_null(posta_envelope_get(envelope, POSTA_ATTR_CONTENT_TYPE).data);
	assert_body(envelope, "[1, 2]");
	envelope = finished(POSTA__MQTT5, "application/cloudevents+json", "{\"specversion\":\"1.0\"}");
	assert_null(posta_envelope_body(envelope).data);
	posta_envelope_unref(envelope);
}

static void from_json__node_event__is_kept_whole(void **state)
{
	static const char text[] = "{\"id\":\"1\",\"type\":\"reserva.creada\",\"source\":\"s\",\"timestamp\":\"2026-11-"
				   "24T10:00:00Z\",\"data\":{}}";
	struct posta_envelope *envelope;
	assert_int_equal(posta_envelope_from_json(text, sizeof text - 1, &envelope, NULL), POSTA_OK);
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_TYPE), "reserva.creada");
	assert_int_equal(posta_envelope_time(envelope), INT64_C(1795514400000));
	assert_string_equal(posta_envelope_text(envelope, POSTA_ATTR_CONTENT_TYPE), "application/json");
	assert_body(envelope, text);
	assert_int_equal(posta_envelope_from_json("[1]", 3, &envelope, NULL), POSTA_OK);
	assert_body(envelope, "[1]");
}

static void from_json__malformed__says_where(void **state)
{
	struct posta_envelope *envelope = NULL;
	struct posta_error error;
	char deep[80];
	memset(deep, '[', sizeof deep);
	assert_int_equal(posta_envelope_from_json("{\"a\":tru}", 9, &envelope, &error), POSTA_EFORMAT);
	assert_non_null(strstr(error.text, "byte 8"));
	assert_int_equal(posta_envelope_from_json(deep, sizeof deep, &envelope, &error), POSTA_ETOOBIG);
	assert_int_equal(posta_envelope_from_json("", 0, &envelope, &error), POSTA_EFORMAT);
	assert_null(envelope);
}

static void ttl__past_and_never__are_told_apart(void **state)
{
	struct posta_envelope *envelope = posta_envelope_new();
	assert_int_equal(posta__wire_ttl_ms(envelope, 5), -1);
	posta_envelope_set_expiry(envelope, 100);
	assert_int_equal(posta__wire_ttl_ms(envelope, 60), 40);
	assert_int_equal(posta__wire_ttl_ms(envelope, 100), 0);
	assert_int_equal(posta__wire_ttl_ms(envelope, 200), 0);
	posta_envelope_unref(envelope);
}

static void trace__next_hop__keeps_the_trace(void **state)
{
	static const char *const bad[] = { "",
					   "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
					   "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
					   "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
					   "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
					   "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x" };
	char out[POSTA__TRACEPARENT_SIZE] = "same";
	struct posta_bytes parent = { "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 55 };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(posta__trace_next_hop((struct posta_bytes){ bad[i], strlen(bad[i]) }, 1, out));
	assert_string_equal(out, "same");
	assert_true(posta__trace_next_hop(parent, 0xABCDEF, out));
	assert_string_equal(out, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000abcdef-01");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encode__kafka__follows_the_table),
		cmocka_unit_test(encode__amqp__follows_the_table),
		cmocka_unit_test(encode__mqtt5__follows_the_table),
		cmocka_unit_test(encode__structured__is_one_json_event),
		cmocka_unit_test(encode__amqp_long_property__goes_as_a_header),
		cmocka_unit_test(encode__structured_odd_headers__are_one_extension),
		cmocka_unit_test(encode__structured_white_space__is_kept_unless_json),
		cmocka_unit_test(encode__raw__is_the_body_alone),
		cmocka_unit_test(encode__put_fails__stops_with_its_error),
		cmocka_unit_test(encode__amqp_name_too_long__is_refused),
		cmocka_unit_test(decode__foreign_prefixes__are_ours),
		cmocka_unit_test(decode__native_key__comes_before_its_echo),
		cmocka_unit_test(finish__plain_json__stays_opaque),
		cmocka_unit_test(finish__foreign_event__is_unpacked),
		cmocka_unit_test(from_json__node_event__is_kept_whole),
		cmocka_unit_test(from_json__malformed__says_where),
		cmocka_unit_test(ttl__past_and_never__are_told_apart),
		cmocka_unit_test(trace__next_hop__keeps_the_trace),
		cmocka_unit_test(round_trip__kafka_binary__is_lossless),
		cmocka_unit_test(round_trip__amqp_binary__is_lossless),
		cmocka_unit_test(round_trip__mqtt5_binary__is_lossless),
		cmocka_unit_test(round_trip__mqtt3__is_lossless),
		cmocka_unit_test(round_trip__structured__is_lossless),
		cmocka_unit_test(round_trip__json__is_lossless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
