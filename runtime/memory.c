/* SPDX-License-Identifier: MIT */
#include "runtime/system.h"

#include <string.h>
#include <sys/mman.h>

/* Memory of the system, and what upper rooms hang on it. */

struct extension {
	struct extension *next;
	const void *key;
	void *value;
	void (*free)(void *value);
};

void *posta__alloc(struct posta_system *system, size_t alignment, size_t size)
{
	return system->options.allocator.alloc(system->options.allocator.context, alignment, size);
}

void posta__free(struct posta_system *system, void *memory, size_t size)
{
	if (memory)
		system->options.allocator.free(system->options.allocator.context, memory, size);
}

void *posta__zalloc(struct posta_system *system, size_t size)
{
	void *memory = posta__alloc(system, 16, size);
	return memory ? memset(memory, 0, size) : NULL;
}

static bool hooked(const struct posta_system *system)
{
	return system->hooked;
}

void *posta__pages(struct posta_system *system, size_t size)
{
	if (hooked(system)) {
		void *memory = posta__alloc(system, POSTA__LINE, size);
		return memory ? memset(memory, 0, size) : NULL;
	}
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void posta__pages_free(struct posta_system *system, void *memory, size_t size)
{
	if (hooked(system))
		posta__free(system, memory, size);
	else
		munmap(memory, size);
}

static void *extension_find(struct posta_system *system, const void *key)
{
	for (struct extension *extension = system->extensions; extension; extension = extension->next)
		if (extension->key == key)
			return extension->value;
	return NULL;
}

static void *extension_add(struct posta_system *system, const void *key, void *(*make)(struct posta_system *system),
			   void (*free_extension)(void *extension))
{
	struct extension *extension = posta__zalloc(system, sizeof *extension);
	void *value = extension ? make(system) : NULL;
	if (!value) {
		posta__free(system, extension, sizeof *extension);
		return NULL;
	}
	*extension =
		(struct extension){ .next = system->extensions, .key = key, .value = value, .free = free_extension };
	system->extensions = extension;
	return value;
}

void *posta__system_extension(struct posta_system *system, const void *key, void *(*make)(struct posta_system *system),
			      void (*free_extension)(void *extension))
{
	pthread_mutex_lock(&system->lock);
	void *value = extension_find(system, key);
	if (!value)
		value = extension_add(system, key, make, free_extension);
	pthread_mutex_unlock(&system->lock);
	return value;
}

void posta__extensions_free(struct posta_system *system)
{
	struct extension *extension = system->extensions;
	while (extension) {
		struct extension *next = extension->next;
		if (extension->free)
			extension->free(extension->value);
		posta__free(system, extension, sizeof *extension);
		extension = next;
	}
	system->extensions = NULL;
}
