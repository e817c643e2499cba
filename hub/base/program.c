/*
 * program: start and end of a daemon.
 */
#include "base/program.h"

#include "base/log.h"
#include "base/service.h"

#include <unistd.h>

int program_main(const struct program *program, int argc, char **argv)
{
    struct settings settings = {0};
    struct options options;
    int signal_fd = -1;
    int status = 0;

    if (settings_start(&settings, program->name, program->about, program->sections, argc, argv,
                       &status) != NHUB_OK) {
        return status;
    }
    settings_options(&settings, &options);
    log_open(program->log_name, STDERR_FILENO, (enum log_level)settings.log.level,
             (enum log_format)settings.log.format);
    if (service_signals(&signal_fd) == NHUB_OK) {
        status = program->run(&settings, signal_fd);
        (void)close(signal_fd);
    } else {
        log_error("start_failed", log_str("error", "signals cannot be caught"));
        status = 1;
    }
    options_free(&options);
    return status;
}
