/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_UNPACK_H
#define POSTA_CODEC_UNPACK_H

/* For files that know msgpack-c's types. */

#include <msgpack.h>
#include <posta/error.h>

/*
 * One object, after the scan. Texts and bytes in it point into data. To be destroyed with msgpack_unpacked_destroy() on
 * success only. Errors: EFORMAT or ETOOBIG with the byte in error, ENOMEM.
 */
enum posta_err posta__msgpack_unpack(const void *data, size_t len, msgpack_unpacked *unpacked,
				     struct posta_error *error);

#endif
