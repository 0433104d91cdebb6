#!/bin/bash -eu
# Builds the deterministic fuzz targets for ClusterFuzzLite, which sets SRC, OUT, WORK, CC, CXX, CFLAGS, CXXFLAGS,
# SANITIZER and LIB_FUZZING_ENGINE. What goes to OUT runs elsewhere: nothing but the C and C++ libraries is linked
# dynamically.
#
#   OUT/NAME_fuzzer                    the target
#   OUT/NAME_fuzzer_seed_corpus.zip    fuzz/corpus/NAME and fuzz/regressions/NAME
#   OUT/NAME_fuzzer.dict, .options     the words of the corpora; limits as in ci/fuzz
#   OUT/workers/                       programs that targets start
#
# ci/test-clusterfuzzlite tests it without Docker.

# Those that answer an input always alike: fuzz/NAME_fuzzer.cc.
targets=(bundle_reader scenario_reader)
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
  export CPLUS_INCLUDE_PATH=$libraries/fmt/include:$libraries/json/single_include
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
  -DIPCTORTURE_FUZZ_ENGINE="$LIB_FUZZING_ENGINE" -DTOMLPLUSPLUS_INCLUDE="$source_dir" "${options[@]}"
cmake --build "$build" --target "${targets[@]/#/fuzz_}" "${workers[@]}"

# Every "word" of a corpus of JSON, once, and what holds JSON together.
dictionary() {
  printf '"%s"\n' '{' '}' '[' ']' ':' ',' 'true' 'false' 'null' '\"' '18446744073709551615' 'ICTPACK1' 'ICTHIST1'
  { find "$source_dir/fuzz/corpus" -name '*.json' -exec grep -ohE '"[A-Za-z0-9_]+"' {} + || true; } |
    LC_ALL=C sort -u | sed 's/^"\(.*\)"$/"\\"\1\\""/'
}

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
  # A target without a corpus makes its first input itself; an archive must hold something.
  [[ -n $(ls "$seeds") ]] || printf '0' >"$seeds/any"
  rm -f "$OUT/${name}_seed_corpus.zip"
  (cd "$seeds" && python3 -m zipfile -c "$OUT/${name}_seed_corpus.zip" ./*)
  dictionary >"$OUT/$name.dict"
  printf '[libfuzzer]\nmax_len = 65536\nlen_control = 0\ntimeout = 10\nrss_limit_mb = 2048\n' >"$OUT/$name.options"
done
