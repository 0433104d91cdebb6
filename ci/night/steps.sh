# What each step of ci/nightly runs. Sourced.

# name:weight; the budget is shared by weight among those that can run. What ends early leaves its time to the ones
# after it, so those that fill any time come last.
weights=(run:16 score:10 score-asan:5 loaded:8 run-tsan:9 loaded-tsan:3 run-asan:10 loaded-asan:3 fuzz:16 explore:20)
checks=(tidy gcc asan tsan)

targets() { (cd fuzz && ls ./*_fuzzer.cc 2>/dev/null | sed 's|^\./||; s/_fuzzer\.cc$//'); }
fuzz_program() { ls -t build/fuzz*/fuzz_"$1" 2>/dev/null | head -n 1; }
preset_of() {
  case $1 in
    fuzz*) echo fuzz ;;
    *-asan) echo asan ;;
    *-tsan) echo tsan ;;
    *) echo dev ;;
  esac
}
program_of() { echo "build/$(preset_of "$1")/ipctorture"; }

# describe NAME: sets what write_step needs.
describe() {
  engine=${1%%-*} sanitizer=plain target='' corpus_files=0
  program=$(program_of "$1")
  case $1 in
    *-asan) sanitizer=asan ;;
    *-tsan) sanitizer=tsan ;;
    fuzz-*)
      target=${1#fuzz-}
      program=$(fuzz_program "$target")
      [[ $program == build/fuzz-plain/* ]] || sanitizer=asan
      ;;
    more) engine=run ;;
    tidy | gcc) engine=checks ;;
    asan | tsan) engine=checks sanitizer=$1 ;;
  esac
}

# With names `--time` is of each: the names, and the share of one in milliseconds.
selection() {
  local count=1
  ((${#chosen[@]})) && count=$("$program" list "${chosen[@]}" --json | wc -l)
  printf '%s\n' "${chosen[@]}" --time "$((share_ms / (count > 0 ? count : 1)))ms"
}

# Another part of the planted bugs each night, as many as there is time for.
score_arguments() {
  local bugs each=6 count first i twin
  [[ $sanitizer == plain ]] || each=9
  mapfile -t bugs < <("$program" list --faulty --json | grep '"kind":"faulty"' | sed 's/.*"transport":"\([^"]*\)".*/\1/' |
    grep -v '_twin$')
  count=$((share_ms / 1000 / each))
  ((count < 1)) && count=1
  ((count > ${#bugs[@]})) && count=${#bugs[@]}
  ((count)) || return
  first=$(($(date +%s) / 86400 * count))
  for ((i = 0; i < count; i++)); do echo "${bugs[(first + i) % ${#bugs[@]}]}"; done
  twin=$((share_ms / 1000 / count - each + 2))
  ((twin < 2)) && twin=2
  printf '%s\n' --seeds 1 --time 30s --twin-time "${twin}s"
}

# command_of NAME: sets `command`, and `whom` a signal that ends it goes to: the program, or its whole group.
command_of() {
  local arguments
  whom=program
  case $engine in
    run | loaded)
      mapfile -t arguments < <(selection)
      command=("$program" run "${arguments[@]}" --control 0 --json --quiet --out "$night/$1/bundles")
      ;;
    explore)
      mapfile -t arguments < <(selection)
      command=("$program" explore "${arguments[@]}" --json --quiet --out "$night/$1/bundles" --resume "$night/explored.json")
      ;;
    score)
      mapfile -t arguments < <(score_arguments)
      command=("$program" score "${arguments[@]}" --json --quiet --out "$night/$1/bundles")
      ;;
    fuzz)
      whom=group
      command=(ci/fuzz --seconds $((share_ms > 10000 ? share_ms * 9 / 10000 : 5)) "$target")
      ;;
    checks)
      whom=group
      command=(bash -c 'source ci/night/checks.sh && "check_$1"' check "$1")
      ;;
  esac
}

# ----- the corpora, kept in build/fuzz*/corpus and made small

corpus_of() { echo "${program%/*}/corpus/$target"; }
restore_corpus() {
  local corpus
  corpus=$(corpus_of)
  [[ ! -d $corpus && -d $corpus.old ]] && mv "$corpus.old" "$corpus"
  rm -rf "$corpus.small" "$corpus.old"
}
# Only what adds coverage is kept. Whatever goes wrong, the old corpus stays.
minimise_corpus() {
  local corpus
  corpus=$(corpus_of)
  [[ -d $corpus ]] || return
  mkdir "$corpus.small" && TMPDIR=/dev/shm watched group /dev/null "$night/$name/minimise.txt" \
    timeout --foreground -k 5 $((share_ms / 5000 + 20)) "$program" -merge=1 -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    "$corpus.small" "$corpus"
  if ((code == 0)) && [[ -n $(ls -A "$corpus.small") ]]; then
    mv "$corpus" "$corpus.old" && mv "$corpus.small" "$corpus"
  fi
  restore_corpus
  corpus_files=$(ls -A "$corpus" | wc -l)
}
# The target's own log, and the inputs that it failed on since the step began.
collect_fuzz() {
  local folder=${program%/*}
  [[ $folder/$target.log -nt $night/$name/begun ]] && tail -c 4M "$folder/$target.log" >>"$night/$name/log.txt"
  corpus_files=$(ls -A "$(corpus_of)" 2>/dev/null | wc -l)
  [[ -d $folder/found/$target ]] || return
  mkdir -p "$night/$name/found"
  find "$folder/found/$target" -type f -newer "$night/$name/begun" -exec cp -t "$night/$name/found" {} +
}
