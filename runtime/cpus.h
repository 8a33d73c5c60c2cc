/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_CPUS_H
#define POSTA_RUNTIME_CPUS_H

/* CPUs this process may use: those of its affinity mask, or fewer where its control group has a quota. At least 1. */
int posta__cpus_usable(void);
/* Whole CPUs of a cpu.max file, "QUOTA PERIOD" in us, rounded up. Returns: 0: no limit, or not understood. */
int posta__cpus_of_quota(const char *text);

#endif
