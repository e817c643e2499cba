/*
 * settings: the table of all keys, and the rules between them.
 *
 * A row's order is the order of --help, of --check-config and of the sample file
 * deploy/config/notifyhub.yaml, which a test compares with this table.
 */
#include "base/settings.h"

#include "base/log.h"
#include "base/net.h"
#include "base/settings_private.h"

#include <stddef.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)

static const char *const sync_words[] = {"commit", "interval", "off", NULL};
static const char *const terminate_words[] = {"loopback", "any", "never", NULL};
static const char *const policy_words[] = {"disconnect", "drop_oldest", "latest", NULL};
static const char *const durability_words[] = {"journal", "memory", "journaled", "synced", NULL};
static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};
static const char *const format_words[] = {"logfmt", "json", NULL};
static const char *const auto_words[] = {"auto", NULL};

static bool check_listen(const char *text, const char **out_allowed)
{
    struct net_address address;

    *out_allowed = "host:port, [IPv6]:port, *:port or port (port 0 = any free one)";
    return net_parse_address(text, &address) == NHUB_OK;
}

/* A host name, an address, an interface or "*"; no port, no scheme. */
static bool check_host(const char *text, const char **out_allowed)
{
    *out_allowed = "an address, a name or *, without scheme and port";
    return text[strcspn(text, " /[]\"'@")] == '\0' &&
           (!strchr(text, ':') || strchr(strchr(text, ':') + 1, ':'));
}

static bool check_peer_host(const char *text, const char **out_allowed)
{
    const bool is_host = check_host(text, out_allowed);

    *out_allowed = "an address or a name, without scheme and port";
    return is_host && strcmp(text, "*") != 0;
}

/* scheme://host or scheme://host:port as browsers write it, or "*". */
static bool check_origin(const char *text, const char **out_allowed)
{
    const char *colon = strstr(text, "://");

    *out_allowed = "an origin such as https://app.example or https://app.example:8443, or *";
    return strcmp(text, "*") == 0 || (colon && colon > text && colon[3] != '\0' &&
                                      colon[3 + strcspn(colon + 3, " /?#@")] == '\0');
}

static bool check_stats_event(const char *text, const char **out_allowed)
{
    *out_allowed = "an event type that does not begin with hub. (empty = off)";
    return strncmp(text, "hub.", 4) != 0;
}

/* clang-format off */
#define FIELD(member) offsetof(struct settings, member)
#define BOOL(k, m, d, h)              {.key = k, .type = OPTION_BOOL, .offset = FIELD(m), .default_text = d, .unit = "", .help = h}
#define COUNT(k, m, d, lo, hi, u, h)  {.key = k, .type = OPTION_UINT, .offset = FIELD(m), .default_text = d, .min = lo, .max = hi, .unit = u, .help = h}
#define SIZE(k, m, d, lo, hi, h)      {.key = k, .type = OPTION_SIZE, .offset = FIELD(m), .default_text = d, .min = lo, .max = hi, .unit = "bytes", .help = h}
#define TIME(k, m, d, lo, hi, u, h)   {.key = k, .type = OPTION_DURATION, .offset = FIELD(m), .default_text = d, .min = lo, .max = hi, .unit = u, .help = h}
#define TEXT(k, m, d, lo, hi, c, h)   {.key = k, .type = OPTION_STRING, .offset = FIELD(m), .default_text = d, .min = lo, .max = hi, .unit = "", .check = c, .help = h}
#define WORD(k, m, d, w, lo, h)       {.key = k, .type = OPTION_ENUM, .offset = FIELD(m), .default_text = d, .words = w, .min = lo, .unit = "", .help = h}

static const struct option rows[] = {
    COUNT("hub.collector_port", hub.collector_port, "4245", 0, 65535, "", "port of the PULL socket that takes events; 0 = any free one"),
    COUNT("hub.publisher_port", hub.publisher_port, "4246", 0, 65535, "", "port of the PUB socket that gives events out; 0 = any free one"),
    COUNT("hub.requests_port", hub.requests_port, "4247", 0, 65535, "", "port of the ROUTER socket for requests; 0 = any free one"),
    TEXT("hub.bind", hub.bind, "127.0.0.1", 1, 255, check_host, "address or interface of the three sockets; * = the whole network"),
    BOOL("hub.journal.enabled", hub.journal.enabled, "true", "keep events on disk, so that they survive a restart"),
    TEXT("hub.journal.path", hub.journal.path, "./data", 1, 4000, NULL, "data directory of the journal"),
    WORD("hub.journal.sync", hub.journal.sync, "commit", sync_words, 0, "when events are forced to the disk: each commit, each interval, never"),
    TIME("hub.journal.interval_ms", hub.journal.interval_ms, "100", 1, 60000, "ms", "time between two forced writes with sync interval"),
    TIME("hub.journal.max_age", hub.journal.max_age_s, "7d", 1, 3650 * UINT64_C(86400), "s", "events older than this are trimmed"),
    SIZE("hub.journal.max_bytes", hub.journal.max_bytes, "1GiB", MIB, 16 * TIB, "the oldest events are trimmed above this size"),
    SIZE("hub.journal.max_pending_bytes", hub.journal.max_pending_bytes, "64MiB", MIB, 16 * GIB, "backlog for a slow disk; when full, taking in events waits"),
    SIZE("hub.journal.hold_max_bytes", hub.journal.hold_max_bytes, "1GiB", 0, 16 * TIB, "what consumer groups with hold may keep beyond max_bytes"),
    COUNT("hub.history_events", hub.history_events, "65536", 1, UINT64_C(16777216), "events", "last events kept in memory for those who resume"),
    SIZE("hub.history_bytes", hub.history_bytes, "64MiB", 4 * KIB, 64 * GIB, "memory for the last events"),
    SIZE("hub.max_event_bytes", hub.max_event_bytes, "4MiB", KIB, 256 * MIB, "largest event that the hub takes"),
    TIME("hub.dedup_window_s", hub.dedup_window_s, "300", 0, 7 * UINT64_C(86400), "s", "an id that comes again within this time is the same event; 0 = off"),
    COUNT("hub.dedup_ids", hub.dedup_ids, "100000", 0, UINT64_C(100000000), "ids", "ids remembered at most; 0 = off"),
    COUNT("hub.max_groups", hub.max_groups, "256", 0, 4096, "groups", "durable consumer groups at the same time; 0 = none"),
    TIME("hub.stats_interval_s", hub.stats_interval_s, "30", 0, 86400, "s", "time between two statistics (log and event); 0 = never"),
    TEXT("hub.stats_event", hub.stats_event, "StatsEvent", 0, 255, check_stats_event, "event type of the statistics; empty = no event"),
    TEXT("hub.source_service", hub.source_service, "nh_cs", 1, 255, NULL, "source_service of the hub's own events"),
    WORD("hub.allow_terminate", hub.allow_terminate, "loopback", terminate_words, 0, "who may end the hub by request"),

    TEXT("gateway.listen", gateway.listen, "127.0.0.1:8080", 1, 270, check_listen, "address of the one HTTP port; *:8080 = the whole network"),
    TEXT("gateway.hub_host", gateway.hub_host, "127.0.0.1", 1, 255, check_peer_host, "where the hub runs; its ports are those of section hub"),
    {.key = "gateway.allowed_origins", .type = OPTION_LIST, .offset = FIELD(gateway.allowed_origins), .default_text = "", .min = 0, .max = 64, .unit = "", .check = check_origin, .help = "foreign origins whose pages may talk to the gateway; * = all"},
    TEXT("gateway.web_root", gateway.web_root, "", 0, 4000, NULL, "directory of the dashboard; empty = beside the program"),
    SIZE("gateway.max_event_bytes", gateway.max_event_bytes, "1MiB", KIB, 256 * MIB, "largest single event over HTTP and WebSocket"),
    SIZE("gateway.max_body_bytes", gateway.max_body_bytes, "8MiB", KIB, GIB, "largest body of a request (a batch of events)"),
    {.key = "gateway.max_connections", .type = OPTION_UINT, .offset = FIELD(gateway.max_connections), .default_text = "auto", .min = 0, .max = UINT64_C(1048576), .words = auto_words, .unit = "connections", .help = "clients at the same time; auto = from the limit of open files"},
    COUNT("gateway.max_patterns", gateway.max_patterns, "64", 1, 1000, "patterns", "patterns in one subscription"),
    COUNT("gateway.cache_events", gateway.cache_events, "65536", 1, UINT64_C(16777216), "events", "last events kept in the gateway for those who resume"),
    SIZE("gateway.cache_bytes", gateway.cache_bytes, "64MiB", 4 * KIB, 64 * GIB, "memory for those events"),
    SIZE("gateway.session_max_bytes", gateway.session_max_bytes, "1MiB", 4 * KIB, GIB, "what one slow client may have waiting before its policy acts"),
    SIZE("gateway.streams_max_bytes", gateway.streams_max_bytes, "256MiB", MIB, 64 * GIB, "what all clients together may have waiting"),
    SIZE("gateway.send_buffer_bytes", gateway.send_buffer_bytes, "256KiB", 4 * KIB, 64 * MIB, "socket buffer of a streaming client (SO_SNDBUF)"),
    WORD("gateway.policy", gateway.policy, "disconnect", policy_words, 0, "what happens to a client that is too slow, unless it chooses"),
    COUNT("gateway.publish_window", gateway.publish_window, "256", 1, 65536, "requests", "publishes under way to the hub at the same time"),
    TIME("gateway.ack_timeout_ms", gateway.ack_timeout_ms, "5000", 10, 600000, "ms", "how long a publisher waits for the hub's answer"),
    WORD("gateway.durability", gateway.durability, "journal", durability_words, 0, "how far an event is kept before the answer; journal = as the journal gives"),
    WORD("gateway.min_durability", gateway.min_durability, "memory", durability_words, DURABILITY_MEMORY, "the least that a publisher may ask for"),
    TIME("gateway.refill_wait_ms", gateway.refill_wait_ms, "2000", 0, 60000, "ms", "how long a hole in the events may take to be refilled before clients are told"),
    TIME("gateway.drain_s", gateway.drain_s, "10", 0, 3600, "s", "time over which clients are sent away at the end"),

    {.key = "log.level", .type = OPTION_ENUM, .offset = FIELD(log.level), .default_text = "info", .words = level_words, .unit = "", .at_run_time = true, .help = "lines below this level are left out"},
    WORD("log.format", log.format, "logfmt", format_words, 0, "form of a line on stderr"),
    {.key = "log.access", .type = OPTION_BOOL, .offset = FIELD(log.access), .default_text = "false", .unit = "", .at_run_time = true, .help = "one line for each HTTP request"},
};
/* clang-format on */

_Static_assert(LOG_LEVEL_ERROR == 0 && LOG_LEVEL_DEBUG == 3, "level_words follows enum log_level");
_Static_assert(LOG_FORMAT_LOGFMT == 0 && LOG_FORMAT_JSON == 1, "format_words follows log_format");
_Static_assert(JOURNAL_SYNC_OFF == 2 && TERMINATE_NEVER == 2 && POLICY_LATEST == 2 &&
                   DURABILITY_SYNCED == 3,
               "the words follow their enums");

void settings_options(struct settings *s, struct options *out)
{
    *out = (struct options){.rows = rows, .count = sizeof rows / sizeof rows[0], .values = s};
}

static nhub_err check_ports(const struct settings *s, struct buf *error)
{
    const struct {
        const char *key;
        uint64_t port;
    } ports[] = {
        {"hub.collector_port", s->hub.collector_port},
        {"hub.publisher_port", s->hub.publisher_port},
        {"hub.requests_port", s->hub.requests_port},
    };

    for (size_t i = 0; i < 3; i++) {
        for (size_t j = i + 1; j < 3; j++) {
            if (ports[i].port != 0 && ports[i].port == ports[j].port) {
                buf_printf(error,
                           "%s and %s: both are %llu, allowed: three different ports, or 0 = any "
                           "free one",
                           ports[i].key, ports[j].key, (unsigned long long)ports[i].port);
                return NHUB_ECONFIG;
            }
        }
    }
    return NHUB_OK;
}

static nhub_err check_at_least(const char *larger_key, uint64_t larger, const char *smaller_key,
                               uint64_t smaller, struct buf *error)
{
    if (larger >= smaller) {
        return NHUB_OK;
    }
    buf_printf(error, "%s: %llu is less than %s, allowed: at least %llu", larger_key,
               (unsigned long long)larger, smaller_key, (unsigned long long)smaller);
    return NHUB_ECONFIG;
}

nhub_err settings_check(const struct settings *s, struct buf *error)
{
    nhub_err err = check_ports(s, error);

    if (err == NHUB_OK) {
        err = check_at_least("gateway.max_body_bytes", s->gateway.max_body_bytes,
                             "gateway.max_event_bytes", s->gateway.max_event_bytes, error);
    }
    if (err == NHUB_OK) {
        err = check_at_least("gateway.streams_max_bytes", s->gateway.streams_max_bytes,
                             "gateway.session_max_bytes", s->gateway.session_max_bytes, error);
    }
    if (err == NHUB_OK && s->gateway.durability != DURABILITY_DEFAULT &&
        s->gateway.durability < s->gateway.min_durability) {
        buf_printf(error,
                   "gateway.durability: \"%s\" is less than gateway.min_durability, allowed: "
                   "journal, or at least \"%s\"",
                   durability_words[s->gateway.durability],
                   durability_words[s->gateway.min_durability]);
        err = NHUB_ECONFIG;
    }
    return err;
}
