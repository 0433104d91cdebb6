// `--shard auto`: which part of a campaign is this machine's, by what those who start many at once
// put into the environment. Who sets what:
//
//   Kubernetes   an Indexed Job sets JOB_COMPLETION_INDEX, from 0. It does not say how many there
//                are: the manifest gives that as JOB_COMPLETIONS (ci/kubernetes/indexed-job.yaml).
//   GitLab       parallel: sets CI_NODE_INDEX, from 1, and CI_NODE_TOTAL. Without parallel only the
//                latter, as 1.
//   Slurm        sbatch --array sets SLURM_ARRAY_TASK_ID, _MIN, _MAX, _STEP and _COUNT; srun sets
//                SLURM_PROCID, from 0, and SLURM_NTASKS. With both each task of each element of the
//                array has a part.
//   Bazel        shard_count sets TEST_SHARD_INDEX, from 0, and TEST_TOTAL_SHARDS, and wants the
//                file TEST_SHARD_STATUS_FILE touched.
//   GoogleTest   runners for it set GTEST_SHARD_INDEX, from 0, and GTEST_TOTAL_SHARDS; as Bazel.
#pragma once

#include <string>
#include <vector>

#include "stress/settings.h"

namespace ipctorture {

struct ChosenShard {
  Shard shard;
  std::string from;  // "CI_NODE_INDEX=2, CI_NODE_TOTAL=5"; empty: nobody's variables
  std::vector<std::string> status_files;  // to be touched, once the campaign knows its part
};

// Variables that are empty count as not set. Throws UsageError naming the variables: when none is
// set, when one lacks another, when one is no number or out of range, when those of two families
// contradict each other. Pure.
ChosenShard machine_shard(const Settings::Environment& environment);

// Of the setting `shard`: all of it when there is none, i/n, or auto. Touches the status files.
// Throws UsageError, also for a part without a seed: each would be of a campaign of its own.
ChosenShard chosen_shard(const Settings& settings, const Settings::Environment& environment);

// "shard 2/5 (CI_NODE_INDEX=2, CI_NODE_TOTAL=5)\n"; empty for the whole, unless variables said so.
std::string shard_line(const ChosenShard& chosen);

}  // namespace ipctorture
