/*
 * settings: the keys of the one configuration file that hub and gateway share (table in
 * settings.c).
 *
 * Threads: const after start, but for the section log, which settings_reload() changes: it belongs
 * to the thread that reloads. Others ask log_enabled() and settings_log_access().
 */
#ifndef NHUB_BASE_SETTINGS_H
#define NHUB_BASE_SETTINGS_H

#include "base/options.h"

enum journal_sync { JOURNAL_SYNC_COMMIT, JOURNAL_SYNC_INTERVAL, JOURNAL_SYNC_OFF };
enum allow_terminate { TERMINATE_LOOPBACK, TERMINATE_ANY, TERMINATE_NEVER };
enum slow_policy { POLICY_DISCONNECT, POLICY_DROP_OLDEST, POLICY_LATEST };
enum durability {
    DURABILITY_DEFAULT,
    DURABILITY_MEMORY,
    DURABILITY_JOURNALED,
    DURABILITY_SYNCED
}; /* default = the journal's */

struct settings {
    struct {
        uint64_t collector_port, publisher_port, requests_port; /* 0 = any free */
        char *bind; /* "127.0.0.1", "*", an address or an interface */
        struct {
            bool enabled;
            char *path;
            int sync; /* enum journal_sync */
            uint64_t interval_ms, max_age_s, max_bytes, max_pending_bytes, hold_max_bytes;
        } journal;
        uint64_t history_events, history_bytes;
        uint64_t max_event_bytes, dedup_window_s, dedup_ids;
        uint64_t max_groups;       /* consumer groups; 0 = none */
        uint64_t stats_interval_s; /* 0 = never */
        char *stats_event;         /* "" = off */
        char *source_service;
        int allow_terminate; /* enum allow_terminate */
    } hub;
    struct {
        char *listen;
        char *hub_host;
        struct option_list allowed_origins;
        char *web_root; /* "" = beside the program */
        uint64_t max_event_bytes, max_body_bytes, max_connections /* 0 = from RLIMIT_NOFILE */,
            max_patterns;
        uint64_t cache_events, cache_bytes, session_max_bytes, streams_max_bytes, send_buffer_bytes;
        int policy; /* enum slow_policy */
        uint64_t publish_window, ack_timeout_ms;
        int durability, min_durability; /* enum durability */
        uint64_t refill_wait_ms, drain_s;
    } gateway;
    struct {
        int level;  /* enum log_level */
        int format; /* enum log_format */
        bool access;
    } log;
};

/* The table bound to *s, which the caller zeroes first. Free with options_free(). */
void settings_options(struct settings *s, struct options *out);

/* What both daemons do first: defaults, --config FILE (or $NOTIFYHUB_CONFIG), environment, flags;
 * handles --help,
 * --version and --check-config. Returns NHUB_OK to go on; otherwise *out_exit is the process's exit
 * status (0 after --help, --version or a good --check-config; 2 after an error, which was printed
 * to stderr); *s holds nothing then. Errors: NHUB_ECLOSED the program has done what it was asked
 * for; NHUB_ECONFIG, NHUB_ENOMEM. argv must live as long as the process, for settings_reload().
 * program: "notifyhub-hub" or "notifyhub-gateway"; about: first paragraph of --help. sections:
 * those shown in --help. */
NHUB_MUST_USE nhub_err settings_start(struct settings *s, const char *program, const char *about,
                                      const char *const *sections, int argc, char **argv,
                                      int *out_exit);
/* SIGHUP: reads file and environment again and takes over the rows marked at_run_time (the level
 * goes to the log at once); a changed row that needs a restart is logged. Errors: NHUB_ECONFIG,
 * NHUB_ENOMEM, logged; nothing has changed then. */
NHUB_MUST_USE nhub_err settings_reload(struct settings *s);
/* log.access as it is now. Any thread. */
bool settings_log_access(void);

#endif
