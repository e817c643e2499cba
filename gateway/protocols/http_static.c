/*
 * http_static: reads a folder into a table path -> page.
 */
#include "gateway/protocols/http_static.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "gateway/gateway.h"
#include "gateway/protocols/gzip.h"
#include "gateway/protocols/http_media.h"
#include "gateway/protocols/http_server.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX      2048
#define FILE_BYTES_MAX (8u * 1024u * 1024u)
#define ALL_BYTES_MAX  (64u * 1024u * 1024u)
#define DEPTH_MAX      8

/* Scripts and styles only from here, nothing inline, no frames around us; 'self' of connect-src
 * covers the WebSocket of the same host and port (CSP 3). */
#define CONTENT_POLICY                                                                             \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "                  \
    "form-action 'self'; frame-ancestors 'none'"
/* Names under /assets/ carry a hash of their content. */
#define CACHE_FOR_EVER "public, max-age=31536000, immutable"
#define CACHE_CHECK    "no-cache"

/* Of "/page.css" and "/page.css.gz" the second is the packed form of the first. */
#define PACKED_SUFFIX ".gz"

struct file {
    struct http_page page; /* first: a page is its file */
    char *bytes;           /* owned; NULL: the page's are somebody else's */
    char etag[36];
    const char *headers[20]; /* pairs and the end */
    struct file *packed;     /* the same content, gzip; owned. NULL: there is none */
};

struct http_static {
    char root[PATH_MAX]; /* resolved; "" = none */
    struct map *files;   /* "/path" -> struct file */
    size_t bytes;
};

static const char *type_of(const char *name)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".webp", "image/webp"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
        {".webmanifest", "application/manifest+json"},
        {".wasm", "application/wasm"},
    };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(dot, types[i].suffix) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static const char *caching_of(const char *path)
{
    return strncmp(path, "/assets/", 8) == 0 ? CACHE_FOR_EVER : CACHE_CHECK;
}

static void add_header(struct file *file, const char *name, const char *value)
{
    const char **slot = file->headers;

    while (*slot) {
        slot += 2;
    }
    slot[0] = name;
    slot[1] = value;
}

static void set_page(struct file *file, const char *path, const char *bytes, size_t len)
{
    const struct hash_key no_key = {0, 0}; /* a tag, not a table */
    const struct hash128 hash = hash_sip128(&no_key, bytes, len);

    snprintf(file->etag, sizeof file->etag, "\"%016llx%016llx\"", (unsigned long long)hash.hi,
             (unsigned long long)hash.lo);
    file->page.bytes = bytes;
    file->page.len = len;
    file->page.content_type = type_of(path);
    file->page.headers = file->headers;
    add_header(file, "ETag", file->etag);
    add_header(file, "Cache-Control", caching_of(path));
    add_header(file, "X-Content-Type-Options", "nosniff");
    add_header(file, "Content-Security-Policy", CONTENT_POLICY);
    add_header(file, "X-Frame-Options", "DENY"); /* for browsers that do not know frame-ancestors */
    add_header(file, "Referrer-Policy", "no-referrer");
    add_header(file, "Permissions-Policy", "camera=(), geolocation=(), microphone=()");
}

static void free_file(struct file **file_p)
{
    if (*file_p) {
        free_file(&(*file_p)->packed);
        free((*file_p)->bytes);
        free(*file_p);
        *file_p = NULL;
    }
}

static bool read_whole(int fd, char *bytes, size_t len)
{
    size_t have = 0;

    while (have < len) {
        const ssize_t n = read(fd, bytes + have, len - have);

        if (n <= 0) {
            return false;
        }
        have += (size_t)n;
    }
    return true;
}

/* Reads one file. A link that leads out of the root is not followed: its real path tells. */
static struct file *read_file(struct http_static *s, const char *full, const char *path)
{
    char real[PATH_MAX];
    const size_t root_len = strlen(s->root);
    struct stat st;
    struct file *file = NULL;
    int fd = -1;

    if (!realpath(full, real) || strncmp(real, s->root, root_len) != 0 || real[root_len] != '/') {
        return NULL;
    }
    fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX ||
        s->bytes + (size_t)st.st_size > ALL_BYTES_MAX) {
        goto done;
    }
    file = calloc(1, sizeof *file);
    if (file) {
        file->bytes = malloc((size_t)st.st_size + 1);
    }
    if (!file || !file->bytes || !read_whole(fd, file->bytes, (size_t)st.st_size)) {
        free_file(&file);
        goto done;
    }
    set_page(file, path, file->bytes, (size_t)st.st_size);

done:
    if (fd >= 0) {
        close(fd);
    }
    return file;
}

static void add_file(struct http_static *s, const char *full, const char *path)
{
    struct file *file = map_count(s->files) < FILES_MAX ? read_file(s, full, path) : NULL;
    void *old = NULL;

    if (!file) {
        log_warn("web_file_left_out", log_str("path", full));
        return;
    }
    if (map_put(s->files, path, strlen(path), file, &old) != NHUB_OK) {
        free_file(&file);
        return;
    }
    s->bytes += file->page.len;
}

/* path: the folder below the root as an address, "" or "/assets". Names with a leading dot are
 * nobody's business. */
static void add_folder(struct http_static *s, const char *path, int depth)
{
    char full[PATH_MAX];
    DIR *folder = NULL;

    if (snprintf(full, sizeof full, "%s%s", s->root, path) >= (int)sizeof full ||
        !(folder = opendir(full))) {
        return;
    }
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char below[PATH_MAX];
        char name[PATH_MAX];
        struct stat st;

        if (entry->d_name[0] == '.' ||
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below ||
            snprintf(name, sizeof name, "%s%s", s->root, below) >= (int)sizeof name ||
            stat(name, &st) != 0) {
            continue;
        }
        if (S_ISREG(st.st_mode)) {
            add_file(s, name, below);
        } else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            add_folder(s, below, depth + 1);
        }
    }
    closedir(folder);
}

/* Its bytes have a tag of their own (RFC 9110, section 8.8.3.3). */
static void pair(struct file *plain, struct file *packed)
{
    packed->page.content_type = plain->page.content_type;
    add_header(packed, "Content-Encoding", "gzip");
    add_header(packed, "Vary", "Accept-Encoding");
    add_header(plain, "Vary", "Accept-Encoding");
    plain->packed = packed;
}

static bool is_packed_name(const char *path, size_t len)
{
    const size_t suffix = sizeof PACKED_SUFFIX - 1;

    return len > suffix && memcmp(path + len - suffix, PACKED_SUFFIX, suffix) == 0;
}

/* Moves the packed form from the table to the file that it is a form of. */
static void pair_with(struct http_static *s, struct file *plain, const char *path, size_t len)
{
    char name[PATH_MAX];
    struct file *packed = NULL;

    if (snprintf(name, sizeof name, "%.*s" PACKED_SUFFIX, (int)len, path) < (int)sizeof name) {
        packed = map_remove(s->files, name, strlen(name));
    }
    if (packed) {
        pair(plain, packed);
    }
}

/* One pair for each walk: the table must not change under an iterator. True while there was one. */
static bool pair_one(struct http_static *s)
{
    struct map_iter it = {0};
    const char *path = NULL;
    size_t len = 0;
    const struct file *file = NULL;

    while ((file = map_next(s->files, &it, &path, &len))) {
        struct file *plain = NULL;

        if (is_packed_name(path, len)) {
            plain = map_get(s->files, path, len - (sizeof PACKED_SUFFIX - 1));
        }
        if (plain && !plain->packed) {
            pair_with(s, plain, path, len - (sizeof PACKED_SUFFIX - 1));
            return true;
        }
    }
    return false;
}

/* ../share/notifyhub/web beside the program; false when that cannot be told. */
static bool default_root(char *out, size_t size)
{
    char program[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash = NULL;

    if (n <= 0) {
        return false;
    }
    program[n] = '\0';
    slash = strrchr(program, '/');
    if (slash) {
        *slash = '\0';
    }
    return slash && snprintf(out, size, "%s/../share/notifyhub/web", program) < (int)size;
}

nhub_err http_static_create(struct http_static **out, const char *root)
{
    struct http_static *s = calloc(1, sizeof *s);
    char wanted[PATH_MAX];

    if (!s || map_create(&s->files) != NHUB_OK) {
        free(s);
        return NHUB_ENOMEM;
    }
    if (*root ? snprintf(wanted, sizeof wanted, "%s", root) < (int)sizeof wanted
              : default_root(wanted, sizeof wanted)) {
        if (realpath(wanted, s->root)) {
            add_folder(s, "", 0);
            while (pair_one(s)) {
            }
        } else {
            s->root[0] = '\0';
        }
    }
    if (map_count(s->files) > 0) {
        log_info("web_root", log_str("path", s->root), log_uint("files", map_count(s->files)),
                 log_uint("bytes", s->bytes));
    } else if (*root) {
        log_warn("web_root_empty", log_str("path", root));
    }
    *out = s;
    return NHUB_OK;
}

void http_static_destroy(struct http_static **files_p)
{
    struct http_static *s = *files_p;
    struct map_iter it = {0};
    struct file *file = NULL;

    if (!s) {
        return;
    }
    while ((file = map_next(s->files, &it, NULL, NULL))) {
        free_file(&file);
    }
    map_destroy(&s->files);
    free(s);
    *files_p = NULL;
}

/* NULL when there is no memory for it, or no use. */
static struct file *pack(const char *path, const struct http_page *page)
{
    struct buf packed;
    struct file *file = NULL;
    size_t len = 0;

    buf_init(&packed);
    if (gzip_pack(page->bytes, page->len, GZIP_SMALL, &packed) == NHUB_OK &&
        (file = calloc(1, sizeof *file))) {
        file->bytes = buf_take(&packed, &len);
        set_page(file, path, file->bytes, len);
    }
    buf_fini(&packed);
    return file;
}

nhub_err http_static_add(struct http_static *files, const char *path, const char *bytes, size_t len)
{
    struct file *file = calloc(1, sizeof *file);
    struct file *packed = NULL;
    void *old = NULL;

    if (!file) {
        return NHUB_ENOMEM;
    }
    set_page(file, path, bytes, len);
    packed = pack(path, &file->page);
    if (packed) {
        pair(file, packed);
    }
    if (map_put(files->files, path, strlen(path), file, &old) != NHUB_OK) {
        free_file(&file);
        return NHUB_ENOMEM;
    }
    file = old;
    free_file(&file);
    return NHUB_OK;
}

static struct file *find(const struct gateway *g, const char *path)
{
    const struct http_static *s = http_server_files(g->http);
    const char *name = strcmp(path, "/") == 0 ? "/index.html" : path;

    return map_get(s->files, name, strlen(name));
}

bool http_static_has(const struct gateway *g, const char *path)
{
    return find(g, path) != NULL;
}

/* True when If-None-Match (RFC 9110, section 13.1.2) names the tag or is "*". */
static bool is_known_to_client(const struct http_request *r, const char *etag)
{
    const char *tags = http_request_header(r, "If-None-Match");

    return tags && (strcmp(tags, "*") == 0 || strstr(tags, etag));
}

/* What stands at "/" when no pages are installed. */
static struct http_page *plain_page(void)
{
    static const char text[] =
        "Notification Hub gateway\n"
        "\n"
        "The dashboard's files are not installed (gateway.web_root). The "
        "doors are open:\n"
        "\n"
        "  POST /events            publish: curl /events -d '{\"event_type\":"
        "\"hello\",\"data\":{}}'\n"
        "  GET  /events/stream     server-sent events\n"
        "  GET  /events            history as JSON\n"
        "  GET  /ws                WebSocket\n"
        "  GET  /health            liveness; /health/ready: readiness\n"
        "  GET  /stats, /metrics   figures\n"
        "  GET  /openapi.json, /asyncapi.json\n";
    static const char *const headers[] = {"Cache-Control", "no-cache", "X-Content-Type-Options",
                                          "nosniff", NULL};
    static struct http_page page = {.bytes = text,
                                    .len = sizeof text - 1,
                                    .content_type = "text/plain; charset=utf-8",
                                    .headers = headers};

    return &page;
}

void http_static_run(struct http_request *r)
{
    const char *encodings = http_request_header(r, "Accept-Encoding");
    struct file *file = find(r->gateway, r->path);
    const bool is_choice = file && file->packed;

    if (is_choice && encodings && media_takes_gzip(encodings, strlen(encodings))) {
        file = file->packed;
    }
    if (!file) {
        http_answer_page(r, 200, plain_page()); /* other paths were refused with the head */
    } else if (is_known_to_client(r, file->etag)) {
        http_answer_header(r, "ETag", file->etag);
        http_answer_header(r, "Cache-Control", caching_of(r->path));
        if (is_choice) {
            http_answer_header(r, "Vary", "Accept-Encoding");
        }
        http_answer_empty(r, 304);
    } else {
        http_answer_page(r, 200, &file->page);
    }
}
