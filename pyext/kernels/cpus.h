/* Which CPUs there are to use. */
#ifndef CNN_CPUS_H
#define CNN_CPUS_H

/* CPUs this process may use: scheduler affinity, limited by the cgroup CPU quota. */
int cnn_available_cpus(void);

/* Smallest CPU quota (rounded up) that applies to the cgroups listed in `list_path`
 * (the format of /proc/self/cgroup) below the mount point `mount`; 0 when unlimited. */
int cnn_cgroup_cpus(const char *list_path, const char *mount);

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#include <stddef.h>

/* The CPUs that a thread may run on, a set of *bytes for CPU_FREE, or NULL. The file that
 * includes this defines _GNU_SOURCE. */
cpu_set_t *cnn_get_affinity(pthread_t thread, size_t *bytes);
#endif

#endif
