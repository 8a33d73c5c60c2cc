/* SPDX-License-Identifier: MIT */
#include "rows.h"

#include "floor.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	FILE *json;
	bool more;
} out;

static void cpu_model(char *model, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "r");
	snprintf(model, size, "unknown");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	if (file)
		fclose(file);
}

void rows_begin(const char *bench, const char *json_path)
{
	char model[128];
	printf("%-20s %-22s %7s %12s %12s %12s  %s\n", bench, "system", "workers", "median", "min", "max", "unit");
	out.json = json_path ? fopen(json_path, "w") : NULL;
	out.more = false;
	if (json_path && !out.json) {
		perror(json_path);
		exit(1);
	}
	cpu_model(model, sizeof model);
	if (out.json)
		fprintf(out.json, "{\"name\": \"%s\", \"machine\": {\"cpus\": %ld, \"model\": \"%s\"}, \"rows\": [",
			bench, sysconf(_SC_NPROCESSORS_ONLN), model);
}

static void begin_row(const char *workload, const char *system, int workers, const char *unit, double *values,
		      size_t count)
{
	floor_sort(values, count);
	double median = values[count / 2], low = values[0], high = values[count - 1];
	char number[16] = "";
	if (workers)
		snprintf(number, sizeof number, "%d", workers);
	printf("%-20s %-22s %7s %12.2f %12.2f %12.2f  %s", workload, system, number, median, low, high, unit);
	if (!out.json)
		return;
	fprintf(out.json, "%s\n  {\"workload\": \"%s\", \"system\": \"%s\", \"workers\": %d, \"unit\": \"%s\", ",
		out.more ? "," : "", workload, system, workers, unit);
	fprintf(out.json, "\"median\": %.4f, \"min\": %.4f, \"max\": %.4f, \"runs\": %zu", median, low, high, count);
	out.more = true;
}

static void end_row(void)
{
	printf("\n");
	fflush(stdout);
	if (out.json)
		fprintf(out.json, "}");
}

void rows_add(const char *workload, const char *system, int workers, const char *unit, double *values, size_t count)
{
	begin_row(workload, system, workers, unit, values, count);
	end_row();
}

void rows_add_percentiles(const char *workload, const char *system, int workers, const char *unit, double *values,
			  size_t count)
{
	begin_row(workload, system, workers, unit, values, count);
	double p50 = values[count / 2], p99 = values[count * 99 / 100], p999 = values[count * 999 / 1000];
	printf(": p50 %.1f, p99 %.1f, p99.9 %.1f", p50, p99, p999);
	if (out.json)
		fprintf(out.json, ", \"p50\": %.4f, \"p99\": %.4f, \"p99.9\": %.4f", p50, p99, p999);
	end_row();
}

void rows_end(void)
{
	if (!out.json)
		return;
	fprintf(out.json, "\n]}\n");
	fclose(out.json);
}
