#!/bin/bash -eu
# Builds the deterministic fuzz targets for ClusterFuzzLite, which sets SRC, OUT, WORK, CC, CXX, CFLAGS, CXXFLAGS,
# SANITIZER and LIB_FUZZING_ENGINE. What goes to OUT runs elsewhere: nothing but the C and C++ libraries is linked
# dynamically.
#
#   OUT/NAME_fuzzer                    the target
#   OUT/NAME_fuzzer_seed_corpus.zip    fuzz/corpus/NAME, fuzz/regressions/NAME, and what fuzz/make_seeds.cc writes
#   OUT/NAME_fuzzer.dict, .options     the words of the seeds; limits as in ci/fuzz
#   OUT/workers/                       programs that targets start
#
# ci/test-clusterfuzzlite tests it without Docker.

# Those that answer an input always alike: fuzz/NAME_fuzzer.cc. A target over transports needs what these need
# (liburing, Boost) in the Dockerfile, and as static libraries.
targets=(bundle_reader failure_reader history_reader known_reader lane_reader night_reader results_reader
         scenario_reader schedule_reader start_line_reader)
# Targets of the build that these start as programs of their own.
workers=()

cd "$(dirname "$(readlink -f "$0")")"
[[ -f CMakeLists.txt ]] || cd .. # in this tree it stands in .clusterfuzzlite
[[ -f CMakeLists.txt ]] || cd "$SRC/ipctorture"
source_dir=$PWD
build=$WORK/ipctorture
libraries=$SRC/libraries # of the Dockerfile; where there are none, the system's

# Alone in a folder that the linker asks first, or it takes the shared one.
static=$WORK/static
mkdir -p "$static"
options=()
xxhash=$libraries/xxHash
if [[ -d $libraries ]]; then
  make -C "$xxhash" libxxhash.a CC="$CC" CFLAGS="${CFLAGS:-}" >/dev/null
  cp "$xxhash/libxxhash.a" "$static/"
  options+=("-DXXHASH_INCLUDE=$xxhash")
  export CPLUS_INCLUDE_PATH=$libraries/fmt/include:$libraries/json/single_include:$libraries/tomlplusplus/include
  options+=("-DTOMLPLUSPLUS_INCLUDE=$libraries/tomlplusplus/include")
else
  cp "$("$CC" -print-file-name=libxxhash.a)" "$static/"
fi
options+=("-DXXHASH_LIBRARY=$static/libxxhash.a" "-DCMAKE_EXE_LINKER_FLAGS=-L$static")
# cmake/ stands for the libraries: as headers alone, and for those that no target needs, nothing.
for package in fmt nlohmann_json CLI11 Boost; do
  options+=("-D${package}_DIR=$source_dir/.clusterfuzzlite/cmake")
done
cmake -S "$source_dir" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE= -DCMAKE_FIND_PACKAGE_PREFER_CONFIG=ON \
  -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="$CXXFLAGS" -DIPCTORTURE_TESTS=OFF -DIPCTORTURE_FUZZ=ON \
  -DIPCTORTURE_FUZZ_ENGINE="$LIB_FUZZING_ENGINE" "${options[@]}"
cmake --build "$build" --target "${targets[@]/#/fuzz_}" "${workers[@]}"
# It knows every transport; where these do not compile, the targets begin without its seeds.
cmake --build "$build" --target make_seeds || ln -sf "$(command -v false)" "$build/make_seeds"

mkdir -p "$OUT/workers"
for worker in "${workers[@]}"; do cp "$build/$worker" "$OUT/workers/"; done
for target in "${targets[@]}"; do
  name=${target}_fuzzer
  cp "$build/fuzz_$target" "$OUT/$name"
  seeds=$WORK/seeds-$target
  rm -rf "$seeds"
  mkdir -p "$seeds"
  for folder in corpus regressions; do
    [[ -d fuzz/$folder/$target ]] && cp "fuzz/$folder/$target"/* "$seeds/"
  done
  # A target without seeds makes its first input itself; an archive must hold something.
  "$build/make_seeds" "$target" "$seeds" 64 || true
  [[ -n $(ls "$seeds") ]] || printf '0' >"$seeds/any"
  rm -f "$OUT/${name}_seed_corpus.zip"
  (cd "$seeds" && python3 -m zipfile -c "$OUT/${name}_seed_corpus.zip" ./*)
  "$build/make_seeds" --words "$target" >"$OUT/$name.dict" || printf '"ICTF"\n' >"$OUT/$name.dict"
  printf '[libfuzzer]\nmax_len = 65536\nlen_control = 0\ntimeout = 10\nrss_limit_mb = 2048\n' >"$OUT/$name.options"
done
