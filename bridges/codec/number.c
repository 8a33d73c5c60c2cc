/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer numbers than this are cut: their further digits change nothing. */
#define NUMBER_MAX 1100u

/* The C library's number functions write and read the locale's decimal point: this thread is in "C" meanwhile. */
static locale_t enter_c_locale(void)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	return c ? uselocale(c) : (locale_t)0;
}

static void leave_c_locale(locale_t before)
{
	if (!before)
		return;
	locale_t c = uselocale(before);
	freelocale(c);
}

static bool is_integer(struct posta_bytes text)
{
	const char *at = text.data;
	for (size_t i = 0; i < text.len; i++)
		if (at[i] == '.' || at[i] == 'e' || at[i] == 'E')
			return false;
	return !(text.len == 2 && at[0] == '-' && at[1] == '0');
}

static void copy(struct posta_bytes text, char *out)
{
	size_t len = text.len < NUMBER_MAX ? text.len : NUMBER_MAX - 1;
	memcpy(out, text.data, len);
	out[len] = 0;
}

struct posta__number posta__number_parse(struct posta_bytes text)
{
	struct posta__number number = { .kind = POSTA__DOUBLE };
	char digits[NUMBER_MAX];
	copy(text, digits);
	if (is_integer(text)) {
		errno = 0;
		number.integer = strtoll(digits, NULL, 10);
		number.kind = POSTA__INTEGER;
		number.number = (double)number.integer;
		if (!errno)
			return number;
		errno = 0;
		number.natural = strtoull(digits, NULL, 10);
		number.kind = errno || digits[0] == '-' ? POSTA__DOUBLE : POSTA__UNSIGNED;
		number.integer = 0;
	}
	locale_t before = enter_c_locale();
	number.number = strtod(digits, NULL);
	leave_c_locale(before);
	return number;
}

static bool reads_back(const char *text, double number, bool single)
{
	return single ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number;
}

void posta__number_text(double number, bool single, char out[POSTA__NUMBER_TEXT_MAX])
{
	if (!isfinite(number)) {
		strcpy(out, "null");
		return;
	}
	locale_t before = enter_c_locale();
	for (int precision = single ? 6 : 15; precision <= 17; precision++) {
		snprintf(out, POSTA__NUMBER_TEXT_MAX, "%.*g", precision, number);
		if (reads_back(out, number, single))
			break;
	}
	leave_c_locale(before);
}

void posta__number_write(struct posta__buffer *buffer, double number, bool single)
{
	char text[POSTA__NUMBER_TEXT_MAX];
	posta__number_text(number, single, text);
	posta__buffer_text(buffer, text);
	if (isfinite(number) && !strpbrk(text, ".e"))
		posta__buffer_text(buffer, ".0");
}
