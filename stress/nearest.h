// "Did you mean ...": the known word that is nearest to a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ipctorture {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal
// string alignment distance).
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the smallest distance, the first of equals; empty when none is close enough to
// be meant (more than a third of its letters differ, and it does not continue the word either).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// ", did you mean 'pipe'?" or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace ipctorture
