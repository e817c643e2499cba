/*
 * wire: the bytes of the protocols that the peers speak, as far as one load needs them.
 *
 * MQTT 3.1.1 (sections 3.1, 3.3, 3.8), RFC 6455 (section 5.2), NATS client protocol.
 */
#include "load.h"

#include <stdio.h>
#include <string.h>

size_t wire_ws_frame(char *out, unsigned char opcode, const void *bytes, size_t len)
{
    size_t n = 0;

    out[n++] = (char)(0x80 | opcode);
    if (len < 126) {
        out[n++] = (char)(0x80 | len);
    } else {
        out[n++] = (char)(0x80 | 126);
        out[n++] = (char)(len >> 8);
        out[n++] = (char)(len & 0xFF);
    }
    memset(out + n, 0, 4); /* a mask of zeros changes nothing */
    n += 4;
    memcpy(out + n, bytes, len);
    return n + len;
}

/* ---- MQTT ---- */

static size_t mqtt_head(char *out, unsigned char type, size_t rest)
{
    size_t n = 0;

    out[n++] = (char)type;
    do {
        const unsigned char digit = (unsigned char)(rest % 128);

        rest /= 128;
        out[n++] = (char)(digit | (rest > 0 ? 0x80 : 0));
    } while (rest > 0);
    return n;
}

static size_t mqtt_text(char *out, const char *text)
{
    const size_t len = strlen(text);

    out[0] = (char)(len >> 8);
    out[1] = (char)(len & 0xFF);
    memcpy(out + 2, text, len);
    return len + 2;
}

size_t wire_mqtt_connect(char *out, const char *client_id)
{
    size_t n = mqtt_head(out, 0x10, 10 + 2 + strlen(client_id));

    n += mqtt_text(out + n, "MQTT");
    out[n++] = 4;    /* protocol level 3.1.1 */
    out[n++] = 0x02; /* clean session */
    out[n++] = 0;
    out[n++] = 0; /* no keep-alive */
    return n + mqtt_text(out + n, client_id);
}

size_t wire_mqtt_subscribe(char *out, const char *topic)
{
    size_t n = mqtt_head(out, 0x82, 2 + 2 + strlen(topic) + 1);

    out[n++] = 0;
    out[n++] = 1; /* packet id */
    n += mqtt_text(out + n, topic);
    out[n++] = 0; /* QoS 0 */
    return n;
}

size_t wire_mqtt_publish(char *out, const char *topic, const void *bytes, size_t len)
{
    size_t n = mqtt_head(out, 0x30, 2 + strlen(topic) + len);

    n += mqtt_text(out + n, topic);
    memcpy(out + n, bytes, len);
    return n + len;
}

/* ---- opening ---- */

size_t wire_open(char *out, size_t size)
{
    const bool is_sse = options.subscriber == SUB_SSE;
    int n;

    if (options.subscriber == SUB_RAW) {
        return 0;
    }
    n = snprintf(out, size, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s%s\r\n", options.sub_path,
                 (unsigned)options.sub_port,
                 is_sse ? "Accept: text/event-stream\r\n"
                        : "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
                          "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                 options.subscriber == SUB_MQTT_WS ? "Sec-WebSocket-Protocol: mqtt\r\n" : "");
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

static size_t mqtt_hello(char *out, size_t step)
{
    static unsigned long clients;
    char packet[256];
    char id[32];

    if (step == 0) {
        (void)snprintf(id, sizeof id, "bench-%lu", clients++);
        return wire_ws_frame(out, 2, packet, wire_mqtt_connect(packet, id));
    }
    if (step == 1) {
        return wire_ws_frame(out, 2, packet, wire_mqtt_subscribe(packet, options.sub_topic));
    }
    return 0;
}

static size_t nats_hello(char *out, size_t step)
{
    char text[256];
    int n;

    if (step > 0) {
        return 0;
    }
    n = snprintf(text, sizeof text,
                 "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB %s 1\r\nPING\r\n",
                 options.sub_topic);
    return wire_ws_frame(out, 2, text, (size_t)n);
}

size_t wire_hello(char *out, size_t size, size_t step)
{
    (void)size;
    return options.subscriber == SUB_MQTT_WS   ? mqtt_hello(out, step)
           : options.subscriber == SUB_NATS_WS ? nats_hello(out, step)
                                               : 0;
}
