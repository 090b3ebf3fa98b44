# What the stages share; each of them begins by sourcing it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TERM_COLOR=never
# Artifacts of earlier builds are of no use to a run from nothing.
export CARGO_INCREMENTAL=0
# Burn's GPU backends take a backtrace at each call, if backtraces are wanted of errors. Those of panics remain.
export RUST_LIB_BACKTRACE=0

# Where stages leave what `.ci/run` counts at its end. A stage that runs alone has a folder of its own.
beside=
made=
if [ -z "${EVENKEEL_CI:-}" ]; then
    made=$(mktemp -d)
    EVENKEEL_CI=$made
fi
export EVENKEEL_CI
leave() {
    if [ -n "$beside" ]; then kill "$beside" 2> /dev/null || true; fi
    if [ -n "$made" ]; then rm -rf "$made"; fi
}
trap leave EXIT
# A software Vulkan device needs somewhere for its sockets, and says so loudly otherwise.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$EVENKEEL_CI}"

# All features that are not devices.
every=faults,serde,record,tensorboard,progress,tracing

# Where other devices are tested Burn has to be built once more, and optimizing its CPU backend and what chooses
# among backends takes most of that: more than the tests there save by it.
quick=()
for crate in burn-flex burn-dispatch; do
    quick+=(--config "profile.dev.package.$crate.opt-level=0")
done

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# `tested NAME ARGS`: runs `cargo test ARGS` and keeps what it printed, and which devices it was on.
tested() {
    local name=$1
    shift
    EVENKEEL_TESTS="$EVENKEEL_CI/$name.devices" cargo test "$@" 2>&1 | tee -a "$EVENKEEL_CI/$name.tests"
}

# The number of tests that have passed under a name.
passed() { awk '/^test result: ok/ { n += $4 } END { print n + 0 }' "$EVENKEEL_CI/$1.tests"; }

# `side_by_side NAME ARGS -- TESTS`: the same in eight programs, two at a time, each with every eighth one of TESTS.
# Tests on a GPU wait for the one thread of their program that feeds it, and wait by turning in a circle: two programs
# with a test at a time are faster by half than one with two.
side_by_side() {
    local name=$1 parts=8 args=() tests part at
    shift
    while [ "$1" != -- ]; do args+=("$1"); shift; done
    shift
    cargo test "${args[@]}" --no-run
    for ((part = 1; part <= parts && part <= $#; part++)); do
        tests=()
        for ((at = part; at <= $#; at += parts)); do tests+=("${!at}"); done
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
        {
            EVENKEEL_TESTS="$EVENKEEL_CI/$name.devices" cargo test "${args[@]}" -- --test-threads=1 "${exact[@]}" \
                "${tests[@]}" > "$EVENKEEL_CI/$name.part$part" 2>&1 && touch "$EVENKEEL_CI/$name.part$part.passed"
        } &
    done
    wait
    cat "$EVENKEEL_CI/$name".part? | tee -a "$EVENKEEL_CI/$name.tests"
    for ((part = 1; part <= parts && part <= $#; part++)); do
        [ -e "$EVENKEEL_CI/$name.part$part.passed" ] || return 1
    done
}

# `beside COMMAND`: runs one command while the script goes on, and keeps what it prints until `met`, which waits for it
# and fails if it has failed. For what keeps one core busy, so that the other has something to do.
beside() {
    "$@" > "$EVENKEEL_CI/beside.$$" 2>&1 &
    beside=$!
}
met() {
    local rc=0
    wait "$beside" || rc=$?
    beside=
    cat "$EVENKEEL_CI/beside.$$"
    return "$rc"
}

# The modules of the integration tests whose source matches a pattern, as filters of their names.
modules_with() {
    grep -rlE "$1" tests/integration --include=*.rs |
        sed -nE 's#^tests/integration/([a-z_0-9]+)(\.rs|/.*)$#\1::#p' | grep -vE '^(main|common)::$' | sort -u
}

# Software Vulkan, for wgpu without a GPU.
vulkan() {
    dpkg -s mesa-vulkan-drivers libvulkan1 > /dev/null 2>&1 && return
    as_root apt-get -qq update
    as_root apt-get -qq install -y mesa-vulkan-drivers libvulkan1 > "$EVENKEEL_CI/apt" 2>&1 ||
        { cat "$EVENKEEL_CI/apt"; exit 1; }
}
