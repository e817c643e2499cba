/*
 * consume_exec: one command for one event: sh -c CMD with the event's line on its stdin.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "cli/consume.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A command at work. */
struct child {
    pid_t pid;
    int pid_fd;   /* readable when it has ended */
    int stdin_fd; /* -1 when all is written */
    struct buf line;
    size_t written;
};

static void set_environment(const struct consumed *delivery)
{
    char attempt[24];

    (void)snprintf(attempt, sizeof attempt, "%llu", (unsigned long long)delivery->attempt);
    (void)setenv("NOTIFYHUB_EVENT_TYPE", nhub_event_type(delivery->event), 1);
    (void)setenv("NOTIFYHUB_DELIVERY", delivery->id, 1);
    (void)setenv("NOTIFYHUB_ATTEMPT", attempt, 1);
}

/* In the child: never returns. */
static void become(const struct consume_job *job, const struct consumed *delivery, int stdin_fd)
{
    const struct sigaction action = {.sa_handler = SIG_DFL};

    (void)sigaction(SIGPIPE, &action, NULL); /* ours is ignored, which would be inherited */
    if (dup2(stdin_fd, STDIN_FILENO) < 0) {
        _exit(127);
    }
    set_environment(delivery);
    (void)execl("/bin/sh", "sh", "-c", job->command, (char *)NULL);
    _exit(127);
}

static bool start(const struct consume_job *job, const struct consumed *delivery, struct child *out)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return false;
    }
    (void)fflush(stdout);
    out->pid = fork();
    if (out->pid == 0) {
        become(job, delivery, fds[0]);
    }
    close(fds[0]);
    if (out->pid < 0) {
        close(fds[1]);
        return false;
    }
    (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
    out->stdin_fd = fds[1];
    out->pid_fd = pidfd_open(out->pid, 0);
    if (out->pid_fd < 0) {
        const int reason = errno;

        (void)kill(out->pid, SIGKILL);
        (void)waitpid(out->pid, NULL, 0);
        close(out->stdin_fd);
        errno = reason;
        return false;
    }
    return true;
}

static void close_stdin(struct child *child)
{
    if (child->stdin_fd >= 0) {
        close(child->stdin_fd);
        child->stdin_fd = -1;
    }
}

/* Writes what the pipe takes. A command that does not read its stdin is fine. */
static void feed(struct child *child)
{
    const size_t left = child->line.len - child->written;
    const ssize_t count = write(child->stdin_fd, child->line.data + child->written, left);

    if (count > 0) {
        child->written += (size_t)count;
    }
    if (child->written == child->line.len || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        close_stdin(child);
    }
}

/* Waits until it has ended; the delivery is kept meanwhile. */
static void attend(struct consume_source *source, const struct consumed *delivery,
                   struct child *child)
{
    const int step_ms = delivery->visibility_ms > 0 ? delivery->visibility_ms / 3 : 10000;
    const char *id = delivery->id;
    int64_t extend_ms = clock_mono_ms() + step_ms;

    for (;;) {
        struct pollfd fds[] = {{.fd = child->pid_fd, .events = POLLIN},
                               {.fd = child->stdin_fd, .events = POLLOUT}};
        const int64_t left_ms = extend_ms - clock_mono_ms();

        if (poll(fds, child->stdin_fd >= 0 ? 2 : 1, left_ms > 0 ? (int)left_ms : 0) < 0 &&
            errno != EINTR) {
            return;
        }
        if (fds[0].revents) {
            return;
        }
        if (child->stdin_fd >= 0 && fds[1].revents) {
            feed(child);
        }
        if (clock_mono_ms() >= extend_ms) {
            (void)source->ops->settle(source, CONSUME_EXTEND, &id, 1, 0);
            extend_ms = clock_mono_ms() + step_ms;
        }
    }
}

/* The end of the command; false when it did not end well. */
static bool finish(const struct consume_job *job, const struct consumed *delivery,
                   struct child *child)
{
    int status = 0;

    close_stdin(child);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(child->pid_fd);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    if (WIFSIGNALED(status)) {
        cli_note(job->cli, "%s: the command was ended by signal %d; the event is given back",
                 delivery->id, WTERMSIG(status));
    } else {
        cli_note(job->cli, "%s: the command exited with %d; the event is given back", delivery->id,
                 WEXITSTATUS(status));
    }
    return false;
}

bool consume_exec(struct consume_job *job, struct consume_source *source,
                  const struct consumed *delivery)
{
    const nhub_bytes json = nhub_event_json(delivery->event);
    struct child child = {.stdin_fd = -1, .pid_fd = -1};
    bool is_good = false;

    buf_init(&child.line);
    buf_add(&child.line, json.p, json.len);
    buf_add_char(&child.line, '\n');
    if (child.line.failed || !start(job, delivery, &child)) {
        cli_error(job->cli, "cannot run the command: %s", strerror(errno));
    } else {
        attend(source, delivery, &child);
        is_good = finish(job, delivery, &child);
    }
    buf_fini(&child.line);
    return is_good;
}
