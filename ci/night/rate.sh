# How often a replay shows each failure again, and the same failure made small. Sourced.

# In $rating_max_ms at the most; what was rated before an interruption is not rated again.
rate_failures() {
  local key kind step path begun unrated
  begun=$(now_ms)
  mkdir -p "$night/rates" "$night/shrunk" || return
  unrated=$("$reporter" report "$night" --unrated) || return
  while IFS=$'\t' read -r key kind step path; do
    [[ $key =~ ^[0-9a-f]{16}$ && -n $path && -z $ended_by ]] || continue
    if (($(now_ms) - begun > rating_max_ms)); then
      note "not every failure was replayed: there was no time left for it"
      break
    fi
    echo "=== replay $path"
    if [[ $kind == input ]]; then rate_input; else rate_bundle; fi
  done <<<"$unrated"
  [[ -z ${unshrunk:-} ]] || note "failures of run were not made small: this version has no verb shrink"
  rating_ms=$((rating_ms + $(now_ms) - begun))
}

rate_bundle() {
  local with
  with=$(program_of "${step%%.*}")
  watched program "$night/rates/$key.tmp" /dev/null timeout --foreground -k 5 60 "$with" replay "$path" --attempts 10 --json --quiet
  [[ -s $night/rates/$key.tmp ]] && mv "$night/rates/$key.tmp" "$night/rates/$key.json"
  rm -f "$night/rates/$key.tmp"
  [[ -n $shrinks ]] || { unshrunk=1; return; }
  watched program /dev/null "$night/shrunk/$key.txt" timeout --foreground -k 5 90 "$with" shrink "$path" --out "$night/shrunk/$key"
}

# Inputs of fuzz targets: libFuzzer itself makes them small.
rate_input() {
  local with i hits=0
  with=$(fuzz_program "${step#fuzz-}")
  for i in 1 2 3; do
    watched group /dev/null /dev/null timeout --foreground -k 5 30 "$with" -timeout=10 "$path"
    ((code)) && ((hits++))
  done
  [[ -z $ended_by ]] || return
  echo "{\"schema\":\"ipctorture-replay/1\",\"attempts\":3,\"reproduced\":$hits}" | write_file "$night/rates/$key.json"
  watched group /dev/null "$night/shrunk/$key.txt" timeout --foreground -k 5 40 "$with" -minimize_crash=1 -max_total_time=20 \
    -exact_artifact_path="$night/shrunk/$key" "$path"
}
