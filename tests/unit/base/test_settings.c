/* settings: the real table, the sample file, the start and the reload of a daemon. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/settings.h"
#include "scratch.h"

#define SAMPLE_FILE "deploy/config/notifyhub.yaml" /* tests run in the root of the tree */

static const char *const sections[] = {"hub", "gateway", "log", NULL};

/* The keys of design and documentation; a row that gets lost is missed here. */
static const char *const documented_keys[] = {
    "hub.collector_port",
    "hub.publisher_port",
    "hub.requests_port",
    "hub.bind",
    "hub.journal.enabled",
    "hub.journal.path",
    "hub.journal.sync",
    "hub.journal.interval_ms",
    "hub.journal.max_age",
    "hub.journal.max_bytes",
    "hub.journal.max_pending_bytes",
    "hub.journal.hold_max_bytes",
    "hub.history_events",
    "hub.history_bytes",
    "hub.max_event_bytes",
    "hub.dedup_window_s",
    "hub.dedup_ids",
    "hub.max_groups",
    "hub.stats_interval_s",
    "hub.stats_event",
    "hub.source_service",
    "hub.allow_terminate",
    "gateway.listen",
    "gateway.hub_host",
    "gateway.allowed_origins",
    "gateway.web_root",
    "gateway.max_event_bytes",
    "gateway.max_body_bytes",
    "gateway.max_connections",
    "gateway.max_patterns",
    "gateway.cache_events",
    "gateway.cache_bytes",
    "gateway.session_max_bytes",
    "gateway.streams_max_bytes",
    "gateway.send_buffer_bytes",
    "gateway.policy",
    "gateway.publish_window",
    "gateway.ack_timeout_ms",
    "gateway.durability",
    "gateway.min_durability",
    "gateway.refill_wait_ms",
    "gateway.drain_s",
    "log.level",
    "log.format",
    "log.access",
};

static char folder[SCRATCH_BYTES];
static char config_path[SCRATCH_BYTES + 8], out_path[SCRATCH_BYTES + 8];
static char err_path[SCRATCH_BYTES + 8], log_path[SCRATCH_BYTES + 8];

static int make_folder(void **state)
{
    (void)state;
    if (!scratch_folder(folder, "settings")) {
        return -1;
    }
    (void)snprintf(config_path, sizeof config_path, "%s/c.yaml", folder);
    (void)snprintf(out_path, sizeof out_path, "%s/out", folder);
    (void)snprintf(err_path, sizeof err_path, "%s/err", folder);
    (void)snprintf(log_path, sizeof log_path, "%s/log", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_remove(folder);
    return 0;
}

static void write_config(const char *text)
{
    FILE *file = fopen(config_path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const char *content_of(const char *path)
{
    static char text[32768];
    FILE *file = fopen(path, "r");
    size_t n = 0;

    assert_non_null(file);
    n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    (void)fclose(file);
    return text;
}

static int redirect(int fd, const char *path)
{
    const int saved = dup(fd);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(saved >= 0 && file >= 0);
    assert_true(dup2(file, fd) >= 0);
    close(file);
    return saved;
}

static void restore(int fd, int saved)
{
    assert_true(dup2(saved, fd) >= 0);
    close(saved);
}

/* argv must outlive the settings, because a reload reads it again. */
static char program[] = "notifyhub-hub";
static char *arguments[16];

/* Starts with the flags given, up to NULL; what it prints is in out_path and err_path. */
static nhub_err start(struct settings *s, int *out_exit, ...)
{
    va_list flags;
    int argc = 0;
    int saved_out = -1;
    int saved_err = -1;
    nhub_err err = NHUB_OK;

    *s = (struct settings){0};
    *out_exit = -1;
    arguments[argc++] = program;
    va_start(flags, out_exit);
    while ((arguments[argc] = va_arg(flags, char *)) != NULL) {
        argc++;
    }
    va_end(flags);
    (void)fflush(stdout);
    saved_out = redirect(STDOUT_FILENO, out_path);
    saved_err = redirect(STDERR_FILENO, err_path);
    err = settings_start(s, "notifyhub-hub", "The hub.", sections, argc, arguments, out_exit);
    (void)fflush(stdout);
    restore(STDOUT_FILENO, saved_out);
    restore(STDERR_FILENO, saved_err);
    return err;
}

static void release(struct settings *s)
{
    struct options o;

    settings_options(s, &o);
    options_free(&o);
}

static void every_documented_key_exists_and_no_other(void **state)
{
    struct settings s = {0};
    struct options o;

    (void)state;
    settings_options(&s, &o);
    assert_int_equal(o.count, sizeof documented_keys / sizeof documented_keys[0]);
    for (size_t i = 0; i < o.count; i++) {
        assert_string_equal(o.rows[i].key, documented_keys[i]);
    }
}

static void rows_are_sound(void **state)
{
    struct settings s = {0};
    struct options o;
    bool used[sizeof(struct settings)] = {false};

    (void)state;
    settings_options(&s, &o);
    for (size_t i = 0; i < o.count; i++) {
        const struct option *row = &o.rows[i];

        assert_true(row->offset < sizeof s);
        assert_false(used[row->offset]); /* no two rows share a field */
        used[row->offset] = true;
        assert_true(strlen(row->help) > 10);
        assert_null(strchr(row->help, '\n'));
        assert_true(row->min <= row->max || row->type == OPTION_ENUM);
        if (row->type == OPTION_DURATION) {
            assert_true(strcmp(row->unit, "s") == 0 || strcmp(row->unit, "ms") == 0);
        }
        /* Pointers that other threads may hold are never changed at run time. */
        assert_false(row->at_run_time && (row->type == OPTION_STRING || row->type == OPTION_LIST));
    }
}

static void defaults_are_those_of_the_documentation(void **state)
{
    struct settings s = {0};
    struct options o;
    struct buf error = {0};

    (void)state;
    settings_options(&s, &o);
    assert_int_equal(options_defaults(&o, &error), NHUB_OK);
    assert_int_equal(s.hub.collector_port, 4245);
    assert_int_equal(s.hub.publisher_port, 4246);
    assert_int_equal(s.hub.requests_port, 4247);
    assert_string_equal(s.hub.bind, "127.0.0.1");
    assert_true(s.hub.journal.enabled);
    assert_string_equal(s.hub.journal.path, "./data");
    assert_int_equal(s.hub.journal.sync, JOURNAL_SYNC_COMMIT);
    assert_int_equal(s.hub.journal.interval_ms, 100);
    assert_int_equal(s.hub.journal.max_age_s, 7 * 86400);
    assert_int_equal(s.hub.journal.max_bytes, 1 << 30);
    assert_int_equal(s.hub.journal.max_pending_bytes, 64 << 20);
    assert_int_equal(s.hub.journal.hold_max_bytes, 1 << 30);
    assert_int_equal(s.hub.history_events, 65536);
    assert_int_equal(s.hub.history_bytes, 64 << 20);
    assert_int_equal(s.hub.max_event_bytes, 4 << 20);
    assert_int_equal(s.hub.dedup_window_s, 300);
    assert_int_equal(s.hub.dedup_ids, 100000);
    assert_int_equal(s.hub.max_groups, 256);
    assert_int_equal(s.hub.stats_interval_s, 30);
    assert_string_equal(s.hub.stats_event, "StatsEvent");
    assert_string_equal(s.hub.source_service, "nh_cs");
    assert_int_equal(s.hub.allow_terminate, TERMINATE_LOOPBACK);
    assert_string_equal(s.gateway.listen, "127.0.0.1:8080");
    assert_string_equal(s.gateway.hub_host, "127.0.0.1");
    assert_int_equal(s.gateway.allowed_origins.count, 0);
    assert_string_equal(s.gateway.web_root, "");
    assert_int_equal(s.gateway.max_event_bytes, 1 << 20);
    assert_int_equal(s.gateway.max_body_bytes, 8 << 20);
    assert_int_equal(s.gateway.max_connections, 0);
    assert_int_equal(s.gateway.max_patterns, 64);
    assert_int_equal(s.gateway.cache_events, 65536);
    assert_int_equal(s.gateway.cache_bytes, 64 << 20);
    assert_int_equal(s.gateway.session_max_bytes, 1 << 20);
    assert_int_equal(s.gateway.streams_max_bytes, 256 << 20);
    assert_int_equal(s.gateway.send_buffer_bytes, 256 << 10);
    assert_int_equal(s.gateway.policy, POLICY_DISCONNECT);
    assert_int_equal(s.gateway.publish_window, 256);
    assert_int_equal(s.gateway.ack_timeout_ms, 5000);
    assert_int_equal(s.gateway.durability, DURABILITY_DEFAULT);
    assert_int_equal(s.gateway.min_durability, DURABILITY_MEMORY);
    assert_int_equal(s.gateway.refill_wait_ms, 2000);
    assert_int_equal(s.gateway.drain_s, 10);
    assert_int_equal(s.log.level, LOG_LEVEL_INFO);
    assert_int_equal(s.log.format, LOG_FORMAT_LOGFMT);
    assert_false(s.log.access);
    options_free(&o);
    buf_fini(&error);
}

/* A key that stands nowhere in the file would keep its default unseen, so each is first set to
 * something else: what the file does not set then differs. */
static void the_sample_file_has_every_key_with_its_default(void **state)
{
    static const char *const other_values[] = {
        "1",    "2",    "3",      "::1",    "false", "x",    "off",   "1",    "1",
        "1MiB", "1MiB", "1",      "1",      "4KiB",  "1KiB", "1",     "1",    "1",
        "1",    "x",    "x",      "any",    ":1",    "::1",  "*",     "x",    "1KiB",
        "1KiB", "1",    "1",      "1",      "4KiB",  "4KiB", "1MiB",  "4KiB", "latest",
        "1",    "10",   "synced", "synced", "1",     "1",    "debug", "json", "true",
    };
    struct settings expected = {0};
    struct settings loaded = {0};
    struct options e;
    struct options l;
    struct buf error = {0};

    (void)state;
    settings_options(&expected, &e);
    settings_options(&loaded, &l);
    assert_int_equal(options_defaults(&e, &error), NHUB_OK);
    assert_int_equal(l.count, sizeof other_values / sizeof other_values[0]);
    for (size_t i = 0; i < l.count; i++) {
        assert_int_equal(options_set(&l, l.rows[i].key, other_values[i], &error), NHUB_OK);
        assert_false(options_same_value(&l.rows[i], &expected, &loaded));
    }
    if (options_load_file(&l, SAMPLE_FILE, &error) != NHUB_OK) {
        fail_msg("%s", buf_cstr(&error));
    }
    for (size_t i = 0; i < l.count; i++) {
        if (!options_same_value(&l.rows[i], &expected, &loaded)) {
            fail_msg("%s: missing in %s, or not its default", l.rows[i].key, SAMPLE_FILE);
        }
    }
    options_free(&e);
    options_free(&l);
    buf_fini(&error);
}

static void later_wins_default_file_environment_flag(void **state)
{
    struct settings s;
    int status = 0;

    (void)state;
    write_config("hub: {collector_port: 1, publisher_port: 2, requests_port: 3}\n");
    setenv("NOTIFYHUB_HUB_PUBLISHER_PORT", "20", 1);
    setenv("NOTIFYHUB_HUB_REQUESTS_PORT", "30", 1);
    assert_int_equal(start(&s, &status, "--config", config_path, "--hub-requests-port=300",
                           "--hub-journal-enabled", "false", NULL),
                     NHUB_OK);
    assert_int_equal(s.hub.collector_port, 1);
    assert_int_equal(s.hub.publisher_port, 20);
    assert_int_equal(s.hub.requests_port, 300);
    assert_int_equal(s.gateway.drain_s, 10);
    assert_false(s.hub.journal.enabled);
    release(&s);
    unsetenv("NOTIFYHUB_HUB_PUBLISHER_PORT");
    unsetenv("NOTIFYHUB_HUB_REQUESTS_PORT");
}

static void the_environment_can_name_the_file_and_the_flag_wins(void **state)
{
    struct settings s;
    char flag[SCRATCH_BYTES + 32];
    int status = 0;

    (void)state;
    write_config("gateway: {drain_s: 77}\n");
    setenv("NOTIFYHUB_CONFIG", config_path, 1);
    assert_int_equal(start(&s, &status, NULL), NHUB_OK);
    assert_int_equal(s.gateway.drain_s, 77);
    release(&s);
    setenv("NOTIFYHUB_CONFIG", "/nonexistent.yaml", 1);
    assert_int_equal(start(&s, &status, NULL), NHUB_ECONFIG);
    assert_int_equal(status, 2);
    (void)snprintf(flag, sizeof flag, "--config=%s", config_path);
    assert_int_equal(start(&s, &status, flag, NULL), NHUB_OK);
    assert_int_equal(s.gateway.drain_s, 77);
    release(&s);
    setenv("NOTIFYHUB_CONFIG", "", 1); /* as good as unset */
    assert_int_equal(start(&s, &status, NULL), NHUB_OK);
    assert_int_equal(s.gateway.drain_s, 10);
    release(&s);
    unsetenv("NOTIFYHUB_CONFIG");
}

static void check_config_prints_what_loads_again(void **state)
{
    struct settings s;
    struct settings again;
    struct options a;
    struct options b;
    struct buf error = {0};
    int status = 0;

    (void)state;
    assert_int_equal(start(&s, &status, "--check-config", "--hub-bind=*",
                           "--gateway-allowed-origins", "https://a.example,https://b.example:1",
                           "--gateway-min-durability=journaled", "--gateway-durability=synced",
                           "--hub-journal-max-age", "90s", "--log-access=yes", NULL),
                     NHUB_ECLOSED);
    assert_int_equal(status, 0);
    assert_int_equal(rename(out_path, config_path), 0);
    assert_int_equal(start(&again, &status, "--config", config_path, NULL), NHUB_OK);

    /* The first start keeps nothing, so its values are made again to compare. */
    s = (struct settings){0};
    settings_options(&s, &a);
    settings_options(&again, &b);
    assert_int_equal(options_defaults(&a, &error), NHUB_OK);
    assert_int_equal(options_set(&a, "hub.bind", "*", &error), NHUB_OK);
    assert_int_equal(
        options_set(&a, "gateway.allowed_origins", "https://a.example,https://b.example:1", &error),
        NHUB_OK);
    assert_int_equal(options_set(&a, "gateway.min_durability", "journaled", &error), NHUB_OK);
    assert_int_equal(options_set(&a, "gateway.durability", "synced", &error), NHUB_OK);
    assert_int_equal(options_set(&a, "hub.journal.max_age", "90", &error), NHUB_OK);
    assert_int_equal(options_set(&a, "log.access", "true", &error), NHUB_OK);
    for (size_t i = 0; i < a.count; i++) {
        assert_true(options_same_value(&a.rows[i], &s, &again));
    }
    options_free(&a);
    options_free(&b);
    buf_fini(&error);
}

static void help_and_version_end_with_0_whatever_the_file_says(void **state)
{
    struct settings s;
    int status = 0;
    const char *help = NULL;

    (void)state;
    write_config("nonsense\n");
    assert_int_equal(start(&s, &status, "--config", config_path, "--version", NULL), NHUB_ECLOSED);
    assert_int_equal(status, 0);
    assert_string_equal(content_of(out_path), "notifyhub-hub " NHUB_VERSION "\n");
    assert_int_equal(start(&s, &status, "--help", NULL), NHUB_ECLOSED);
    assert_int_equal(status, 0);
    help = content_of(out_path);
    assert_non_null(strstr(help, "The hub."));
    assert_non_null(strstr(help, "--hub-collector-port N"));
    assert_non_null(strstr(help, "--gateway-listen TEXT"));
    assert_non_null(strstr(help, "NOTIFYHUB_HUB_COLLECTOR_PORT"));
    assert_non_null(strstr(help, "SIGTERM"));
    assert_non_null(strstr(help, "Exit status"));
}

static void mistakes_end_with_2_and_one_line(void **state)
{
    static const struct {
        const char *flag, *message;
    } cases[] = {
        {"--hub-colector-port=1",
         "notifyhub-hub: command line: --hub-colector-port: unknown flag, did you mean "
         "--hub-collector-port?\n"},
        {"--frobnicate", "notifyhub-hub: command line: --frobnicate: unknown flag, see --help\n"},
        {"serve",
         "notifyhub-hub: command line: serve: unexpected argument, allowed: flags, see --help\n"},
        {"--config", "notifyhub-hub: command line: --config: needs a file\n"},
        {"--log-level=loud", "notifyhub-hub: command line: --log-level: \"loud\" is not one of the "
                             "words, allowed: error, warn, info, debug\n"},
        {"--hub-collector-port=4247",
         "notifyhub-hub: hub.collector_port and hub.requests_port: both are 4247, allowed: three "
         "different ports, or 0 = any free one\n"},
        {"--gateway-max-body-bytes=1KiB",
         "notifyhub-hub: gateway.max_body_bytes: 1024 is less than gateway.max_event_bytes, "
         "allowed: at least 1048576\n"},
        {"--gateway-session-max-bytes=1GiB",
         "notifyhub-hub: gateway.streams_max_bytes: 268435456 is less than "
         "gateway.session_max_bytes, allowed: at least 1073741824\n"},
        {"--gateway-listen=8080:", NULL},
        {"--gateway-listen=http://x:1", NULL},
        {"--gateway-hub-host=*", NULL},
        {"--gateway-hub-host=host:4245", NULL},
        {"--gateway-allowed-origins=app.example", NULL},
        {"--gateway-allowed-origins=https://app.example/path", NULL},
        {"--hub-bind=tcp://x", NULL},
        {"--hub-stats-event=hub.stats", NULL},
        {"--gateway-min-durability=journal", NULL},
        /* A hub reads no more than 1024 in a question, and a resume has to ask. */
        {"--gateway-max-patterns=1001", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings s;
        int status = 0;
        const char *text = NULL;

        assert_int_equal(start(&s, &status, cases[i].flag, NULL), NHUB_ECONFIG);
        assert_int_equal(status, 2);
        text = content_of(err_path);
        if (cases[i].message) {
            assert_string_equal(text, cases[i].message);
        }
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        assert_null(s.hub.bind); /* nothing is left behind */
    }
}

static void free_ports_may_be_equal_and_hosts_of_all_kinds_pass(void **state)
{
    struct settings s;
    int status = 0;

    (void)state;
    assert_int_equal(start(&s, &status, "--hub-collector-port=0", "--hub-publisher-port=0",
                           "--hub-requests-port=0", "--hub-bind=::", "--gateway-hub-host=::1",
                           "--gateway-listen=[::]:0", "--gateway-allowed-origins=*", NULL),
                     NHUB_OK);
    assert_string_equal(s.gateway.hub_host, "::1");
    release(&s);
    assert_int_equal(start(&s, &status, "--hub-bind=eth0", "--gateway-hub-host=hub.example", NULL),
                     NHUB_OK);
    release(&s);
}

static void durability_below_the_minimum_is_refused(void **state)
{
    struct settings s;
    int status = 0;

    (void)state;
    assert_int_equal(
        start(&s, &status, "--gateway-durability=memory", "--gateway-min-durability=synced", NULL),
        NHUB_ECONFIG);
    assert_non_null(strstr(content_of(err_path), "gateway.min_durability"));
    assert_int_equal(start(&s, &status, "--gateway-min-durability=synced", NULL), NHUB_OK);
    release(&s); /* the journal's own is not compared here: the hub knows it */
}

static void a_reload_takes_over_what_can_change(void **state)
{
    struct settings s;
    int status = 0;
    const char *log = NULL;
    int fd = -1;

    (void)state;
    write_config("log: {level: info}\nhub: {collector_port: 1}\n");
    assert_int_equal(start(&s, &status, "--config", config_path, NULL), NHUB_OK);
    assert_false(settings_log_access());
    fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    log_open("test", fd, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);

    write_config("log: {level: debug, access: true, format: json}\nhub: {collector_port: 2, bind: "
                 "\"::1\"}\n");
    assert_int_equal(settings_reload(&s), NHUB_OK);
    assert_true(log_enabled(LOG_LEVEL_DEBUG));
    assert_true(settings_log_access());
    assert_int_equal(s.log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(s.log.format, LOG_FORMAT_LOGFMT);
    assert_int_equal(s.hub.collector_port, 1);
    assert_string_equal(s.hub.bind, "127.0.0.1");
    log = content_of(log_path);
    assert_non_null(strstr(log, "event=config_changed key=log.level before=info "
                                "after=debug"));
    assert_non_null(strstr(log, "event=config_changed key=log.access before=false after=true"));
    assert_non_null(strstr(log, "level=warn process=test event=config_needs_restart "
                                "key=hub.collector_port running=1 file=2"));
    assert_non_null(strstr(log, "event=config_needs_restart key=log.format"));
    assert_non_null(strstr(log, "event=config_needs_restart key=hub.bind"));
    assert_non_null(strstr(log, "event=config_reloaded"));

    log_open("test", 2, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    close(fd);
    release(&s);
}

static void a_reload_of_a_bad_file_changes_nothing(void **state)
{
    struct settings s;
    int status = 0;
    int fd = -1;

    (void)state;
    write_config("log: {access: true}\n");
    assert_int_equal(start(&s, &status, "--config", config_path, NULL), NHUB_OK);
    fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    log_open("test", fd, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    write_config("log: {access: false, level: loud}\n");
    assert_int_equal(settings_reload(&s), NHUB_ECONFIG);
    assert_true(settings_log_access());
    assert_true(s.log.access);
    assert_int_equal(s.log.level, LOG_LEVEL_INFO);
    assert_non_null(strstr(content_of(log_path), "level=error process=test "
                                                 "event=config_not_reloaded reason="));
    log_open("test", 2, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    close(fd);
    release(&s);
}

static void a_flag_still_beats_the_file_after_a_reload(void **state)
{
    struct settings s;
    int status = 0;
    int fd = -1;

    (void)state;
    write_config("log: {level: info}\n");
    assert_int_equal(start(&s, &status, "--config", config_path, "--log-level", "warn", NULL),
                     NHUB_OK);
    fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    log_open("test", fd, (enum log_level)s.log.level, LOG_FORMAT_LOGFMT);
    write_config("log: {level: debug}\n");
    assert_int_equal(settings_reload(&s), NHUB_OK);
    assert_int_equal(s.log.level, LOG_LEVEL_WARN);
    assert_false(log_enabled(LOG_LEVEL_INFO));
    log_open("test", 2, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    close(fd);
    release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_documented_key_exists_and_no_other),
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(defaults_are_those_of_the_documentation),
        cmocka_unit_test(the_sample_file_has_every_key_with_its_default),
        cmocka_unit_test(later_wins_default_file_environment_flag),
        cmocka_unit_test(the_environment_can_name_the_file_and_the_flag_wins),
        cmocka_unit_test(check_config_prints_what_loads_again),
        cmocka_unit_test(help_and_version_end_with_0_whatever_the_file_says),
        cmocka_unit_test(mistakes_end_with_2_and_one_line),
        cmocka_unit_test(free_ports_may_be_equal_and_hosts_of_all_kinds_pass),
        cmocka_unit_test(durability_below_the_minimum_is_refused),
        cmocka_unit_test(a_reload_takes_over_what_can_change),
        cmocka_unit_test(a_reload_of_a_bad_file_changes_nothing),
        cmocka_unit_test(a_flag_still_beats_the_file_after_a_reload),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
