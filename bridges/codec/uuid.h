/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_UUID_H
#define POSTA_CODEC_UUID_H

#include <stddef.h>

/* From the system's entropy, fetched for many at a time; len at most 256. Thread: any. */
void posta__random_bytes(void *out, size_t len);

#endif
