/*
 * answers: figures as JSON objects.
 */
#include "daemon/answers.h"

#include "daemon/envelope.h"

void answer_health(struct buf *out, const struct request *request,
                   const struct journal_state *journal, int64_t now_us)
{
    envelope_success(out);
    buf_add_str(out, ",\"status\":\"ok\",\"timestamp\":");
    buf_add_i64(out, now_us / 1000000);
    if (journal->condition == JOURNAL_DEGRADED) {
        buf_add_str(out, ",\"journal\":{\"state\":\"degraded\",\"why\":");
        buf_add_json_cstr(out, journal->why);
        buf_add_char(out, '}');
    }
    envelope_end(out, request);
}

void answer_info(struct buf *out, const struct request *request, const struct hub_ports *ports,
                 const struct stats *stats, const char *epoch, int64_t now_us)
{
    envelope_success(out);
    buf_printf(out,
               ",\"status\":\"ok\",\"collector_port\":%u,\"publisher_port\":%u"
               ",\"requests_port\":%u,\"statistics\":",
               ports->collector, ports->publisher, ports->requests);
    stats_write_basic(stats, out);
    buf_add_str(out, ",\"timestamp\":");
    buf_add_i64(out, now_us / 1000000);
    /* Behind the original's members, where its readers do not look. */
    buf_printf(out, ",\"protocol\":%d,\"epoch\":\"%s\"", REQUEST_PROTOCOL_VERSION, epoch);
    envelope_end(out, request);
}

void answer_terminating(struct buf *out, const struct request *request, int64_t now_us)
{
    envelope_success(out);
    buf_add_str(out, ",\"status\":\"terminating\",\"timestamp\":");
    stats_write_seconds(out, now_us);
    envelope_end(out, request);
}

void answer_unknown_action(struct buf *out, const struct request *request)
{
    struct buf text;

    buf_init(&text);
    buf_add_str(&text, "Unknown action: ");
    buf_add_str(&text, request->action_name);
    envelope_error(out, buf_cstr(&text), NULL);
    envelope_end(out, request);
    out->failed = out->failed || text.failed;
    buf_fini(&text);
}

void answer_stats(struct buf *out, const struct request *request, const struct stats *stats,
                  const struct stats_gauges *gauges)
{
    envelope_success(out);
    buf_add_str(out, ",\"statistics\":");
    stats_write(stats, gauges, out);
    envelope_end(out, request);
}
