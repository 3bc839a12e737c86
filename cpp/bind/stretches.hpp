// Stretches of memory that a step writes or reads, and whether any of them get in each other's way.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "schuss/engine.hpp"

namespace schuss::bind {

using Stretch = std::pair<const char*, const char*>;  // of memory, from its first byte to behind its last one

struct Stretches {
  std::vector<Stretch> written, read;

  void write(const void* from, Index bytes) { add(written, from, bytes); }
  void read_only(const void* from, Index bytes) { add(read, from, bytes); }

 private:
  static void add(std::vector<Stretch>& list, const void* from, Index bytes) {
    if (bytes > 0) list.emplace_back(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
  }
};

// Tells whether what is written overlaps anything else. What has been found disjoint is not looked at again until some
// of it lies elsewhere, which the gradients do at most steps and the rest at few.
class Overlap {
 public:
  bool is_in(Stretches&& now) {
    if (now.written != disjoint_.written) {
      std::vector<Stretch> sorted = now.written;
      std::sort(sorted.begin(), sorted.end());
      for (std::size_t i = 1; i < sorted.size(); ++i)
        if (sorted[i - 1].second > sorted[i].first) return true;
      sorted_ = std::move(sorted);
      disjoint_ = {std::move(now.written), {}};
    }
    if (now.read == disjoint_.read) return false;
    if (std::any_of(now.read.begin(), now.read.end(), [&](const Stretch& s) { return is_written(s); })) return true;
    disjoint_.read = std::move(now.read);
    return false;
  }

 private:
  bool is_written(const Stretch& stretch) const {
    const auto first = std::partition_point(sorted_.begin(), sorted_.end(),
                                            [&](const Stretch& written) { return written.second <= stretch.first; });
    return first != sorted_.end() && first->first < stretch.second;
  }

  Stretches disjoint_;
  std::vector<Stretch> sorted_;  // those of it that are written
};

}  // namespace schuss::bind
