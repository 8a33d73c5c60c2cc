/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_KEPT_TEXT_H
#define POSTA_BRIDGES_KEPT_TEXT_H

/* Texts that are kept in the block of what they belong to: measured all, then moved behind it one after the other. */

#include <stddef.h>
#include <string.h>

static inline size_t posta__kept_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* Copies *text to *at and moves both. NULL stays NULL. */
static inline void posta__kept_move(const char **text, char **at)
{
	size_t size = posta__kept_size(*text);
	if (!size)
		return;
	*text = memcpy(*at, *text, size);
	*at += size;
}

#endif
