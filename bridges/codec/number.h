/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_NUMBER_H
#define POSTA_CODEC_NUMBER_H

/* Numbers as JSON writes them, whatever the locale of the process. Integers keep all their 64 bits. Thread: any. */

#include "text.h"

struct posta__number {
	enum { POSTA__INTEGER, POSTA__UNSIGNED, POSTA__DOUBLE } kind; /* UNSIGNED: beyond INT64_MAX */
	int64_t integer;
	uint64_t natural;
	double number; /* always set */
};

/* text: a JSON number that passed the scan. */
struct posta__number posta__number_parse(struct posta_bytes text);
/* Bytes of any text below, with its zero. */
#define POSTA__NUMBER_TEXT_MAX 40
/* A short text that reads back as the same number, "0.1"; "null" for what JSON can't say. single: it was a float. */
void posta__number_text(double number, bool single, char out[POSTA__NUMBER_TEXT_MAX]);
/* The same into a buffer, and as a double for whoever reads it: 5 is "5.0". */
void posta__number_write(struct posta__buffer *buffer, double number, bool single);

#endif
