# shellcheck shell=bash
# The words of the lab's self-tests.

passed=0
failed=0
work=$(mktemp -d)

# check TEXT COMMAND...: the command succeeds.
check() {
    local text=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $text"
        tail -5 "$work/out" | sed 's/^/    /'
    fi
}
# refused TEXT COMMAND...: the command fails.
refused() { check "$1" fails "${@:2}"; }
fails() { ! "$@"; }
# says WORD COMMAND...: its output, on either stream, contains WORD.
says() {
    local word=$1 out
    shift
    out=$("$@" 2>&1) || true
    echo "$out"
    [[ $out == *"$word"* ]]
}
# within SECONDS COMMAND...: it succeeds within that time, tried again and again.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.3
    done
}
# quick SECONDS COMMAND...: one call, which takes no longer.
quick() { timeout "$1" "${@:2}"; }

# The last line of a self-test, and its exit code.
check_summary() {
    echo "$passed passed, $failed failed"
    [[ $failed -eq 0 ]]
}
