# The project's own checks and tests that ci/test has no time for: `ci/nightly --checks`, or by name. Sourced.
# Each answers 1 when something is wrong and 3 when it could not be built.

# The property tests try other scenarios each night; the seed is printed, and given again by RC_PARAMS=seed=N.
export RC_PARAMS=${RC_PARAMS:-seed=$(date +%Y%m%d)}
echo "RC_PARAMS=$RC_PARAMS"

check_tests() {
  cmake --preset "$1" -DIPCTORTURE_TESTS=ON && cmake --build --preset "$1" || return 3
  ctest --test-dir "build/$1" --output-on-failure -j "$(nproc)" --no-tests=error || return 1
}
check_gcc() { check_tests dev-gcc; }
check_asan() { ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 check_tests asan; }
check_tsan() { TSAN_OPTIONS=second_deadlock_stack=1 check_tests tsan; }
check_tidy() {
  cmake --preset dev -DIPCTORTURE_TESTS=ON && cmake --build --preset dev || return 3
  ci/check-tidy --all || return 1
}
# A million random histories of each sort, judged and held against brute force; and, for the oracles, 150,000 of each
# sort with one event altered (about 5 minutes), others each night.
check_histories() {
  cmake --preset dev -DIPCTORTURE_TESTS=ON && cmake --build --preset dev --target test_linear test_check || return 3
  IPCTORTURE_LINEAR_HISTORIES=1000000 build/dev/test_linear || return 1
  IPCTORTURE_SEED=$(date +%Y%m%d) IPCTORTURE_LINEAR_HISTORIES=150000 build/dev/test_check --gtest_filter='*Agreement*' ||
    return 1
}
check_clusterfuzzlite() { ci/test-clusterfuzzlite; }
