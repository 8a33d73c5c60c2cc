/* SPDX-License-Identifier: MIT */
#ifndef POSTA_POSTA_H
#define POSTA_POSTA_H

/* The actor runtime in one include. Bridges and services have headers of their own: bridge.h, messaging.h. */

#include <posta/actor.h>
#include <posta/ask.h>
#include <posta/backoff.h>
#include <posta/error.h>
#include <posta/group.h>
#include <posta/log.h>
#include <posta/message.h>
#include <posta/observe.h>
#include <posta/ref.h>
#include <posta/registry.h>
#include <posta/supervisor.h>
#include <posta/system.h>
#include <posta/timer.h>
#include <posta/watch.h>

#endif
