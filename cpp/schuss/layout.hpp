// Where the values of a channel lie. Any channel axis of a C-contiguous array makes it (outer, channels, inner); a
// channel's values have positions p = o · inner + i. The same data with the channels first or last have the same
// positions, so whatever depends on positions alone has the same bits in both layouts.
#pragma once

#include <algorithm>

#include "schuss/threads.hpp"

namespace schuss {

struct Layout {
  Index outer, channels, inner;
  Index row;  // from one outer position to the next: more than channels · inner where there are other channels, too

  Layout(Index outer_, Index channels_, Index inner_)
      : outer(outer_), channels(channels_), inner(inner_), row(channels_ * inner_) {}

  Index positions() const { return outer * inner; }
  Index size() const { return outer * channels * inner; }

  // Where in the array the value of a channel at a position lies.
  Index offset(Index position, Index channel) const {
    return position / inner * row + channel * inner + position % inner;
  }

  // Some of the channels, of arrays that begin `first` channels later.
  Layout some(Index count) const {
    Layout part = *this;
    part.channels = count;
    return part;
  }
};

// Which units come first. A second pass over the same data begins where each thread's first pass has ended, as these
// data may still be in its cache: the caller goes through the units from the first one upwards and helpers from the
// last one downwards, so that is in the middle, or at the end if there are no helpers.
enum class Order { inwards, outwards };

// Units of work 0 … count − 1, each done by one of the threads. `bytes` is what all of them move.
template <Order order = Order::inwards, class Work>
void for_units(Index count, Index bytes, int max_threads, const Work& work) {
  const int helpers = threads.helpers(bytes, max_threads);
  if constexpr (order == Order::inwards) return threads.team().run(count, helpers, work);
  const Index middle = helpers > 0 ? count / 2 : count;
  threads.team().run(count, helpers, [&](Index k) { work(k < middle ? middle - 1 - k : middle + count - 1 - k); });
}

}  // namespace schuss
