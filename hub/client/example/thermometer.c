/*
 * thermometer: the smallest useful program with libnotifyhub: it checks that the hub is there,
 * subscribes, publishes three measurements, and prints what comes back.
 *
 *     thermometer [HOST [COLLECTOR_PORT PUBLISHER_PORT REQUESTS_PORT]]
 *
 * Build it against an installed library with pkg-config:
 *     cc thermometer.c $(pkg-config --cflags --libs notifyhub) -o thermometer
 * or with CMake: see CMakeLists.txt beside this file.
 */
#include <notifyhub/notifyhub.h>

#include <stdio.h>
#include <stdlib.h>

static void on_temperature(void *context, const nhub_event *event)
{
    const nhub_bytes data = nhub_event_data(event);
    const nhub_position position = nhub_event_position(event);
    int *count = context;

    printf("%s number %llu: %.*s\n", nhub_event_type(event), (unsigned long long)position.seq,
           (int)data.len, data.p);
    ++*count;
}

static int fail(const char *what, nhub_err err)
{
    fprintf(stderr, "%s: %s\n", what, nhub_strerror(err));
    return 1;
}

static nhub_err measure(nhub_publisher *publisher)
{
    nhub_err err = NHUB_OK;

    for (int i = 0; i < 3 && err == NHUB_OK; i++) {
        char data[64];
        nhub_draft draft = {0};
        nhub_ack ack = {0};

        snprintf(data, sizeof data, "{\"celsius\":%d.5}", 20 + i);
        draft.event_type = "temperature.lab";
        draft.data = data;
        err = nhub_publisher_publish(publisher, &draft, 5000, &ack);
        if (err == NHUB_EREFUSED) {
            fprintf(stderr, "refused: %s\n", ack.error);
        }
    }
    return err;
}

static nhub_err run(nhub_client *client, nhub_publisher *publisher, nhub_subscriber *subscriber)
{
    int count = 0;
    nhub_err err = nhub_client_health(client, 5000);

    if (err == NHUB_OK) {
        err = nhub_subscriber_on(subscriber, "temperature.*", on_temperature, &count);
    }
    /* Whatever is published after the subscriber knows its position is delivered to it. */
    while (err == NHUB_OK && nhub_subscriber_position(subscriber).epoch[0] == '\0') {
        err = nhub_subscriber_poll(subscriber, 100, 0, NULL);
    }
    if (err == NHUB_OK) {
        err = measure(publisher);
    }
    while (err == NHUB_OK && count < 3) {
        err = nhub_subscriber_poll(subscriber, 1000, 0, NULL);
    }
    return err;
}

int main(int argc, char **argv)
{
    nhub_client_options client_options = {0};
    nhub_publisher_options publisher_options = {0};
    nhub_subscriber_options subscriber_options = {0};
    nhub_client *client = NULL;
    nhub_publisher *publisher = NULL;
    nhub_subscriber *subscriber = NULL;
    nhub_err err = NHUB_OK;

    if (argc > 1) {
        client_options.host = publisher_options.host = subscriber_options.host = argv[1];
    }
    if (argc > 4) {
        publisher_options.collector_port = (uint16_t)atoi(argv[2]);
        subscriber_options.publisher_port = (uint16_t)atoi(argv[3]);
        client_options.requests_port = publisher_options.requests_port =
            subscriber_options.requests_port = (uint16_t)atoi(argv[4]);
    }
    publisher_options.source_service = "thermometer";
    err = nhub_client_create(&client, &client_options);
    if (err == NHUB_OK) {
        err = nhub_publisher_create(&publisher, &publisher_options);
    }
    if (err == NHUB_OK) {
        err = nhub_subscriber_create(&subscriber, &subscriber_options);
    }
    if (err == NHUB_OK) {
        err = run(client, publisher, subscriber);
    }
    nhub_subscriber_destroy(&subscriber);
    nhub_publisher_destroy(&publisher);
    nhub_client_destroy(&client);
    return err == NHUB_OK ? 0 : fail("thermometer", err);
}
