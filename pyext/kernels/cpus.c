#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* pthread_getaffinity_np, CPU_COUNT_S */
#endif
#include "cpus.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)

cpu_set_t *cnn_get_affinity(pthread_t thread, size_t *bytes) {
    /* The kernel's mask may be wider than cpu_set_t: grow until it fits. */
    for (size_t size = 1024; size <= (size_t)1 << 20; size *= 2) {
        cpu_set_t *set = CPU_ALLOC(size);
        if (!set)
            break;
        *bytes = CPU_ALLOC_SIZE(size);
        if (pthread_getaffinity_np(thread, *bytes, set) == 0)
            return set;
        CPU_FREE(set);
    }
    return NULL;
}

#endif

static int affinity_cpus(void) {
#if defined(__linux__)
    size_t bytes;
    cpu_set_t *set = cnn_get_affinity(pthread_self(), &bytes);
    if (set) {
        int count = CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        return count;
    }
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < INT_MAX ? (int)online : 1;
}

static int ceil_cpus(long long quota, long long period) {
    if (quota <= 0 || period <= 0)
        return 0;
    long long cpus = (quota - 1) / period + 1;
    return cpus < INT_MAX ? (int)cpus : 0;
}

/* One number from a file of one line; 0 when it cannot be read. */
static long long read_number(const char *folder, const char *name) {
    char path[2 * PATH_MAX + 320];
    long long value = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lld", &value) != 1)
        value = 0;
    fclose(file);
    return value;
}

static int quota_v2(const char *folder) {
    char path[2 * PATH_MAX + 320];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lld %lld", &quota, &period) != 2) /* "max 100000": no limit */
        quota = 0;
    fclose(file);
    return ceil_cpus(quota, period);
}

static int quota_v1(const char *folder) {
    return ceil_cpus(read_number(folder, "cpu.cfs_quota_us"),
                     read_number(folder, "cpu.cfs_period_us"));
}

/* The smallest quota of root + path and of every folder above it, down to root. */
static int smallest_quota(const char *root, const char *path,
                          int (*read_quota)(const char *)) {
    char folder[2 * PATH_MAX + 256];
    int best = 0;
    snprintf(folder, sizeof folder, "%s%s", root, path);
    for (;;) {
        int cpus = read_quota(folder);
        if (cpus > 0 && (best == 0 || cpus < best))
            best = cpus;
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < strlen(root))
            return best;
        *slash = '\0';
    }
}

/* Is `name` one of the comma-separated controllers? */
static int lists_controller(const char *controllers, const char *name) {
    size_t length = strlen(name);
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (!strncmp(at, name, length) && (at[length] == ',' || at[length] == '\0'))
            return 1;
    }
    return 0;
}

int cnn_cgroup_cpus(const char *list_path, const char *mount) {
    char line[PATH_MAX], root[PATH_MAX];
    int best = 0;
    FILE *file = fopen(list_path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'); /* hierarchy:controllers:path */
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        controllers++;
        *path++ = '\0';
        int cpus = 0;
        if (*controllers == '\0') {
            cpus = smallest_quota(mount, path, quota_v2);
        } else if (lists_controller(controllers, "cpu")) {
            snprintf(root, sizeof root, "%s/cpu", mount);
            if (access(root, F_OK) != 0)
                snprintf(root, sizeof root, "%s/%s", mount, controllers);
            cpus = smallest_quota(root, path, quota_v1);
        }
        if (cpus > 0 && (best == 0 || cpus < best))
            best = cpus;
    }
    fclose(file);
    return best;
}

int cnn_available_cpus(void) {
    int cpus = affinity_cpus();
    int quota = cnn_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota > 0 && quota < cpus)
        cpus = quota;
    return cpus;
}
