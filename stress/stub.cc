#include "harness/run_scenario.h"
