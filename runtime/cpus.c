/* SPDX-License-Identifier: MIT */
#include "runtime/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define GROUPS "/sys/fs/cgroup"

int posta__cpus_of_quota(const char *text)
{
	long long quota, period;
	if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0)
		return 0;
	long long cpus = quota / period + (quota % period != 0);
	return cpus < INT_MAX ? (int)cpus : 0;
}

static bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool read = file && fgets(line, size, file);
	if (file)
		fclose(file);
	return read;
}

/* The group of this process in the unified hierarchy: the line "0::/a/b". Returns: whether there is one. */
static bool own_group(char *group, int size)
{
	char line[PATH_MAX];
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool found = false;
	while (file && !found && fgets(line, sizeof line, file)) {
		found = strncmp(line, "0::/", 4) == 0;
		line[strcspn(line, "\n")] = '\0';
	}
	if (file)
		fclose(file);
	if (found)
		snprintf(group, (size_t)size, "%s", line + 3);
	return found;
}

/* The least of the quotas from the group up to the root. 0: none. */
static int quota_of(char *group)
{
	int least = 0;
	for (;;) {
		char path[PATH_MAX + 64], line[128];
		snprintf(path, sizeof path, GROUPS "%s/cpu.max", group);
		int cpus = read_line(path, line, sizeof line) ? posta__cpus_of_quota(line) : 0;
		if (cpus && (!least || cpus < least))
			least = cpus;
		char *slash = strrchr(group, '/');
		if (!slash || !*group)
			return least;
		*slash = '\0';
	}
}

/* The first version of control groups has the two numbers in files of their own. */
static int quota_of_version_1(void)
{
	char quota[64], period[64], both[130];
	if (!read_line(GROUPS "/cpu/cpu.cfs_quota_us", quota, sizeof quota) ||
	    !read_line(GROUPS "/cpu/cpu.cfs_period_us", period, sizeof period))
		return 0;
	snprintf(both, sizeof both, "%s %s", quota, period);
	return posta__cpus_of_quota(both);
}

int posta__cpus_usable(void)
{
	cpu_set_t mask;
	char group[PATH_MAX];
	int cpus = sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1;
	int quota = own_group(group, sizeof group) ? quota_of(group) : 0;
	if (!quota)
		quota = quota_of_version_1();
	if (quota && quota < cpus)
		cpus = quota;
	return cpus < 1 ? 1 : cpus;
}
