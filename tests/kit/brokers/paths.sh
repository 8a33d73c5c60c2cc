#!/bin/sh
# SPDX-License-Identifier: MIT
# paths.sh OUTPUT HOST SCRIPTS: the header which tells brokers.c where they are.
set -eu
printf '#define KIT_HOST "%s"\n#define KIT_SCRIPTS "%s"\n' "$(realpath "$2")" "$3" > "$1"
