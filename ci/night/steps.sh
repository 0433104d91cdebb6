# What each step of ci/nightly runs. Sourced.

# name:weight; the budget is shared by weight among those that can run. What ends early leaves its time to the ones
# after it, so those that fill any time come last.
weights=(run:14 score:10 score-asan:5 loaded:8 run-tsan:9 loaded-tsan:3 run-asan:10 loaded-asan:3 soak:6 fuzz:14 explore:18)
checks=(tidy gcc asan tsan histories clusterfuzzlite)

targets() { ci/fuzz --no-build --list | cut -d ' ' -f 2 | sort -u; }
preset_of() {
  case $1 in
    fuzz-plain*) echo fuzz-plain ;;
    fuzz*) echo fuzz ;;
    *-asan) echo asan ;;
    *-tsan) echo tsan ;;
    *) echo dev ;;
  esac
}
# A fuzz step is fuzz-UNIT, or fuzz-plain-UNIT; a unit is TARGET, or TARGET-TRANSPORT.
unit_of() { local unit=${1#fuzz-}; echo "${unit#plain-}"; }
transport_of() { local unit; unit=$(unit_of "$1"); [[ $unit != *-* ]] || echo "${unit#*-}"; }
fuzz_program() { local unit; unit=$(unit_of "$1"); echo "build/$(preset_of "$1")/fuzz_${unit%%-*}"; }
# fuzz_command NAME WORD...: ci/fuzz for that step alone.
fuzz_command() {
  local unit transport words=()
  unit=$(unit_of "$1") transport=$(transport_of "$1")
  [[ -z $transport ]] || words=(--transport "$transport")
  command=(ci/fuzz --no-build --preset "$(preset_of "$1")" "${words[@]}" "${@:2}" "${unit%%-*}")
}

# fuzz_steps NAME MOST: the steps that a step's name of the plan stands for, at the most MOST of them: others each night,
# so that all come to their turn. `fuzz` is all; a target without a transport, those over every transport that fits.
fuzz_steps() {
  local all=() preset target transport name i first
  while read -r preset target transport; do
    name=$preset-$target
    [[ $transport == - ]] || name+=-$transport
    [[ $transport == - || ${#chosen[@]} == 0 || " ${chosen[*]} " == *" $transport "* ]] || continue
    [[ $1 == fuzz || $(unit_of "$name") == "$(unit_of "$1")" || $(unit_of "$name") == "$(unit_of "$1")"-* ]] || continue
    [[ $1 != fuzz-plain-* || $preset == fuzz-plain ]] && all+=("$name")
  done < <(ci/fuzz --no-build --list --transport all 2>/dev/null)
  ((${#all[@]})) || return
  i=$(($2 < 1 ? 1 : $2 > ${#all[@]} ? ${#all[@]} : $2))
  first=$(($(date +%s) / 86400 * i))
  for (( ; i > 0; i--, first++)); do echo "${all[first % ${#all[@]}]}"; done
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
      target=$(unit_of "$1")
      program=$(fuzz_program "$1")
      [[ $1 == fuzz-plain-* ]] || sanitizer=asan
      ;;
    more) engine=run ;;
    tidy | gcc | histories | clusterfuzzlite) engine=checks ;;
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
    soak)
      mapfile -t arguments < <(selection)
      command=("$program" run "${arguments[@]}" --soak --json --quiet --out "$night/$1/bundles")
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
      fuzz_command "$1" --seconds $((share_ms > 10000 ? share_ms * 9 / 10000 : 5))
      ;;
    checks)
      whom=group
      command=(bash -c 'source ci/night/checks.sh && "check_$1"' check "$1")
      ;;
  esac
}

# ----- the corpora, kept in build/fuzz*/corpus and made small

corpus_of() { echo "${program%/*}/corpus/$target"; }
# What a merge that was broken off left; the old corpus stays then.
restore_corpus() {
  local corpus
  corpus=$(corpus_of)
  [[ ! -d $corpus && -d $corpus.old ]] && mv "$corpus.old" "$corpus"
  rm -rf "$corpus.small" "$corpus.old"
}
minimise_corpus() {
  local command
  [[ -d $(corpus_of) ]] || return
  fuzz_command "$name" --merge
  watched group /dev/null "$night/$name/minimise.txt" timeout --foreground -k 5 $((share_ms / 5000 + 20)) "${command[@]}"
  restore_corpus
  corpus_files=$(ls -A "$(corpus_of)" | wc -l)
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
