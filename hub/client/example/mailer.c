/*
 * mailer: a member of a consumer group: it takes orders, "sends a mail" for each, and acknowledges
 * them. Run it twice: the two share the orders. Kill it: its order comes again, to whoever is left.
 *
 *     mailer [HOST [REQUESTS_PORT [COUNT]]]      ends after COUNT orders
 *
 * Try it with: notifyhub pub order.new '{"customer":"ada"}'
 */
#include <notifyhub/notifyhub.h>

#include <stdio.h>
#include <stdlib.h>

static void on_gap(void *context, const nhub_gap *gap)
{
    (void)context;
    fprintf(stderr, "orders behind number %llu up to %llu are lost: %s\n",
            (unsigned long long)gap->from.seq, (unsigned long long)gap->to.seq, gap->reason);
}

/* A mail can be sent twice: an order whose acknowledgement got lost is delivered again. Who cannot
 * bear that remembers the order's position, which never changes. */
static bool send_mail(const nhub_delivery *delivery)
{
    const nhub_bytes data = nhub_event_data(delivery->event);

    printf("mail for order %s (attempt %llu): %.*s\n", delivery->id,
           (unsigned long long)delivery->attempt, (int)data.len, data.p);
    return fflush(stdout) == 0;
}

static nhub_err work(nhub_consumer *consumer, long count)
{
    nhub_err err = NHUB_OK;

    while (count > 0 && (err == NHUB_OK || err == NHUB_ETIMEOUT)) {
        const nhub_delivery *delivery = NULL;

        err = nhub_consumer_next(consumer, 1000, &delivery);
        if (err != NHUB_OK) {
            continue;
        }
        count--;
        if (send_mail(delivery)) {
            err = nhub_consumer_ack(consumer, &delivery->id, 1, 0, NULL);
        } else {
            err = nhub_consumer_nack(consumer, &delivery->id, 1, 5000, 0, NULL);
        }
        if (err == NHUB_ECONFLICT) {
            err = NHUB_OK; /* it took too long, and somebody else has the order now */
        }
    }
    return err;
}

int main(int argc, char **argv)
{
    static const char *const patterns[] = {"order.*"};
    nhub_consumer_options options = {.group = "mailer",
                                     .create = true,
                                     .patterns = patterns,
                                     .pattern_count = 1,
                                     .since = "earliest",
                                     .on_gap = on_gap};
    nhub_consumer *consumer = NULL;
    nhub_err err = NHUB_OK;

    if (argc > 1) {
        options.host = argv[1];
    }
    if (argc > 2) {
        options.requests_port = (uint16_t)atoi(argv[2]);
    }
    err = nhub_consumer_create(&consumer, &options);
    if (err == NHUB_OK) {
        err = work(consumer, argc > 3 ? atol(argv[3]) : 1000000000);
        if (err != NHUB_OK) {
            fprintf(stderr, "mailer: %s %s\n", nhub_strerror(err), nhub_consumer_error(consumer));
        }
    }
    nhub_consumer_destroy(&consumer);
    return err == NHUB_OK ? 0 : 1;
}
