/* SPDX-License-Identifier: MIT */
/* Times as text. Source: RFC 3339; the calendar is H. Hinnant's "chrono-Compatible Low-Level Date Algorithms". */
#include "cloudevents.h"

#include <time.h>

#define DAY_MS INT64_C(86400000)
/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what the text can say. */
#define TIME_MIN INT64_C(-62167219200000)
#define TIME_MAX INT64_C(253402300799999)

int64_t posta__wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t days_from_civil(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * day_of_year + 2) / 153;
	*day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
	*month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static char *digits(char *out, int64_t value, int count)
{
	for (int i = count - 1; i >= 0; i--, value /= 10)
		out[i] = (char)('0' + value % 10);
	return out + count;
}

void posta_time_format(int64_t time_ms, char out[25])
{
	int year;
	int month;
	int day;
	time_ms = time_ms < TIME_MIN ? TIME_MIN : time_ms > TIME_MAX ? TIME_MAX : time_ms;
	int64_t days = (time_ms >= 0 ? time_ms : time_ms - (DAY_MS - 1)) / DAY_MS;
	int64_t rest = time_ms - days * DAY_MS;
	civil_from_days(days, &year, &month, &day);
	out = digits(out, year, 4);
	*out++ = '-';
	out = digits(out, month, 2);
	*out++ = '-';
	out = digits(out, day, 2);
	*out++ = 'T';
	out = digits(out, rest / 3600000, 2);
	*out++ = ':';
	out = digits(out, rest / 60000 % 60, 2);
	*out++ = ':';
	out = digits(out, rest / 1000 % 60, 2);
	*out++ = '.';
	out = digits(out, rest % 1000, 3);
	*out++ = 'Z';
	*out = 0;
}

struct reader {
	const char *at;
	const char *end;
	bool bad;
};

static int number(struct reader *reader, int count)
{
	int value = 0;
	for (int i = 0; i < count; i++, reader->at++) {
		if (reader->bad || reader->at == reader->end || *reader->at < '0' || *reader->at > '9') {
			reader->bad = true;
			return 0;
		}
		value = value * 10 + (*reader->at - '0');
	}
	return value;
}

static bool one_of(struct reader *reader, const char *set)
{
	for (; !reader->bad && reader->at < reader->end && *set; set++)
		if (*reader->at == *set) {
			reader->at++;
			return true;
		}
	return false;
}

static void expect(struct reader *reader, const char *set)
{
	if (!one_of(reader, set))
		reader->bad = true;
}

/* Digits beyond the third are finer than we keep. */
static int fraction_ms(struct reader *reader)
{
	int value = 0;
	int count = 0;
	if (!one_of(reader, "."))
		return 0;
	for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++, count++)
		if (count < 3)
			value = value * 10 + (*reader->at - '0');
	reader->bad |= count == 0;
	for (; count < 3; count++)
		value *= 10;
	return value;
}

static int offset_minutes(struct reader *reader)
{
	if (one_of(reader, "Zz"))
		return 0;
	int sign = one_of(reader, "-") ? -1 : 1;
	if (sign > 0)
		expect(reader, "+");
	int hours = number(reader, 2);
	expect(reader, ":");
	int minutes = number(reader, 2);
	reader->bad |= hours > 23 || minutes > 59;
	return sign * (hours * 60 + minutes);
}

static int month_days(int year, int month)
{
	static const signed char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (leap && month == 2);
}

enum posta_err posta_time_parse(const char *text, size_t len, int64_t *time_ms)
{
	struct reader reader = { text, text + len, text == NULL };
	int year = number(&reader, 4);
	expect(&reader, "-");
	int month = number(&reader, 2);
	expect(&reader, "-");
	int day = number(&reader, 2);
	expect(&reader, "Tt ");
	int hour = number(&reader, 2);
	expect(&reader, ":");
	int minute = number(&reader, 2);
	expect(&reader, ":");
	int second = number(&reader, 2);
	int ms = fraction_ms(&reader);
	int offset = offset_minutes(&reader);
	if (reader.bad || reader.at != reader.end || month < 1 || month > 12 || day < 1 ||
	    day > month_days(year, month) || hour > 23 || minute > 59 || second > 60)
		return POSTA_EFORMAT;
	/* A leap second is the last one of its minute once more. */
	second = second == 60 ? 59 : second;
	*time_ms = days_from_civil(year, month, day) * DAY_MS +
		   ((hour * 60 + minute - offset) * 60 + second) * INT64_C(1000) + ms;
	return POSTA_OK;
}
