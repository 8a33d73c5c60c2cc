/* SPDX-License-Identifier: MIT */
#ifndef POSTA_REF_H
#define POSTA_REF_H

/*
 * A reference names an actor: a value, free to copy, to store and to send, valid for ever in the sense
 * that it never touches freed memory. When the actor has ended, what is sent to it becomes a dead letter.
 * Bits: 63..56 system tag, 55..28 generation, 27..0 slot. Thread: any.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t posta_ref;

#define POSTA_NOBODY ((posta_ref)0)

#ifdef __cplusplus
}
#endif
#endif
