# packages: the Debian packages that building, running and testing need, and the one function that installs what is
# missing. Sourced by deploy/up and tests/run; deploy/docker/Dockerfile names the same packages (a test compares them).
#
# Written for Debian 12. On another system, install what these lists name and pass --no-install.
# shellcheck shell=bash disable=SC2034

# What compiles the daemons, the library and the command.
packages_build=(
    gcc libc6-dev cmake ninja-build pkg-config
    libzmq3-dev libjansson-dev libyaml-dev
    libev-dev liblmdb-dev libncurses-dev libcurl4-openssl-dev uthash-dev zlib1g-dev
)

# What makes the dashboard (web/). A machine that has node and npm from elsewhere keeps those: they cannot be installed
# beside Debian's.
packages_web=()
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    packages_web=(nodejs npm)
fi

# What the finished programs load.
packages_run=(
    libzmq5 libjansson4 libyaml-0-2 libev4 liblmdb0
    libncursesw6 libcurl4 zlib1g
)

# What the README's tour is made of, besides our own command.
packages_tour=(curl python3 python3-zmq)

# What tests/run needs besides: unit tests, sanitizers, fuzzing, format, the clients of every door, a browser.
packages_test=(
    libcmocka-dev make
    clang clang-format libclang-rt-14-dev llvm valgrind shellcheck
    python3 python3-zmq python3-pytest python3-websocket python3-yaml python3-jsonschema
    chromium chromium-driver python3-selenium
    curl procps iproute2 systemd tmux wrk
)

# missing_packages LIST… prints the packages of these lists (build, web, run, tour, test) that are not installed.
missing_packages() {
    local list
    local -a wanted=()
    for list in "$@"; do
        local -n names="packages_$list"
        wanted+=("${names[@]}")
    done
    # dpkg-query prints a line for each package that it knows; what it does not know is missing as well.
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# install_packages LIST… installs what is missing of these lists; says so, and returns 1 when it cannot.
install_packages() {
    local -a missing=() as_root=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "error: this is no Debian (no apt-get). Install what deploy/packages.sh lists, and pass --no-install." >&2
        return 1
    fi
    mapfile -t missing < <(missing_packages "$@")
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "error: these packages are missing, and only root may install them (there is no sudo either):" >&2
            echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    if ! "${as_root[@]}" apt-get -qq -o Acquire::Retries=3 update ||
        ! "${as_root[@]}" apt-get -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
            "${missing[@]}" </dev/null >/dev/null; then
        echo "error: apt-get could not install: ${missing[*]}" >&2
        return 1
    fi
}
