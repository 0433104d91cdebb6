// What --help says below the flags: command_line.cc's texts for people.
#pragma once

namespace ipctorture {

inline constexpr const char* program_text =
    "Tortures transports that carry messages between processes, and says what breaks.";

inline constexpr const char* program_footer =
    "Examples:\n"
    "  ipctorture run                      everything, for a minute\n"
    "  ipctorture run pipe 'unix_*'        some transports, a minute each\n"
    "  ipctorture replay ipctorture-out/latest/pipe-order-late\n"
    "  ipctorture list                     what each transport promises\n"
    "  ipctorture doctor                   what this machine lacks, and how to mend it\n"
    "\n"
    "`ipctorture VERB --help` says more. Most flags may also be given as IPCTORTURE_FLAG in the\n"
    "environment or in ./ipctorture.toml (time = \"30s\"); flags come first. Not so --config,\n"
    "--dry-run, --bench, --export, --faulty, --canary and --clean: those are meant for one call.\n"
    "\n"
    "Exit codes: 0 pass, 1 violation, 2 inconclusive, 3 the harness failed, 4 nothing selected,\n"
    "64 usage, 69 unsupported here, 130/143 interrupted. Of several the gravest: 1, 3, 130/143, "
    "2,\n"
    "69 (only for a transport that was named), 0.";

inline constexpr const char* run_footer =
    "Examples:\n"
    "  ipctorture run --time 10s            all transports, 10 seconds in all\n"
    "  ipctorture run tcp udp --time 5m     these two, 5 minutes each\n"
    "  ipctorture run --exclude 'shm_*' --fail-fast\n"
    "  ipctorture run pipe --runs 100 --seed g1:c0ffee --launch exec\n"
    "  ipctorture run shm_ring --soak --time 1h\n"
    "  ipctorture run --runs 1000 --seed g1:c0ffee --shard 2/5 --out shard-2\n"
    "  ipctorture run shm_ring --runs 1 --export history.txt\n"
    "\n"
    "A first case of each transport waits for its progress bound, so a run takes some seconds\n"
    "even with less time. While it runs, the key t or SIGUSR1 shows what every worker does.";

inline constexpr const char* explore_footer =
    "Examples:\n"
    "  ipctorture explore shm_ring          60 seconds of this one\n"
    "  ipctorture explore --time 10m        all transports, 10 minutes in all\n"
    "  ipctorture explore lost_wakeup       one with a planted bug\n"
    "\n"
    "The harness decides which process takes the next step, at every access to shared memory and\n"
    "every system call. A failure replays step by step: ipctorture replay BUNDLE.";

inline constexpr const char* score_footer =
    "Examples:\n"
    "  ipctorture score lost_wakeup         one bug and its twin, up to 10 minutes\n"
    "  ipctorture score --seeds 1 --time 10s --twin-time 3s\n"
    "  ipctorture score --transport pipe    what is a pass on pipe worth? (about two minutes)\n"
    "\n"
    "Each run is `ipctorture run NAME` as a user would start it. Exit codes: 0 every bug was "
    "caught\n"
    "on four of five seeds and no twin blamed, 1 otherwise. With --transport: 0 every promise had\n"
    "an occasion and every mutant was caught, 1 a violation of the transport itself, 2 otherwise.";

}  // namespace ipctorture
