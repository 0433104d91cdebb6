# How often a replay shows each failure again, and the same failure made small. Sourced.

# In $rating_max_ms at the most: first every failure's hit rate, then each is made small. What was rated before an
# interruption is not rated again.
rate_failures() {
  local key kind step path begun pass unrated unshrunk=''
  begun=$(now_ms)
  mkdir -p "$night/rates" "$night/shrunk" || return
  unrated=$("$reporter" report "$night" --unrated) || return
  for pass in rate shrink; do
    while IFS=$'\t' read -r key kind step path; do
      [[ $key =~ ^[0-9a-f]{16}$ && -n $path && -z $ended_by ]] || continue
      if (($(now_ms) - begun > rating_max_ms)); then
        note "no time was left to ${pass/rate/replay} every failure"
        break 2
      fi
      "${pass}_$kind"
    done <<<"$unrated"
  done
  [[ -z $unshrunk ]] || note "failures of run were not made small: this version has no verb shrink"
  rating_ms=$((rating_ms + $(now_ms) - begun))
}

rate_bundle() {
  echo "=== replay $path"
  watched program "$night/rates/$key.tmp" /dev/null \
    timeout --foreground -k 5 60 "$(program_of "${step%%.*}")" replay "$path" --attempts 10 --json --quiet
  [[ -s $night/rates/$key.tmp ]] && mv "$night/rates/$key.tmp" "$night/rates/$key.json"
  rm -f "$night/rates/$key.tmp"
}

shrink_bundle() {
  [[ ! -e $path/schedule.json ]] || return # explore made it small
  [[ -n $shrinks ]] || { unshrunk=1; return; }
  echo "=== shrink $path"
  watched program "$night/shrunk/$key.txt" /dev/null \
    timeout --foreground -k 5 120 "$(program_of "${step%%.*}")" shrink "$path" --time 30s --quiet
  [[ ! -d $path-small ]] || mv "$path-small" "$night/shrunk/$key"
}

# Inputs of fuzz targets: libFuzzer itself makes them small.
# The transport goes by the environment: libFuzzer starts programs of its own, which do not get a flag.
input_command() { # WORD...
  local transport
  transport=$(transport_of "${step%%.*}")
  command=(env ${transport:+"IPCTORTURE_FUZZ_TRANSPORT=$transport"} "$(fuzz_program "${step%%.*}")" -timeout=10 "$@" "$path")
}
rate_input() {
  local i hits=0 command
  input_command
  echo "=== replay $path"
  for i in 1 2 3; do
    watched group /dev/null /dev/null timeout --foreground -k 5 30 "${command[@]}"
    ((code)) && ((hits++))
  done
  [[ -z $ended_by ]] || return
  echo "{\"schema\":\"ipctorture-replay/1\",\"attempts\":3,\"reproduced\":$hits}" | write_file "$night/rates/$key.json"
}
shrink_input() {
  local command
  # Of a schedule or a scenario a bundle, as of any failure.
  if [[ $(head -c 6 "$path" | tr -d '\0\1') == ICTF[SR] ]]; then
    path=$(realpath "$path")
    echo "=== shrink $path"
    watched program "$night/shrunk/$key.txt" /dev/null timeout --foreground -k 5 120 "$reporter" shrink "$path" --time 30s --quiet
    [[ ! -d $path-small ]] || mv "$path-small" "$night/shrunk/$key"
    return
  fi
  input_command -minimize_crash=1 -max_total_time=20 -exact_artifact_path="$night/shrunk/$key"
  echo "=== shrink $path"
  watched group /dev/null "$night/shrunk/$key.txt" timeout --foreground -k 5 40 "${command[@]}"
}
