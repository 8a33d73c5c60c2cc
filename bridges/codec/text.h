/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_TEXT_H
#define POSTA_CODEC_TEXT_H

/* UTF-8, base64 and a growing buffer: what the codecs share. Thread: any. */

#include <posta/envelope.h>

/*
 * Eight bytes at a time: what is not 0 in the result has a byte in v that is c, or below n (n at most 0x80), or no
 * ASCII. Source: S. E. Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte equal to n", "... less than n".
 */
#define POSTA__EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (unsigned char)(c))

static inline uint64_t posta__bytes_below(uint64_t v, unsigned char n)
{
	return (v - POSTA__EACH_BYTE(n)) & ~v & POSTA__EACH_BYTE(0x80);
}

static inline uint64_t posta__bytes_equal(uint64_t v, unsigned char c)
{
	return posta__bytes_below(v ^ POSTA__EACH_BYTE(c), 1);
}

static inline uint64_t posta__bytes_high(uint64_t v)
{
	return v & POSTA__EACH_BYTE(0x80);
}

/* Source: RFC 3629 (no surrogates, no overlong forms, at most U+10FFFF). */
bool posta__utf8_valid(const void *data, size_t len);
/* Bytes of the well-formed sequence at the start of data, 0 where there is none. len > 0. */
size_t posta__utf8_sequence(const unsigned char *data, size_t len);
/* UTF-8 without control characters and non-characters: what MQTT strings may hold. Source: MQTT 5, section 1.5.4. */
bool posta__utf8_printable(const void *data, size_t len);

/* Bytes of the text for len bytes, without a zero. */
static inline size_t posta__base64_size(size_t len)
{
	return (len + 2) / 3 * 4;
}
/* Writes posta__base64_size(len) bytes, no zero. Source: RFC 4648, section 4. */
void posta__base64_encode(const void *data, size_t len, char *out);
/* out has room for len / 4 * 3 bytes. Strict: padded, no white space, no stray bits. Returns: false when malformed. */
bool posta__base64_decode(const char *text, size_t len, void *out, size_t *out_len);

/* Grows as needed; after a failed allocation it takes nothing more and says so. Zeroed = empty. */
struct posta__buffer {
	char *data; /* free() */
	size_t len;
	size_t room;
	bool failed;
};

void posta__buffer_add(struct posta__buffer *buffer, const void *data, size_t len);
void posta__buffer_text(struct posta__buffer *buffer, const char *text);
/* len bytes to be filled by the caller; NULL when out of memory. */
char *posta__buffer_space(struct posta__buffer *buffer, size_t len);
/* So that the next len bytes are one allocation. */
void posta__buffer_reserve(struct posta__buffer *buffer, size_t len);
/* A JSON string with its quotes. data must be UTF-8. */
void posta__buffer_json(struct posta__buffer *buffer, const void *data, size_t len);
/* The same of any bytes, in base64. */
void posta__buffer_base64(struct posta__buffer *buffer, const void *data, size_t len);
/* Ends it with a zero that does not count. Returns: false when memory was short; what it held is freed then. */
bool posta__buffer_finish(struct posta__buffer *buffer);

/* Whether a media type is name, whatever its parameters and letter case. */
bool posta__media_type_is(struct posta_bytes type, const char *name);
/* application/json, text/json, anything+json. */
bool posta__media_type_json(struct posta_bytes type);
/* application/msgpack, application/x-msgpack, application/vnd.msgpack, anything+msgpack. */
bool posta__media_type_msgpack(struct posta_bytes type);

#endif
