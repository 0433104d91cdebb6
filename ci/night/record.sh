# What ci/nightly writes down: small JSON files that `ipctorture report` reads, and files for itself. Sourced.

# json_text TEXT: as a JSON string; what is not printable ASCII is left out, for a log may hold anything.
json_text() {
  local text
  text=$(LC_ALL=C tr -cd '\40-\176' <<<"${1:0:2000}")
  text=${text//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
seconds_of() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }
# last_words FILE: the last line that says something.
last_words() { tail -c 4000 "$1" 2>/dev/null | grep -a '[[:alnum:]]' | tail -n 1 | cut -c 1-300; }

# Whatever the disk says, this much is there for the record: the ballast goes when it is needed.
keep_ballast() { [[ -s $out/.ballast ]] || head -c 4M /dev/zero >"$out/.ballast" 2>/dev/null; }
free_bytes() { df --output=avail -B1 "$night" | tail -n 1; }
disk_is_full() {
  local least=$((12 * 1024 * 1024))
  (($(free_bytes) < least)) || { keep_ballast; return 1; }
  rm -f "$out/.ballast"
}

# write_file FILE: standard input, in one step; on a full disk in the ballast's place, else the old one stays.
write_file() {
  local text
  text=$(cat)
  if printf '%s\n' "$text" >"$1.tmp" && mv -f "$1.tmp" "$1"; then return; fi 2>/dev/null
  rm -f "$out/.ballast"
  if printf '%s\n' "$text" >"$1.tmp" && mv -f "$1.tmp" "$1"; then return; fi
  rm -f "$1.tmp"
  echo "ci/nightly: $1 could not be written" >&2
  return 1
}

# write_step STATE CODE USED_MS WHY: step.json of the step that the variables describe.
write_step() {
  local ended_with=''
  [[ -z $2 ]] || ended_with=", \"exit_code\": $2"
  write_file "$night/$name/step.json" <<JSON
{"schema": "ipctorture-nightly-step/1", "name": $(json_text "$name"), "engine": "$engine", "sanitizer": "$sanitizer",
 "program": $(json_text "$program"), "target": $(json_text "$target"), "transports": $(json_text "${chosen[*]:-all}"),
 "budget_s": $(seconds_of "$share_ms"), "used_s": $(seconds_of "$3"), "started": "$started", "ended": "$(date -u +%FT%TZ)",
 "state": "$1"$ended_with, "why": $(json_text "$4"), "corpus_files": ${corpus_files:-0}}
JSON
}

# The night as a whole; `builds` and `notes` are arrays of JSON.
write_night() {
  local IFS=,
  write_file "$night/night.json" <<JSON
{"schema": "ipctorture-nightly/1", "night": $(json_text "${night##*/}"), "date": "$date", "commit": $(json_text "$commit"),
 "budget_s": $(seconds_of "$budget_ms"), "rating_s": $(seconds_of "$rating_ms"), "ended_by": "$ended_by",
 "builds": [${builds[*]:-}], "notes": [${notes[*]:-}]}
JSON
}
note() { notes+=("$(json_text "$1")"); echo "ci/nightly: $1" >&2; }
