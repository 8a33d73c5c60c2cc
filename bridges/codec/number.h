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
/* A short text that reads back as the same double; null for what JSON can't say. single: it was a float. */
void posta__number_write(struct posta__buffer *buffer, double number, bool single);

#endif
