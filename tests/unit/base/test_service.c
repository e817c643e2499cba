/* service: a socket of ours plays the supervisor, and signals come through a descriptor. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/service.h"

static int supervisor = -1;

/* In the abstract namespace, so that nothing is left behind. */
static int set_up(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char name[64];
    const int len = snprintf(name, sizeof name, "@nhub-test-service-%d", (int)getpid());

    (void)state;
    memcpy(addr.sun_path, name, (size_t)len);
    addr.sun_path[0] = '\0';
    supervisor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (supervisor < 0 ||
        bind(supervisor, (const struct sockaddr *)&addr,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)) != 0) {
        return -1;
    }
    return setenv("NOTIFY_SOCKET", name, 1);
}

static int tear_down(void **state)
{
    (void)state;
    close(supervisor);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return unsetenv("NOTIFY_SOCKET");
}

static const char *received(void)
{
    static char text[512];
    const ssize_t n = recv(supervisor, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void each_call_sends_its_word(void **state)
{
    (void)state;
    service_reloading();
    assert_memory_equal(received(), "RELOADING=1\nMONOTONIC_USEC=", 27);
    service_reloaded();
    assert_string_equal(received(), "READY=1");
    service_watchdog();
    assert_string_equal(received(), "WATCHDOG=1");
    service_status("serving\n17 clients");
    assert_string_equal(received(), "STATUS=serving 17 clients");
    service_stopping();
    assert_string_equal(received(), "STOPPING=1");
}

static void ready_goes_to_stdout_and_to_the_supervisor(void **state)
{
    int fds[2];
    char line[64] = "";
    const int saved = dup(STDOUT_FILENO);

    (void)state;
    assert_int_equal(pipe(fds), 0);
    (void)fflush(stdout);
    assert_true(dup2(fds[1], STDOUT_FILENO) >= 0);
    service_ready("ready hub collector=1");
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    assert_int_equal(read(fds[0], line, sizeof line - 1), 22);
    assert_string_equal(line, "ready hub collector=1\n");
    assert_string_equal(received(), "READY=1");
    close(fds[0]);
    close(fds[1]);
    close(saved);
}

static void without_a_supervisor_nothing_happens(void **state)
{
    char long_path[200];

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    service_watchdog();
    setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    service_watchdog();
    setenv("NOTIFY_SOCKET", "relative", 1);
    service_watchdog();
    memset(long_path, 'x', sizeof long_path);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    setenv("NOTIFY_SOCKET", long_path, 1);
    service_watchdog();
    assert_string_equal(received(), "");
}

static void the_watchdog_is_fed_twice_in_its_time(void **state)
{
    char pid[32];

    (void)state;
    assert_int_equal(service_watchdog_interval_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(service_watchdog_interval_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
    assert_int_equal(service_watchdog_interval_ms(), 0);
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(service_watchdog_interval_ms(), 15000);
    setenv("WATCHDOG_USEC", "1", 1);
    assert_int_equal(service_watchdog_interval_ms(), 1);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(service_watchdog_interval_ms(), 0);
    setenv("WATCHDOG_USEC", "-5", 1);
    assert_int_equal(service_watchdog_interval_ms(), 0);
}

static void signals_come_through_the_descriptor(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    int fd = -1;
    struct pollfd p;

    (void)state;
    assert_int_equal(service_signals(&fd), NHUB_OK);
    assert_int_equal(service_next_signal(fd), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(raise(numbers[i]), 0);
        p = (struct pollfd){.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        assert_int_equal(service_next_signal(fd), numbers[i]);
        assert_int_equal(service_next_signal(fd), 0);
    }
    assert_int_equal(raise(SIGPIPE), 0); /* is ignored */
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_call_sends_its_word, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ready_goes_to_stdout_and_to_the_supervisor, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_supervisor_nothing_happens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_watchdog_is_fed_twice_in_its_time, set_up, tear_down),
        cmocka_unit_test(signals_come_through_the_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
