/*
 * journal_info: what `notifyhub journal info` prints.
 */
#include "cli/journal.h"
#include "wire/position.h"

#include <inttypes.h>
#include <string.h>

#define VOIDS_LISTED 1000

struct info {
    struct store_meta meta;
    struct store_figures figures;
    int64_t created_us;
    struct buf owner;
    struct buf voids; /* JSON, without the brackets */
    uint64_t void_count, void_numbers;
};

static void add_void(void *context, uint64_t from, uint64_t to, enum store_void why)
{
    struct info *info = context;

    info->void_count++;
    info->void_numbers += to - from + 1;
    if (info->void_count <= VOIDS_LISTED) {
        buf_printf(&info->voids, "%s{\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"reason\":\"%s\"}",
                   info->void_count > 1 ? "," : "", from, to, store_void_name(why));
    }
}

static const char *time_text(int64_t us, char out[28])
{
    if (us == 0) {
        return "never";
    }
    time_format_rfc3339(us, out);
    return out;
}

/* A size as people read it. */
static const char *size_text(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

/* How the last owner left it. */
static const char *condition(struct info *info)
{
    if (info->owner.len > 0) {
        return "in_use";
    }
    return info->meta.was_clean ? "clean" : "unclean_stop";
}

static void print_text(const struct journal_job *job, struct info *info)
{
    const struct store_figures *f = &info->figures;
    char time[28], other[28], size[32], used[32], map[32];

    (void)printf("Journal: %s\n", job->path);
    (void)printf("  format:             %d\n", STORE_FORMAT);
    (void)printf("  made:               %s\n", time_text(info->created_us, time));
    (void)printf("  owner:              %s\n", info->owner.len > 0 ? buf_cstr(&info->owner)
                                               : info->meta.was_clean
                                                   ? "nobody; the last one stopped in order"
                                                   : "nobody; the last one did not stop in order");
    (void)printf("  epoch:              %s (number %u)\n", info->meta.epoch,
                 (unsigned)info->meta.epoch_no);
    (void)printf("  numbers kept:       %" PRIu64 " to %" PRIu64 "\n", f->oldest, f->newest);
    (void)printf("  reserved to:        %" PRIu64 "\n", info->meta.reserved_to);
    (void)printf("  events:             %" PRIu64 ", %s (%" PRIu64 " of earlier epochs)\n",
                 f->records, size_text(f->bytes, size), f->other_epochs);
    (void)printf("  arrived:            %s to %s\n", time_text(f->oldest_us, time),
                 time_text(f->newest_us, other));
    (void)printf("  trimmed up to:      %s\n", time_text(f->trimmed_us, time));
    (void)printf("  voids:              %" PRIu64 ", %" PRIu64 " numbers\n", info->void_count,
                 info->void_numbers);
    (void)printf("  ids, notes:         %" PRIu64 ", %" PRIu64 "\n", f->ids, f->notes);
    (void)printf("  disk space:         %s, %s of it in use; it can grow to %s\n",
                 size_text(f->file_bytes, size), size_text(f->used_bytes, used),
                 size_text(f->map_bytes, map));
}

/* Times are microseconds since 1970, as numbers: null when there is none. */
static void add_time(struct buf *b, const char *name, int64_t us)
{
    if (us == 0) {
        buf_printf(b, ",\"%s\":null", name);
    } else {
        buf_printf(b, ",\"%s\":%" PRId64 ".%06d", name, us / 1000000, (int)(us % 1000000));
    }
}

static bool print_json(const struct journal_job *job, struct info *info)
{
    const struct store_figures *f = &info->figures;
    struct buf b;
    bool is_whole = false;

    buf_init(&b);
    buf_add_str(&b, "{\"path\":");
    buf_add_json_cstr(&b, job->path);
    buf_printf(&b, ",\"format\":%d", STORE_FORMAT);
    add_time(&b, "created", info->created_us);
    buf_printf(&b, ",\"condition\":\"%s\",\"owner\":", condition(info));
    if (info->owner.len > 0) {
        buf_add_json_string(&b, info->owner.data, info->owner.len);
    } else {
        buf_add_str(&b, "null");
    }
    buf_printf(&b, ",\"epoch\":\"%s\",\"epoch_number\":%u", info->meta.epoch,
               (unsigned)info->meta.epoch_no);
    buf_printf(&b, ",\"oldest\":%" PRIu64 ",\"newest\":%" PRIu64 ",\"reserved_to\":%" PRIu64,
               f->oldest, f->newest, info->meta.reserved_to);
    buf_printf(
        &b, ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"events_of_earlier_epochs\":%" PRIu64,
        f->records, f->bytes, f->other_epochs);
    add_time(&b, "oldest_arrival", f->oldest_us);
    add_time(&b, "newest_arrival", f->newest_us);
    add_time(&b, "trimmed_arrival", f->trimmed_us);
    buf_printf(&b, ",\"void_count\":%" PRIu64 ",\"voids\":[%s]", info->void_count,
               buf_cstr(&info->voids));
    buf_printf(&b, ",\"ids\":%" PRIu64 ",\"notes\":%" PRIu64, f->ids, f->notes);
    buf_printf(&b,
               ",\"file_bytes\":%" PRIu64 ",\"used_bytes\":%" PRIu64 ",\"free_bytes\":%" PRIu64
               ",\"map_bytes\":%" PRIu64 "}\n",
               f->file_bytes, f->used_bytes, f->free_bytes, f->map_bytes);
    is_whole = !b.failed && !info->voids.failed;
    (void)fputs(buf_cstr(&b), stdout);
    buf_fini(&b);
    return is_whole;
}

int journal_info(const struct journal_job *job)
{
    struct info info = {.void_count = 0};
    nhub_err err = NHUB_OK;
    int status = CLI_OK;
    struct store *store = journal_open(job, &status);

    if (!store) {
        return status;
    }
    buf_init(&info.owner);
    buf_init(&info.voids);
    store_get_meta(store, &info.meta);
    store_figures(store, &info.figures);
    info.created_us = store_created_us(store);
    store_owner(job->path, &info.owner);
    err = store_each_void(store, add_void, &info);
    if (err != NHUB_OK) {
        cli_error(job->cli, "cannot read the voids: %s", nhub_strerror(err));
        status = CLI_NEGATIVE;
    } else if (!job->cli->is_json) {
        print_text(job, &info);
    } else if (!print_json(job, &info)) {
        cli_error(job->cli, "out of memory");
        status = CLI_NEGATIVE;
    }
    buf_fini(&info.owner);
    buf_fini(&info.voids);
    store_close(&store);
    return cli_flush() ? status : CLI_NEGATIVE;
}
