/* SPDX-License-Identifier: MIT */
#include "names.h"

#include "codec/text.h"

#include <stdio.h>
#include <string.h>

static const struct kind {
	const char *what;
	size_t max;
	char separator;
	char mark;        /* begins an escape */
	const char *rest; /* follows the mark */
} kinds[] = {
	[POSTA__NAME_KAFKA] = { "Kafka topic", POSTA__KAFKA_TOPIC_MAX, '.', '_', "x" },
	[POSTA__NAME_AMQP] = { "AMQP name", POSTA__AMQP_NAME_MAX, '.', '%', "" },
	[POSTA__NAME_MQTT] = { "MQTT topic", POSTA__MQTT_TOPIC_MAX, '/', '%', "" },
};

static bool kafka_char(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* What can't stand inside a level. */
static bool must_escape(enum posta__name_kind kind, unsigned char c)
{
	if (c == (unsigned char)kinds[kind].separator)
		return true;
	if (kind == POSTA__NAME_KAFKA)
		return !kafka_char(c);
	return kind == POSTA__NAME_MQTT && (c == '+' || c == '#' || c < 0x20 || c == 0x7F);
}

/* -- Validity */

static enum posta_err check_text(enum posta__name_kind kind, const char *name, struct posta_error *error)
{
	size_t len = name ? strlen(name) : 0;
	if (!len)
		return posta_error_set(error, POSTA_EINVAL, "%s is empty", kinds[kind].what);
	if (len > kinds[kind].max)
		return posta_error_set(error, POSTA_EINVAL, "%s \"%.40s...\" has %zu bytes: at most %zu",
				       kinds[kind].what, name, len, kinds[kind].max);
	if (kind == POSTA__NAME_MQTT ? !posta__utf8_printable(name, len) : !posta__utf8_valid(name, len))
		return posta_error_set(error, POSTA_EINVAL, "%s is not valid UTF-8%s", kinds[kind].what,
				       kind == POSTA__NAME_MQTT ? " or has control characters" : "");
	return POSTA_OK;
}

enum posta_err posta__name_check(enum posta__name_kind kind, const char *name, struct posta_error *error)
{
	enum posta_err err = check_text(kind, name, error);
	if (err || kind == POSTA__NAME_AMQP)
		return err;
	if (kind == POSTA__NAME_KAFKA && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
		return posta_error_set(error, POSTA_EINVAL, "Kafka topic must not be \"%s\"", name);
	for (const char *at = name; *at; at++)
		if (*at != kinds[kind].separator && must_escape(kind, (unsigned char)*at))
			return posta_error_set(
				error, POSTA_EINVAL, "%s \"%.80s\" has '%c' at %zu: %s", kinds[kind].what, name,
				(unsigned char)*at < 0x80 && *at >= 0x20 ? *at : '?', (size_t)(at - name) + 1,
				kind == POSTA__NAME_KAFKA ? "only A-Z a-z 0-9 . _ - are allowed"
							  : "wildcards are for filters only");
	return POSTA_OK;
}

static const char share[] = "$share/";

const char *posta__filter_unshare(const char *filter, const char **group, size_t *group_len)
{
	if (strncmp(filter, share, sizeof share - 1) != 0)
		return filter;
	const char *name = filter + sizeof share - 1;
	const char *slash = strchr(name, '/');
	if (!slash)
		return filter;
	if (group) {
		*group = name;
		*group_len = (size_t)(slash - name);
	}
	return slash + 1;
}

static enum posta_err check_share(const char *filter, struct posta_error *error)
{
	const char *group = NULL;
	size_t len = 0;
	if (strncmp(filter, share, sizeof share - 1) != 0)
		return POSTA_OK;
	const char *rest = posta__filter_unshare(filter, &group, &len);
	if (!group || !len || memchr(group, '+', len) || memchr(group, '#', len))
		return posta_error_set(
			error, POSTA_EINVAL,
			"MQTT filter \"%.80s\": a shared one is $share/GROUP/FILTER, GROUP without + and #", filter);
	if (!*rest)
		return posta_error_set(error, POSTA_EINVAL, "MQTT filter \"%.80s\" has nothing behind its group",
				       filter);
	return POSTA_OK;
}

enum posta_err posta__filter_check(enum posta__name_kind kind, const char *filter, struct posta_error *error)
{
	if (kind == POSTA__NAME_KAFKA)
		return posta__name_check(kind, filter, error);
	enum posta_err err = check_text(kind, filter, error);
	if (!err && kind == POSTA__NAME_MQTT)
		err = check_share(filter, error);
	if (err || kind == POSTA__NAME_AMQP)
		return err;
	for (const char *at = posta__filter_unshare(filter, NULL, NULL); *at; at++) {
		bool alone = (at == filter || at[-1] == '/') && (!at[1] || at[1] == '/');
		if ((*at == '+' || *at == '#') && !alone)
			return posta_error_set(error, POSTA_EINVAL,
					       "MQTT filter \"%.80s\": %c at %zu must be a level of its own", filter,
					       *at, (size_t)(at - filter) + 1);
		if (*at == '#' && at[1])
			return posta_error_set(error, POSTA_EINVAL,
					       "MQTT filter \"%.80s\": # at %zu must be the last level", filter,
					       (size_t)(at - filter) + 1);
	}
	return POSTA_OK;
}

/* -- Conversion */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * The byte that an escape at text (behind its mark) stands for, or -1 where there is none. An escaped mark is one only
 * when what follows would otherwise be an escape: that makes the mapping one to one.
 */
static int escaped_byte(enum posta__name_kind kind, const char *text, const char *end)
{
	const struct kind *own = &kinds[kind];
	size_t rest = strlen(own->rest);
	int first = -1;
	for (;; text += rest + 2) {
		if ((size_t)(end - text) < rest + 2 || memcmp(text, own->rest, rest) != 0)
			return -1;
		int high = hex(text[rest]);
		int low = hex(text[rest + 1]);
		if (high < 0 || low < 0)
			return -1;
		int byte = high << 4 | low;
		first = first < 0 ? byte : first;
		if (byte && must_escape(kind, (unsigned char)byte))
			return first;
		if (byte != (unsigned char)own->mark)
			return -1;
	}
}

struct writer {
	char *out;
	size_t len;
	size_t size;
	bool full;
};

static void put(struct writer *writer, char c)
{
	if (writer->len + 1 >= writer->size)
		writer->full = true;
	else
		writer->out[writer->len++] = c;
}

static void put_escape(struct writer *writer, const struct kind *kind, unsigned char c)
{
	char text[8];
	snprintf(text, sizeof text, "%c%s%02X", kind->mark, kind->rest, c);
	for (const char *at = text; *at; at++)
		put(writer, *at);
}

/* The level's bytes as they are meant; out has room for len. */
static size_t read_level(enum posta__name_kind kind, const char *level, size_t len, char *out)
{
	const char *end = level + len;
	size_t to = 0;
	for (const char *at = level; at < end; at++) {
		int byte = *at == kinds[kind].mark ? escaped_byte(kind, at + 1, end) : -1;
		out[to++] = byte < 0 ? *at : (char)byte;
		at += byte < 0 ? 0 : strlen(kinds[kind].rest) + 2;
	}
	return to;
}

static void write_level(enum posta__name_kind kind, const char *level, size_t len, struct writer *writer)
{
	for (size_t i = 0; i < len; i++) {
		bool ambiguous = level[i] == kinds[kind].mark && escaped_byte(kind, level + i + 1, level + len) >= 0;
		if (ambiguous || must_escape(kind, (unsigned char)level[i]))
			put_escape(writer, &kinds[kind], (unsigned char)level[i]);
		else
			put(writer, level[i]);
	}
}

/* Levels longer than this fit into no Kafka or AMQP name, and MQTT to MQTT needs no conversion. */
#define LEVEL_MAX 1024u

static enum posta_err convert_level(enum posta__name_kind from, enum posta__name_kind to, const char *level, size_t len,
				    struct writer *writer)
{
	char meant[LEVEL_MAX];
	if (len > sizeof meant)
		return POSTA_ETOOBIG;
	size_t size = read_level(from, level, len, meant);
	if (memchr(meant, 0, size))
		return POSTA_EINVAL;
	write_level(to, meant, size, writer);
	return writer->full ? POSTA_ETOOBIG : POSTA_OK;
}

static enum posta_err finish(enum posta__name_kind to, const char *name, struct writer *writer, enum posta_err err,
			     struct posta_error *error)
{
	writer->out[writer->len] = 0;
	if (!err && writer->len > kinds[to].max)
		err = POSTA_ETOOBIG;
	if (!err && to == POSTA__NAME_KAFKA && (strcmp(writer->out, ".") == 0 || strcmp(writer->out, "..") == 0))
		err = POSTA_EUNSUPPORTED;
	/* A name that meant bytes which are no text, or the like. */
	if (!err && check_text(to, writer->out, NULL))
		err = POSTA_EUNSUPPORTED;
	if (err == POSTA_ETOOBIG)
		return posta_error_set(error, err, "\"%.80s\" is too long as %s (at most %zu bytes)", name,
				       kinds[to].what, kinds[to].max);
	if (err)
		return posta_error_set(error, err, "\"%.80s\" has no form as %s", name, kinds[to].what);
	return POSTA_OK;
}

typedef enum posta_err level_fn(enum posta__name_kind from, enum posta__name_kind to, const char *level, size_t len,
				struct writer *writer);

static enum posta_err convert(enum posta__name_kind from, enum posta__name_kind to, const char *name, level_fn *level,
			      struct writer *writer)
{
	for (const char *at = name;;) {
		size_t len = strcspn(at, (const char[]){ kinds[from].separator, 0 });
		enum posta_err err = level(from, to, at, len, writer);
		if (err || !at[len])
			return err;
		put(writer, kinds[to].separator);
		at += len + 1;
	}
}

static enum posta_err copy(const char *name, struct writer *writer)
{
	size_t len = strlen(name);
	if (len >= writer->size)
		return POSTA_ETOOBIG;
	memcpy(writer->out, name, len);
	writer->len = len;
	return POSTA_OK;
}

enum posta_err posta__name_convert(enum posta__name_kind from, enum posta__name_kind to, const char *name, char *out,
				   size_t size, struct posta_error *error)
{
	struct writer writer = { out, 0, size, false };
	enum posta_err err = posta__name_check(from, name, error);
	if (err)
		return err;
	if (!size)
		return posta_error_set(error, POSTA_ETOOBIG, "no room for \"%.80s\"", name);
	err = from == to ? copy(name, &writer) : convert(from, to, name, convert_level, &writer);
	return finish(to, name, &writer, err, error);
}

static enum posta_err convert_filter_level(enum posta__name_kind from, enum posta__name_kind to, const char *level,
					   size_t len, struct writer *writer)
{
	bool many = len == 1 && *level == '#';
	bool one = len == 1 && *level == (from == POSTA__NAME_MQTT ? '+' : '*');
	if (many && to == POSTA__NAME_MQTT && level[1])
		return POSTA_EUNSUPPORTED;
	if (!many && !one) {
		size_t before = writer->len;
		enum posta_err err = convert_level(from, to, level, len, writer);
		/* A level that means the letter, plain or escaped, would be a wildcard there. */
		bool wild = writer->len == before + 1 && (writer->out[before] == '*' || writer->out[before] == '#');
		return !err && wild && to == POSTA__NAME_AMQP ? POSTA_EUNSUPPORTED : err;
	}
	put(writer, many ? '#' : to == POSTA__NAME_MQTT ? '+' : '*');
	return writer->full ? POSTA_ETOOBIG : POSTA_OK;
}

enum posta_err posta__filter_convert(enum posta__name_kind from, enum posta__name_kind to, const char *filter,
				     char *out, size_t size, struct posta_error *error)
{
	struct writer writer = { out, 0, size, false };
	enum posta_err err = posta__filter_check(from, filter, error);
	if (err)
		return err;
	if (!size)
		return posta_error_set(error, POSTA_ETOOBIG, "no room for \"%.80s\"", filter);
	if (from == POSTA__NAME_KAFKA || to == POSTA__NAME_KAFKA || strncmp(filter, share, sizeof share - 1) == 0)
		return posta_error_set(
			error, POSTA_EUNSUPPORTED,
			"filter \"%.80s\" has no form as %s: route it to one topic, with the topic as key", filter,
			kinds[to].what);
	err = from == to ? copy(filter, &writer) : convert(from, to, filter, convert_filter_level, &writer);
	/* What MQTT takes for a share is none on the other side. */
	if (!err && from != to && writer.len >= sizeof share - 1 && memcmp(out, share, sizeof share - 1) == 0)
		return posta_error_set(error, POSTA_EUNSUPPORTED,
				       "\"%.80s\" has no MQTT form: $share/ means something else there", filter);
	if (err == POSTA_EUNSUPPORTED)
		return posta_error_set(error, err, "\"%.80s\" has no %s form: %s", filter,
				       to == POSTA__NAME_MQTT ? "MQTT" : "AMQP",
				       to == POSTA__NAME_MQTT ? "there # can only be the last level"
							      : "there a level * or # is a wildcard");
	return finish(to, filter, &writer, err, error);
}

/* -- Matching */

static size_t level_len(const char *text, char separator)
{
	size_t len = 0;
	while (text[len] && text[len] != separator)
		len++;
	return len;
}

bool posta__mqtt_match(const char *filter, const char *topic)
{
	filter = posta__filter_unshare(filter, NULL, NULL);
	if (*topic == '$' && (*filter == '+' || *filter == '#'))
		return false;
	for (;;) {
		if (*filter == '#')
			return true;
		size_t want = level_len(filter, '/');
		size_t have = level_len(topic, '/');
		if (!(want == 1 && *filter == '+') && (want != have || memcmp(filter, topic, want) != 0))
			return false;
		filter += want;
		topic += have;
		/* "a/#" matches its parent "a" too. */
		if (!*topic)
			return !*filter || strcmp(filter, "/#") == 0;
		if (!*filter)
			return false;
		filter++;
		topic++;
	}
}

/* The word at *at, which moves on; false at the end. An empty text has no word, "." has two. */
static bool next_word(const char **at, const char **word, size_t *len)
{
	if (!*at)
		return false;
	*word = *at;
	*len = level_len(*at, '.');
	*at = (*at)[*len] ? *at + *len + 1 : NULL;
	return true;
}

/*
 * As a glob whose letters are words: after a mismatch only the last # need take one word more, so the time is bounded
 * by the product of the lengths.
 */
bool posta__amqp_match(const char *pattern, const char *key)
{
	const char *want_at = *pattern ? pattern : NULL;
	const char *have_at = *key ? key : NULL;
	const char *resume_want = NULL;
	const char *resume_have = NULL;
	bool hash = false;
	while (have_at || want_at) {
		const char *want = NULL;
		const char *have = NULL;
		size_t want_len = 0;
		size_t have_len = 0;
		const char *after_want = want_at;
		const char *after_have = have_at;
		bool more_want = next_word(&after_want, &want, &want_len);
		bool more_have = next_word(&after_have, &have, &have_len);
		if (more_want && want_len == 1 && *want == '#') {
			hash = true;
			resume_want = after_want;
			resume_have = have_at;
			want_at = after_want;
		} else if (more_want && more_have &&
			   ((want_len == 1 && *want == '*') ||
			    (want_len == have_len && memcmp(want, have, want_len) == 0))) {
			want_at = after_want;
			have_at = after_have;
		} else if (hash && next_word(&resume_have, &have, &have_len)) {
			want_at = resume_want;
			have_at = resume_have;
		} else {
			return false;
		}
	}
	return true;
}
