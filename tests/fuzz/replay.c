/* SPDX-License-Identifier: MIT */
/* Runs a target over the files of its corpus where there is no fuzzer to do it: replay DIRECTORY... */
#include "check.h"

#include <dirent.h>

#define INPUT_MAX (1u << 20)

static size_t replay_file(const char *directory, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "rb");
	CHECK(file);
	unsigned char *data = malloc(INPUT_MAX);
	CHECK(data);
	size_t size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	/* An exact copy, so that a memory checker sees one byte too far. */
	unsigned char *exact = malloc(size ? size : 1);
	CHECK(exact);
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

static size_t replay(const char *directory)
{
	size_t count = 0;
	DIR *dir = opendir(directory);
	CHECK(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			count += replay_file(directory, entry->d_name);
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	size_t count = 0;
	for (int i = 1; i < argc; i++)
		count += replay(argv[i]);
	printf("%zu inputs\n", count);
	return count ? 0 : 1;
}
