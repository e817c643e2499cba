/*
 * ack: PROTOCOL.md, "publish".
 */
#include "client/ack.h"

#include "base/settings.h"
#include "client/answer.h"
#include "wire/request.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)NHUB_DURABILITY_SYNCED == (int)DURABILITY_SYNCED &&
                   (int)NHUB_DURABILITY_MEMORY == (int)DURABILITY_MEMORY,
               "the public header repeats the words of the settings");

void ack_fini(struct ack_box *box)
{
    json_decref(box->json);
    free(box->text);
    free(box->items);
    *box = (struct ack_box){0};
}

static void read_item(const json_t *from, nhub_item *out)
{
    *out = (nhub_item){
        .index = (size_t)answer_u64(from, "index"),
        .is_duplicate = answer_bool(from, "duplicate"),
        .seq = answer_u64(from, "seq"),
        .code = answer_text(from, "code", NULL),
        .error = answer_text(from, "error", NULL),
        .offset = answer_u64(from, "offset"),
    };
}

static void read_items(struct ack_box *box)
{
    const json_t *results = json_object_get(box->json, "results");
    const size_t count = json_array_size(results);

    if (count == 0) {
        return;
    }
    box->items = calloc(count, sizeof *box->items);
    if (!box->items) {
        box->ack.result = NHUB_ENOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        read_item(json_array_get(results, i), &box->items[i]);
        box->ack.duplicates += box->items[i].is_duplicate ? 1 : 0;
    }
    box->ack.items = box->items;
    box->ack.item_count = count;
}

static void read_numbers(struct ack_box *box)
{
    nhub_ack *ack = &box->ack;
    int durability = DURABILITY_DEFAULT;

    ack->accepted = answer_u64(box->json, "count");
    ack->first.seq = answer_u64(box->json, "first_seq");
    ack->last.seq = answer_u64(box->json, "last_seq");
    (void)snprintf(ack->first.epoch, sizeof ack->first.epoch, "%s",
                   answer_text(box->json, "epoch", ""));
    if (durability_parse(answer_text(box->json, "durability", ""), &durability) == NHUB_OK) {
        ack->durability = (nhub_durability)durability;
    }
    read_items(box);
    /* The one event of this publish is there already: its position is the answer. */
    if (ack->accepted == 0 && ack->item_count == 1 && ack->items[0].is_duplicate) {
        ack->is_duplicate = true;
        ack->first.seq = ack->items[0].seq;
        ack->last.seq = ack->items[0].seq;
    }
    memcpy(ack->last.epoch, ack->first.epoch, sizeof ack->last.epoch);
}

static nhub_err result_of(const char *code)
{
    if (strcmp(code, "durability_unavailable") == 0) {
        return NHUB_ENODURABILITY;
    }
    return strcmp(code, "durability_lost") == 0 ? NHUB_ENOTKEPT : NHUB_EREFUSED;
}

void ack_read(struct ack_box *box, const struct requester_answer *answer)
{
    nhub_ack *ack = &box->ack;

    ack_fini(box);
    ack->correlation_id = "";
    ack->code = "";
    ack->error = "";
    ack->json = "";
    ack->result = answer->err;
    if (answer->err != NHUB_OK) {
        return;
    }
    box->json = json_incref(answer->json);
    box->text = strndup(answer->text, answer->text_len);
    ack->json = box->text ? box->text : "";
    ack->correlation_id = answer_text(box->json, "correlation_id", "");
    if (answer_bool(box->json, "success")) {
        read_numbers(box);
        return;
    }
    ack->code = answer_text(box->json, "code", "refused");
    ack->result = result_of(ack->code);
    if (ack->result == NHUB_ENOTKEPT) {
        read_numbers(box);
    }
    ack->error = answer_text(box->json, "error", "the hub gave no reason");
    ack->has_index = json_is_integer(json_object_get(box->json, "index"));
    ack->index = (size_t)answer_u64(box->json, "index");
    ack->offset = answer_u64(box->json, "offset");
}
