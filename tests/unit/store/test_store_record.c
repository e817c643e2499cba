/* store_record: values come back as they were, and no changed byte goes unnoticed. */
#include "store/store_record.h"

#include "store_fixture.h"

#define KEY UINT64_C(0x0003000000000007)

static void a_record_comes_back_as_it_was(void **state)
{
    unsigned char bytes[100];
    struct store_record found;
    const size_t size = store_record_size(4, 6);

    (void)state;
    store_record_write(bytes, KEY, -5, "type", 4, "a\0line", 6);
    assert_int_equal(store_record_read(KEY, bytes, size, &found), NHUB_OK);
    assert_int_equal(found.epoch_no, 3);
    assert_int_equal(found.seq, 7);
    assert_int_equal(found.arrival_us, -5);
    assert_int_equal(found.type_len, 4);
    assert_memory_equal(found.type, "type", 4);
    assert_int_equal(found.len, 6);
    assert_memory_equal(found.line, "a\0line", 6);
}

static void no_changed_bit_of_a_record_goes_unnoticed(void **state)
{
    unsigned char bytes[100];
    struct store_record found;
    const size_t size = store_record_size(4, 6);

    (void)state;
    store_record_write(bytes, KEY, 5, "type", 4, "a line", 6);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(store_record_read(KEY, bytes, size, &found), NHUB_EPROTO);
        assert_null(found.line);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t shorter = 0; shorter < size; shorter++) {
        assert_int_equal(store_record_read(KEY, bytes, shorter, &found), NHUB_EPROTO);
    }
    assert_int_equal(store_record_read(KEY + 1, bytes, size, &found), NHUB_EPROTO);
}

static void a_seal_belongs_to_its_key_and_its_table(void **state)
{
    unsigned char bytes[STORE_SEAL_SIZE + 5];
    const void *value = NULL;
    size_t len = 0;

    (void)state;
    memcpy(bytes + STORE_SEAL_SIZE, "value", 5);
    store_seal(bytes, MARK_NOTE, "key", 3, 5);
    assert_int_equal(store_unseal(MARK_NOTE, "key", 3, bytes, sizeof bytes, &value, &len), NHUB_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(value, "value", 5);
    assert_int_equal(store_unseal(MARK_META, "key", 3, bytes, sizeof bytes, &value, &len),
                     NHUB_EPROTO);
    assert_int_equal(store_unseal(MARK_NOTE, "kez", 3, bytes, sizeof bytes, &value, &len),
                     NHUB_EPROTO);
    assert_int_equal(store_unseal(MARK_NOTE, "key", 3, bytes, 3, &value, &len), NHUB_EPROTO);
}

static void values_of_tables_come_back_and_nonsense_does_not(void **state)
{
    unsigned char bytes[64];
    const struct store_id id = {0, 77, {1, UINT64_MAX}, 3};
    const struct store_void_value range = {9, STORE_VOID_NOT_STORED, 12};
    const struct store_totals totals = {1, 2, 3};
    const struct store_meta meta = {"epochabc", 4, 100, true, 99, {0}};
    struct store_id id_out;
    struct store_void_value void_out;
    struct store_totals totals_out;
    struct store_meta meta_out;

    (void)state;
    store_id_write(bytes, &id);
    assert_int_equal(store_id_read(KEY, bytes, STORE_ID_SIZE, &id_out), NHUB_OK);
    assert_int_equal(id_out.seq, 7);
    assert_int_equal(id_out.key.hi, UINT64_MAX);
    assert_int_equal(id_out.arrival_us, 77);
    assert_int_equal(store_id_read(KEY, bytes, STORE_ID_SIZE - 1, &id_out), NHUB_EPROTO);

    store_void_write(bytes, &range);
    assert_int_equal(store_void_read(9, bytes, STORE_VOID_SIZE, &void_out), NHUB_OK);
    assert_int_equal(void_out.to, 9);
    assert_int_equal(store_void_read(10, bytes, STORE_VOID_SIZE, &void_out), NHUB_EPROTO);
    bytes[16] = 3;
    assert_int_equal(store_void_read(9, bytes, STORE_VOID_SIZE, &void_out), NHUB_EPROTO);

    store_totals_write(bytes, &totals);
    assert_int_equal(store_totals_read(bytes, STORE_TOTALS_SIZE, &totals_out), NHUB_OK);
    assert_memory_equal(&totals, &totals_out, sizeof totals);
    assert_int_equal(store_totals_read(bytes, 0, &totals_out), NHUB_EPROTO);

    store_state_write(bytes, &meta);
    assert_int_equal(store_state_read(bytes, STORE_STATE_SIZE, &meta_out), NHUB_OK);
    assert_string_equal(meta_out.epoch, "epochabc");
    assert_int_equal(meta_out.epoch_no, 4);
    assert_int_equal(meta_out.reserved_to, 100);
    assert_int_equal(meta_out.last_seq, 99);
    assert_true(meta_out.was_clean);
    bytes[0] = '1';
    assert_int_equal(store_state_read(bytes, STORE_STATE_SIZE, &meta_out), NHUB_EPROTO);
    bytes[0] = 'e';
    bytes[18] = 101; /* a number that was never reserved */
    assert_int_equal(store_state_read(bytes, STORE_STATE_SIZE, &meta_out), NHUB_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_was),
        cmocka_unit_test(no_changed_bit_of_a_record_goes_unnoticed),
        cmocka_unit_test(a_seal_belongs_to_its_key_and_its_table),
        cmocka_unit_test(values_of_tables_come_back_and_nonsense_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
