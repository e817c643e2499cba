/*
 * answer: keeping an answer, and reading its members.
 */
#include "client/answer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

nhub_err answer_keep(struct nhub_answer **out, const struct requester_answer *from)
{
    struct nhub_answer *answer = calloc(1, sizeof *answer);

    if (!answer) {
        return NHUB_ENOMEM;
    }
    answer->text = malloc(from->text_len + 1);
    answer->frames = calloc(from->frame_count + 1, sizeof *answer->frames);
    if (!answer->text || !answer->frames) {
        goto failed;
    }
    memcpy(answer->text, from->text, from->text_len);
    answer->text[from->text_len] = '\0';
    for (size_t i = 0; i < from->frame_count; i++) {
        zframe_init(&answer->frames[i]);
        answer->frame_count = i + 1;
        if (zframe_share(&answer->frames[i], &from->frames[i]) != NHUB_OK) {
            goto failed;
        }
    }
    answer->json = json_incref(from->json);
    *out = answer;
    return NHUB_OK;

failed:
    nhub_answer_destroy(&answer);
    return NHUB_ENOMEM;
}

void nhub_answer_destroy(nhub_answer **answer_p)
{
    struct nhub_answer *answer = *answer_p;

    if (!answer) {
        return;
    }
    for (size_t i = 0; i < answer->frame_count; i++) {
        zframe_close(&answer->frames[i]);
    }
    json_decref(answer->json);
    free(answer->frames);
    free(answer->text);
    free(answer);
    *answer_p = NULL;
}

const char *nhub_answer_json(const nhub_answer *answer)
{
    return answer->text;
}

size_t nhub_answer_frame_count(const nhub_answer *answer)
{
    return answer->frame_count;
}

nhub_bytes nhub_answer_frame(const nhub_answer *answer, size_t index)
{
    nhub_bytes out = {.p = NULL, .len = 0};

    if (index < answer->frame_count) {
        out.p = zframe_data(&answer->frames[index]);
        out.len = zframe_size(&answer->frames[index]);
    }
    return out;
}

const char *answer_text(const struct json_t *json, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text ? text : otherwise;
}

uint64_t answer_u64(const struct json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);

    return json_is_integer(value) && json_integer_value(value) > 0
               ? (uint64_t)json_integer_value(value)
               : 0;
}

bool answer_bool(const struct json_t *json, const char *key)
{
    return json_is_true(json_object_get(json, key));
}

double answer_double(const struct json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

const struct json_t *answer_object(const struct json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);

    return json_is_object(value) ? value : NULL;
}

size_t answer_count(const struct json_t *json, const char *key)
{
    return json_array_size(json_object_get(json, key));
}

const struct json_t *answer_element(const struct json_t *json, const char *key, size_t index)
{
    return json_array_get(json_object_get(json, key), index);
}

struct position answer_position(const struct json_t *json, const char *key)
{
    const char *text = answer_text(json, key, "");
    struct position out = {0};

    if (position_parse(text, strlen(text), &out) != NHUB_OK) {
        out = (struct position){0};
    }
    return out;
}
