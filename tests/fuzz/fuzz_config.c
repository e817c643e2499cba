// libs: nhub_base
/*
 * fuzz_config: any bytes as a configuration file. Either they are refused with a text that names
 * the file, or what they set prints as YAML that loads again to the same values.
 */
#include "base/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void expect_same_after_round_trip(const struct options *o)
{
    struct settings again = {0};
    struct options o2;
    struct buf text = {0};
    struct buf error = {0};

    settings_options(&again, &o2);
    options_print_effective(o, &text);
    require(!text.failed);
    require(options_defaults(&o2, &error) == NHUB_OK);
    require(options_load_yaml(&o2, text.data, text.len, "printed", &error) == NHUB_OK);
    for (size_t i = 0; i < o->count; i++) {
        require(options_same_value(&o->rows[i], o->values, o2.values));
    }
    options_free(&o2);
    buf_fini(&error);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s = {0};
    struct options o;
    struct buf error = {0};
    nhub_err err = NHUB_OK;

    settings_options(&s, &o);
    require(options_defaults(&o, &error) == NHUB_OK);
    err = options_load_yaml(&o, (const char *)data, size, "fuzz.yaml", &error);
    if (err == NHUB_OK) {
        require(error.len == 0);
        expect_same_after_round_trip(&o);
    } else {
        require(err == NHUB_ECONFIG);
        require(strncmp(buf_cstr(&error), "fuzz.yaml:", 10) == 0);
        require(!memchr(error.data, '\n', error.len)); /* one line */
    }
    options_free(&o);
    buf_fini(&error);
    return 0;
}
